"""A pipeline is checked as a graph before anything runs: names, types, circles, missing inputs."""

from __future__ import annotations

import pytest

from cvl.core.graph import dependencies, order, output_spec, used_by
from cvl.core.manifest import Step
from cvl.core.yaml_source import parse
from cvl.errors import ManifestError
from tests.support.manifests import FILM, MODEL, PIPELINE, check, manifest

OTHERS = {"echo": MODEL, "film": FILM}
STILL = FILM.replace("name: film", "name: still").replace(
    "{type: video, default: film.mp4}", "{type: image, default: still.png}"
)


def refused(text: str, others: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(line, message without the place, hint) of the error that the pipeline is."""
    with pytest.raises(ManifestError) as caught:
        check(text, "movie", OTHERS if others is None else others)
    file, line, message = caught.value.message.split(":", 2)
    assert file == "example.yaml"
    return int(line), message.strip(), caught.value.hint


def edited(right: str, wrong: str) -> str:
    assert right in PIPELINE
    return PIPELINE.replace(right, wrong, 1)


def test_a_good_pipeline_is_good() -> None:
    check(PIPELINE, "movie", OTHERS)


def test_steps_come_after_what_they_need_however_they_are_written() -> None:
    lines = PIPELINE.splitlines(keepends=True)
    lines[7], lines[8] = lines[8], lines[7]
    pipeline = check("".join(lines), "movie", OTHERS)
    assert list(pipeline.steps) == ["film", "speech"]
    assert order(pipeline, parse(PIPELINE.encode(), "example.yaml")) == ["speech", "film"]


def test_what_a_step_depends_on_is_read_from_lists_too() -> None:
    step = Step("${inputs.kind}", {"a": ["${one.x}", "${two.y}"], "b": "${inputs.z}", "c": 3})
    assert dependencies(step) == {"one", "two"}


def test_a_circle_names_the_steps_in_it() -> None:
    text = edited("text: ${inputs.words}".replace("$", '"$', 1) + '"', 'text: "${film.video}"')
    line, message, _ = refused(text)
    assert (line, message) == (8, "steps need each other in a circle: speech, film")


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said", "hint"),
    [
        ("${speech.speech}", "${speach.speech}", 9, "names no step", "did you mean speech?"),
        ("${inputs.words}", "${inputs.word}", 8, "names no input", "did you mean words?"),
        ("${speech.speech}", "${speech.spech}", 9, "has no output", "did you mean speech?"),
        ("${speech.speech}", "${speech.speech}.wav", 9, "is not a reference", "write ${step"),
        ("${speech.speech}", "a.wav", 9, "is a file: use a reference, never a path", ""),
        ("uses: echo", "uses: ecko", 8, "there is no example 'ecko'", "did you mean film?"),
        ("text:", "txt:", 8, "echo has no input 'txt'", "did you mean text?"),
        ("${speech.speech}", "${inputs.portrait}", 9, "is image, but 'audio' of film is audio", ""),
        (', image: "${inputs.portrait}"', "", 9, "film needs 'image'", "add image: ${...}"),
        ("{text:", "{loud: maybe, text:", 8, "--loud is true or false", ""),
        ("{text:", "{loud: [true], text:", 8, "is boolean, not a list", ""),
        ("uses: echo", 'uses: "${inputs.words}"', 8, "is not an input of type choice", ""),
        ("${film.video}", "${film.vidoe}", 11, "has no output", "did you mean video?"),
        ("${film.video}", "${inputs.portrait}", 11, "not a reference to what a step makes", ""),
        ("${film.video}", "film.mp4", 11, "not a reference to what a step makes", "write ${step"),
        ("  film: {uses", "  inputs: {uses", 9, "cannot be called 'inputs'", ""),
    ],
)
def test_what_dangles_or_does_not_fit_is_named(
    right: str, wrong: str, line: int, said: str, hint: str
) -> None:
    found, message, told = refused(edited(right, wrong))
    assert said in message
    assert hint in told
    assert found == line


def test_a_list_does_not_go_where_one_value_goes() -> None:
    text = edited("{type: image}", "{type: list, of: image}")
    assert "${inputs.portrait} is a list" in refused(text)[1]


def test_one_value_and_lists_of_references_go_into_a_list() -> None:
    many = FILM.replace("audio: {type: audio}", "audio: {type: list, of: audio}")
    check(PIPELINE, "movie", {"echo": MODEL, "film": many})
    both = PIPELINE.replace('"${speech.speech}"', '["${speech.speech}", "${speech.speech}"]')
    check(both, "movie", {"echo": MODEL, "film": many})


SCRIPT = """\
name: script
summary: Scenes
license: {code: Apache-2.0}
inputs: {}
outputs:
  scenes: {type: json, default: scenes.json}
  sound: {type: audio, default: sound.wav}
"""
JOIN = """\
name: join
summary: One of many
license: {code: Apache-2.0}
inputs:
  parts: {type: list, of: audio}
outputs:
  sound: {type: audio, default: sound.wav}
"""
SCENES = """\
name: movie
kind: pipeline
summary: A sound per scene, in a row
inputs:
  names: {type: list, of: string}
  photos: {type: list, of: image, optional: true}
  facts: {type: json, optional: true}
steps:
  script: {uses: script}
  voice: {uses: echo, foreach: {scene: "${script.scenes}"}, with: {text: "${scene.text}"}}
  final: {uses: join, with: {parts: "${voice.speech}"}}
outputs:
  sound: ${final.sound}
  noise: ${script.sound}
"""
MANY = {**OTHERS, "script": SCRIPT, "join": JOIN, "other": MODEL.replace("echo", "other")}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("${scene.text}", "${scene}"),
        (
            'script.scenes}"}, with: {text: "${scene.text}',
            'inputs.names}"}, with: {text: "${scene}',
        ),
        ("${script.scenes}", "${inputs.facts}"),
        ("uses: echo,", "uses: echo, fallback: [other],"),
        ("uses: echo,", "uses: echo, at_once: 2,"),
    ],
)
def test_a_step_for_each_item_gives_a_list(right: str, wrong: str) -> None:
    assert right in SCENES
    pipeline = check(SCENES.replace(right, wrong, 1), "movie", MANY)
    assert dependencies(pipeline.steps["voice"]) <= {"script"}


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ('{parts: "${voice.speech}"}', '{parts: ["${voice.speech}"]}', 11, "is a list, and one"),
        ("${final.sound}", "${voice.speech}", 13, "${voice.speech} is a list"),
        ("${script.scenes}", "${script.sound}", 10, "${script.sound} is audio, not a list"),
        ("${script.scenes}", "${script.scene}", 10, "has no output 'scene'"),
        ("${script.scenes}", "${voice.speech}", 10, "in a circle"),
        ("${script.scenes}", "scenes.json", 10, "is not a reference to a list"),
        ("${script.scenes}", "${scene.x}", 10, "names no step"),
        ("{scene:", "{script:", 10, "'script' is the name of something else here"),
        ("{scene:", "{inputs:", 10, "'inputs' is the name of something else here"),
        ("{scene:", '{other: "${inputs.names}", scene:', 10, "one name for the item"),
        ("${scene.text}", "${scen.text}", 10, "names no step of this pipeline"),
        ("${scene.text}", "${voice}", 10, "is not a reference"),
        ("${script.scenes}", "${inputs.names}", 10, "${scene} is string: it has no fields"),
        ("uses: echo,", "uses: echo, at_once: 0,", 10, "one at least"),
        ("uses: echo,", "uses: echo, fallback: [echo],", 10, "is not another example"),
        ("uses: echo,", 'uses: echo, fallback: ["${inputs.names}"],', 10, "is not another"),
        ("uses: echo,", "uses: echo, fallback: [film],", 10, "film has no input 'text'"),
        ("uses: echo,", "uses: echo, fallback: [ecko],", 10, "there is no example 'ecko'"),
        ("uses: echo,", "uses: echo, fallback: [quiet],", 10, "quiet has no input 'text'"),
        ("uses: echo,", "uses: echo, fallback: [silent],", 11, "audio or image, depending"),
        ("uses: echo,", "uses: echo, falback: [other],", 10, "unknown key 'falback'"),
    ],
)
def test_a_foreach_or_a_fallback_that_does_not_fit_is_named(
    right: str, wrong: str, line: int, said: str
) -> None:
    assert right in SCENES
    picture = MODEL.replace("audio, default: speech.wav", "image, default: s.png")
    silent = picture.replace("echo", "silent")
    others = {**MANY, "quiet": JOIN.replace("join", "quiet"), "silent": silent}
    found, message, _ = refused(SCENES.replace(right, wrong, 1), others)
    assert said in message
    assert found == line


def test_a_file_never_comes_from_a_path_in_json() -> None:
    given = 'audio: "${scene.path}", image: "${inputs.photos}"'
    text = SCENES.replace("uses: echo", "uses: film").replace('text: "${scene.text}"', given)
    message = refused(text, MANY)[1]
    assert message == "${scene.path} is a value of JSON, but 'audio' of film is audio"


def test_what_takes_over_can_write_the_same_formats() -> None:
    text = SCENES.replace("uses: join,", "uses: join, fallback: [only],")
    only = JOIN.replace("join", "only").replace("sound.wav}", "sound.wav, formats: [wav]}")
    line, message, _ = refused(text, {**MANY, "only": only})
    assert line == 11
    assert message.startswith("only cannot write 'sound' as .") and "which join can" in message
    both = JOIN.replace("sound.wav}", "sound.wav, formats: [wav]}")
    check(text, "movie", {**MANY, "only": only, "join": both})


CHOICE = PIPELINE.replace(
    "  portrait:", "  maker: {type: choice, choices: [film, still]}\n  portrait:"
).replace("uses: film", 'uses: "${inputs.maker}"')


def test_a_choice_of_examples_is_checked_for_every_choice() -> None:
    assert "there is no example 'still'" in refused(CHOICE)[1]
    line, message, _ = refused(CHOICE, {**OTHERS, "still": STILL})
    assert line == 12
    assert message == "${film.video} is image or video, depending on the choice"
    needy = FILM.replace("name: film", "name: still").replace(
        "  mode:", "  more: {type: audio}\n  mode:"
    )
    assert "still needs 'more'" in refused(CHOICE, {**OTHERS, "still": needy})[1]


def test_what_was_chosen_is_what_is_used() -> None:
    pipeline = check(
        CHOICE, "movie", {**OTHERS, "still": FILM.replace("name: film", "name: still")}
    )
    step = pipeline.steps["film"]
    assert used_by(pipeline, step, None) == ["film", "still"]
    assert used_by(pipeline, step, {"maker": "still"}) == ["still"]


def test_a_reference_to_a_step_whose_example_is_no_choice_is_an_error_not_a_crash() -> None:
    text = PIPELINE.replace("uses: echo", 'uses: "${third.speech}"').replace(
        "outputs:", '  third: {uses: echo, with: {text: "${inputs.words}"}}\noutputs:'
    )
    assert "is not an input of type choice" in refused(text)[1]


OUTER = """\
name: movie
kind: pipeline
summary: A film of a film
inputs:
  words: {type: string}
  portrait: {type: image}
steps:
  inner: {uses: inner, with: {words: "${inputs.words}", portrait: "${inputs.portrait}"}}
outputs:
  video: ${inner.video}
"""
INNER = PIPELINE.replace("name: movie", "name: inner")


def test_pipelines_nest_and_their_outputs_have_types() -> None:
    others = {**OTHERS, "inner": INNER}
    pipeline = check(OUTER, "movie", others)
    spec = output_spec(pipeline, "video", lambda name: manifest(others[name], name))
    assert (spec.type, spec.default) == ("video", "film.mp4")


def test_an_error_in_a_nested_pipeline_is_told_where_it_is_used() -> None:
    broken = INNER.replace("${film.video}", "${film.vidoe}")
    line, message, hint = refused(OUTER, {**OTHERS, "inner": broken})
    assert (line, message) == (8, "inner: film has no output 'vidoe'")
    assert hint == "did you mean video?"


def test_pipelines_cannot_use_each_other_in_a_circle() -> None:
    inner = OUTER.replace("uses: inner", "uses: movie").replace("name: movie", "name: inner")
    line, message, _ = refused(OUTER, {**OTHERS, "inner": inner})
    assert line == 8
    assert "pipelines use each other in a circle: movie -> inner -> movie" in message
    assert "in a circle: movie -> movie" in refused(OUTER.replace("uses: inner", "uses: movie"))[1]
