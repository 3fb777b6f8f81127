"""Steps that do not run because the caller gives what they would make: what a manifest may say of
them, and what then runs."""

from __future__ import annotations

import pytest

from cvl.core.given import idle_inputs, running, used_inputs
from cvl.core.manifest import Manifest, PipelineManifest
from cvl.errors import ManifestError
from tests.support.manifests import FILM, MODEL, check, manifest

WRITER = """\
name: writer
summary: Writes what is said
license: {code: Apache-2.0}
inputs: {topic: {type: string}}
outputs: {lines: {type: file, default: lines.txt}, notes: {type: file, default: notes.txt}}
"""
READER = """\
name: reader
summary: Reads it aloud
license: {code: Apache-2.0}
inputs:
  lines: {type: file}
  voice: {type: string, default: en}
outputs: {audio: {type: audio, default: audio.wav}}
"""
MOVIE = """\
name: movie
kind: pipeline
summary: A topic or a speech, and a portrait, make a film
inputs:
  topic: {type: string, optional: true}
  voice: {type: string, default: en}
  audio: {type: audio, optional: true}
  titles: {type: list, of: string, optional: true}
  portrait: {type: image}
steps:
  script: {uses: writer, with: {topic: "${inputs.topic}"}}
  speech:
    uses: reader
    with: {lines: "${script.lines}", voice: "${inputs.voice}"}
    given: {audio: "${inputs.audio}"}
  film: {uses: film, with: {audio: "${speech.audio}", image: "${inputs.portrait}"}}
outputs: {video: "${film.video}"}
"""
SERIES = """\
name: series
kind: pipeline
summary: A film of a topic or of a song
inputs:
  subject: {type: string, optional: true}
  song: {type: audio, optional: true}
  accent: {type: string, default: fr}
  face: {type: image}
steps:
  episode:
    uses: movie
    with:
      topic: ${inputs.subject}
      voice: ${inputs.accent}
      audio: ${inputs.song}
      portrait: ${inputs.face}
outputs: {video: "${episode.video}"}
"""
OTHERS = {"echo": MODEL, "film": FILM, "writer": WRITER, "reader": READER, "movie": MOVIE}
ALWAYS = {"voice", "portrait"}


def lookup(name: str) -> Manifest:
    return manifest(OTHERS[name], name)


def movie() -> PipelineManifest:
    return check(MOVIE, "movie", OTHERS)


def test_without_what_may_be_given_the_pipeline_runs_as_it_is() -> None:
    assert running(movie(), frozenset({"topic", *ALWAYS})) == movie()


def test_a_step_whose_outputs_are_given_is_gone_and_what_worked_for_it_alone_too() -> None:
    left = running(movie(), frozenset({"audio", *ALWAYS}))
    assert list(left.steps) == ["film"]
    assert left.steps["film"].with_ == {"audio": "${inputs.audio}", "image": "${inputs.portrait}"}


def test_what_also_works_for_something_else_stays() -> None:
    text = MOVIE.replace("outputs: {video", 'outputs: {words: "${script.notes}", video')
    left = running(check(text, "movie", OTHERS), frozenset({"audio", "topic", *ALWAYS}))
    assert list(left.steps) == ["script", "film"]


def test_which_inputs_reach_a_step_that_runs() -> None:
    given, made = frozenset({"audio", *ALWAYS}), frozenset({"topic", *ALWAYS})
    assert used_inputs(movie(), given, lookup) == {"audio", "portrait"}
    assert idle_inputs(movie(), given, lookup) == {"topic", "voice"}
    assert used_inputs(movie(), made, lookup) == {"topic", "voice", "portrait"}
    assert idle_inputs(movie(), made, lookup) == set()


def test_which_inputs_reach_a_step_within_a_pipeline() -> None:
    series = check(SERIES, "series", OTHERS)
    always = {"accent", "face"}
    assert idle_inputs(series, frozenset({"song", *always}), lookup) == {"subject", "accent"}
    assert idle_inputs(series, frozenset({"subject", *always}), lookup) == set()


AUDIO = 'given: {audio: "${inputs.audio}"}'
BOTH = ', given: {lines: "${inputs.audio}", notes: "${inputs.audio}"}'
SCRIPT = 'script: {uses: writer, with: {topic: "${inputs.topic}"}'


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said", "hint"),
    [
        (AUDIO, "givn: {}", 15, "givn", "did you mean given?"),
        (AUDIO, AUDIO.replace("audio:", "audoi:"), 15, "reader has no output", "mean audio?"),
        (AUDIO, AUDIO.replace("s.audio", "s.audoi"), 15, "names no input", "mean audio?"),
        (AUDIO, AUDIO.replace("inputs.audio", "script.lines"), 15, "is not an input", "${inputs"),
        (AUDIO, "given: {audio: a.wav}", 15, "'a.wav' is not an input", "write ${inputs"),
        (AUDIO, AUDIO.replace("s.audio", "s.voice"), 15, "speech would never run", "optional"),
        (AUDIO, AUDIO.replace("s.audio", "s.portrait"), 15, "would never run", "without a default"),
        (AUDIO, AUDIO.replace("s.audio", "s.topic"), 15, "is string, but 'audio' of speech is", ""),
        ("{type: audio, o", "{type: list, of: audio, o", 15, "is a list, and one value", ""),
        ("${script.lines}", "${inputs.audio}", 15, "has no value when step speech runs", "leave"),
        (AUDIO, AUDIO + "\n    foreach: {a: '${inputs.titles}'}", 15, "not go with foreach", "put"),
        ("outputs: {", 'outputs: {sound: "${speech.audio}", ', 17, "is not always made", "runs"),
        (SCRIPT, SCRIPT + BOTH, 11, "nothing uses 'notes' of script", "remove it"),
    ],
)
def test_what_a_manifest_may_not_say(
    right: str, wrong: str, line: int, said: str, hint: str
) -> None:
    assert right in MOVIE
    with pytest.raises(ManifestError) as caught:
        check(MOVIE.replace(right, wrong, 1), "movie", OTHERS)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.message.startswith(f"example.yaml:{line}:")


def test_all_that_is_used_of_a_step_is_given() -> None:
    text = MOVIE.replace("{type: audio, o", "{type: file, o").replace(AUDIO, "")
    text = text.replace(SCRIPT, SCRIPT + ', given: {lines: "${inputs.audio}"}')
    check(text, "movie", OTHERS)
    more = text.replace(
        "  film: {", '  again: {uses: reader, with: {lines: "${script.notes}"}}\n  film: {'
    )
    with pytest.raises(ManifestError, match="'notes' of script is used too, and nothing stands"):
        check(more, "movie", OTHERS)


def test_an_audio_may_stand_for_any_file() -> None:
    text = MOVIE.replace(AUDIO, "")
    check(text.replace(SCRIPT, SCRIPT + ', given: {lines: "${inputs.audio}"}'), "movie", OTHERS)
