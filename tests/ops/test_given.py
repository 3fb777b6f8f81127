"""Steps whose outputs the caller gives do not run, and nothing is asked for on their behalf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cvl.core.provenance import Provenance, decode
from cvl.core.weights import Lora
from cvl.engine.fake import FakeContainer
from cvl.errors import GpuError, InputError
from cvl.ops.dryrun import plan_of
from cvl.ops.predict import RunResult, run_request
from cvl.ops.request import Options, Request, check_request
from cvl.ops.rerun import Given, provenance_in, request_again
from cvl.store.patching import statement_in
from tests.ops.bench import SAY, Bench, request_of
from tests.support.files import wav

SING = """\
name: sing
summary: Sings it
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs:
  text: {type: string}
  speed: {type: number, default: 1.0}
outputs: {sound: {type: audio, default: song.wav}}
"""
MIX = """\
name: mix
summary: A sound and a page become a sound
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs:
  sound: {type: audio, max_seconds: 60}
  page: {type: file, optional: true}
outputs: {mixed: {type: audio, default: mixed.wav}}
"""
SCRIBE = SAY.format(name="scribe", gpu="none").replace(", default: hi", "")
PAINT = SCRIBE.replace("name: scribe", "name: paint").replace("gpu: none", "gpu: required")
PAINT = PAINT.replace("resources:", "weights: [{repo: '${inputs.model}'}]\nloras: true\nresources:")
PAINT = PAINT.replace("inputs:\n", "inputs:\n  model: {type: string, default: org/painter}\n")
SONG = """\
name: song
kind: pipeline
summary: A text or a sound, and a page or what is on it
inputs:
  text: {type: string, optional: true, help: What to sing}
  speed: {type: number, default: 1.0}
  audio: {type: audio, optional: true}
  page: {type: file, optional: true}
  describe: {type: string, optional: true}
steps:
  speech:
    uses: sing
    with: {text: "${inputs.text}", speed: "${inputs.speed}"}
    given: {sound: "${inputs.audio}"}
  picture:
    uses: paint
    with: {text: "${inputs.describe}"}
    given: {result: "${inputs.page}"}
  final: {uses: mix, with: {sound: "${speech.sound}", page: "${picture.result}"}}
outputs: {mixed: "${final.mixed}"}
"""
ALBUM = """\
name: album
kind: pipeline
summary: A song within
inputs:
  lyrics: {type: string, optional: true}
  tune: {type: audio, optional: true}
  page: {type: file}
steps:
  one:
    uses: song
    with: {text: "${inputs.lyrics}", audio: "${inputs.tune}", page: "${inputs.page}"}
outputs: {mixed: "${one.mixed}"}
"""
COVER = """\
name: cover
kind: pipeline
summary: A song of what was sung before
inputs: {text: {type: string}, page: {type: file}}
steps:
  before: {uses: sing, with: {text: "${inputs.text}"}}
  after: {uses: song, with: {audio: "${before.sound}", page: "${inputs.page}"}}
outputs: {mixed: "${after.mixed}"}
"""
PAIR = """\
name: pair
kind: pipeline
summary: Two inputs stand for one step
inputs:
  text: {type: string, optional: true}
  left: {type: audio, optional: true}
  right: {type: file, optional: true}
steps:
  script: {uses: scribe, with: {text: "${inputs.text}"}}
  both:
    uses: duo
    with: {page: "${script.result}"}
    given: {sound: "${inputs.left}", page: "${inputs.right}"}
  final: {uses: mix, with: {sound: "${both.sound}", page: "${both.page}"}}
outputs: {mixed: "${final.mixed}"}
"""
DUO = """\
name: duo
summary: Makes two
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs: {page: {type: file}}
outputs: {sound: {type: audio, default: a.wav}, page: {type: file, default: page.txt}}
"""


@pytest.fixture(autouse=True)
def songs(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a GPU and without a network."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    texts = {
        "sing": SING, "mix": MIX, "paint": PAINT, "song": SONG, "album": ALBUM, "cover": COVER,
        "pair": PAIR, "duo": DUO, "scribe": SCRIBE,
    }  # fmt: skip
    for name, text in texts.items():
        bench.add(name, text)
    bench.play(act)
    wav(bench.folder / "mine.wav", 7)
    (bench.folder / "page.txt").write_text("a page")


def act(container: FakeContainer) -> int:
    """Sounds are as long as what they are made of."""
    request = request_of(container)
    for name, path in request["outputs"].items():
        place = container.host(path)
        if name in ("sound", "mixed"):
            sound = request["inputs"].get("sound")
            frames = len(container.host(sound).read_bytes()) if sound else 500
            wav(place, frames)
        else:
            place.write_text("made")
    return 0


def page(bench: Bench) -> str:
    return str(bench.folder / "page.txt")


def mine(bench: Bench) -> str:
    return str(bench.folder / "mine.wav")


def run(bench: Bench, example: str = "song", output: str = "out.wav", **more: Any) -> RunResult:
    return bench.run(example, output=output, **more)


def refused(bench: Bench, example: str = "song", **more: Any) -> tuple[str, str]:
    """(message, hint) of a request that makes no sense; the engine is not asked for that."""
    before = len(bench.engine.calls)
    with pytest.raises(InputError) as caught:
        run(bench, example, output="never.wav", **more)
    assert len(bench.engine.calls) == before
    return caught.value.message, caught.value.hint


def statement(path: Path) -> Provenance:
    found = statement_in(path)
    assert found is not None
    return decode(found)


def test_what_is_given_is_used_and_its_step_does_not_run(bench: Bench) -> None:
    result = run(bench, audio=mine(bench), page=page(bench))
    assert set(result.steps) == {"final"}
    assert bench.calls("create") == ["create"]
    assert bench.leftovers() == []


def test_what_is_not_given_is_made(bench: Bench) -> None:
    result = run(bench, text="la", page=page(bench))
    assert set(result.steps) == {"speech", "final"}


def test_another_sound_is_another_result(bench: Bench) -> None:
    first = run(bench, audio=mine(bench), page=page(bench), seed=1)
    again = run(bench, audio=mine(bench), page=page(bench), seed=1, output="again.wav")
    wav(bench.folder / "mine.wav", 9)
    other = run(bench, audio=mine(bench), page=page(bench), seed=1, output="other.wav")
    assert [r.steps["final"].cached for r in (first, again, other)] == [False, True, False]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"page": True}, "--text is needed, or --audio", "cvl run song predict --help"),
        ({"text": "la"}, "--describe is needed, or --page", "cvl run song predict --help"),
        ({}, "--text is needed, or --audio", "lists every option"),
        (
            {"page": True, "text": "la", "audio": True},
            "--text has no use when --audio is given",
            "give --text or --audio, not both",
        ),
        (
            {"page": True, "speed": "2", "audio": True},
            "--speed has no use when --audio is given",
            "give --speed or --audio, not both",
        ),
        (
            {"page": True, "describe": "a page", "audio": True},
            "--describe has no use when --page is given",
            "give --describe or --page, not both",
        ),
    ],
)
def test_too_little_and_too_much_are_told_before_anything_is_built(
    given: dict[str, Any], message: str, hint: str, bench: Bench
) -> None:
    files = {"page": page(bench), "audio": mine(bench)}
    inputs = {name: files[name] if value is True else value for name, value in given.items()}
    said, told = refused(bench, **inputs)
    assert said == message
    assert hint in told


def test_an_option_of_a_step_that_does_not_run_is_refused(bench: Bench) -> None:
    steps = {"speech": {"speed": "2"}}
    said, _ = refused(bench, audio=mine(bench), page=page(bench), steps=steps)
    assert said == "--speech.speed has no use when --audio is given"
    assert run(bench, text="la", page=page(bench), steps=steps).steps.keys() >= {"speech"}


def test_a_lora_for_a_step_that_does_not_run_is_refused(bench: Bench) -> None:
    said, _ = refused(bench, text="la", page=page(bench), loras=(Lora("x.safetensors", 1.0),))
    assert said == "--lora: mix, sing takes none"


def test_an_option_of_the_step_is_as_good_as_an_input(bench: Bench) -> None:
    result = run(bench, page=page(bench), steps={"speech": {"text": "la"}})
    assert set(result.steps) == {"speech", "final"}


def test_a_step_that_does_not_run_needs_no_gpu_and_no_weights(bench: Bench) -> None:
    run(bench, text="la", page=page(bench))
    with pytest.raises(GpuError, match=r"picture \(paint\): this machine has no NVIDIA GPU"):
        run(bench, text="la", describe="a page", output="other.wav")


def test_what_is_given_is_as_the_step_that_takes_it_wants_it(bench: Bench) -> None:
    long = bench.folder / "long.wav"
    wav(long, 16000 * 61)
    said, _ = refused(bench, audio=str(long), page=page(bench))
    assert said.startswith("--final.sound: ")
    said, _ = refused(bench, audio=page(bench), page=page(bench))
    assert said.startswith("--audio: ")


def test_both_or_none_of_what_stands_for_a_step(bench: Bench) -> None:
    said, told = refused(bench, "pair", left=mine(bench))
    assert said == "--left goes with --right: together they stand for what step both makes"
    assert told == "give both, or neither"
    assert refused(bench, "pair")[0] == "--text is needed, or --left with --right"
    given = run(bench, "pair", left=mine(bench), right=page(bench))
    assert set(given.steps) == {"final"}
    said, _ = refused(bench, "pair", left=mine(bench), right=page(bench), text="la")
    assert said == "--text has no use when --left and --right are given"
    assert set(run(bench, "pair", text="la", output="b.wav").steps) == {"script", "both", "final"}


def test_within_a_pipeline_the_words_are_those_of_the_outer_one(bench: Bench) -> None:
    assert refused(bench, "album", page=page(bench))[0] == "--lyrics is needed, or --tune"
    both = {"tune": mine(bench), "lyrics": "la"}
    said, _ = refused(bench, "album", page=page(bench), **both)
    assert said == "--lyrics has no use when --tune is given"
    steps = {"one": {"speed": "2"}}
    said, _ = refused(bench, "album", page=page(bench), tune=mine(bench), steps=steps)
    assert said == "--one.speed has no use when --tune is given"
    given = run(bench, "album", page=page(bench), tune=mine(bench))
    made = run(bench, "album", page=page(bench), lyrics="la", output="made.wav")
    assert set(given.steps) == {"one.final"}
    assert set(made.steps) == {"one.speech", "one.final"}


def test_what_a_step_makes_stands_for_a_step_within_another_pipeline(bench: Bench) -> None:
    result = run(bench, "cover", text="la", page=page(bench))
    assert set(result.steps) == {"before", "after.final"}


def planned(bench: Bench, example: str, **inputs: Any) -> tuple[list[Any], list[Any], str]:
    """(steps, steps that do not run, the lines) of a dry run."""
    found = bench.catalog.find(example)
    request = Request(found, inputs, {"": str(bench.folder / "plan.wav")}, {}, Options())
    plan = plan_of(bench.catalog, check_request(bench.catalog, request, "run"))
    assert bench.engine.calls == []
    return plan.data["steps"], plan.data["not_run"], "\n".join(plan.lines)


def test_a_plan_says_what_does_not_run_and_shows_what_flows(bench: Bench) -> None:
    steps, not_run, lines = planned(bench, "song", audio=mine(bench), page=page(bench))
    assert [step["step"] for step in steps] == ["final"]
    assert steps[0]["inputs"] == {"sound": mine(bench), "page": page(bench)}
    assert not_run == [
        {"step": "speech", "given": ["audio"]}, {"step": "picture", "given": ["page"]},
    ]  # fmt: skip
    assert lines.startswith("song: 1 container\n")
    assert "  speech: does not run, audio is given" in lines
    assert "org/painter" not in lines


def test_a_plan_of_pipelines_within_and_of_what_worked_for_a_step_alone(bench: Bench) -> None:
    steps, not_run, _ = planned(bench, "cover", text="la", page=page(bench))
    assert [step["step"] for step in steps] == ["before", "after.final"]
    assert [step["step"] for step in not_run] == ["after.speech", "after.picture"]
    _, not_run, lines = planned(bench, "pair", left=mine(bench), right=page(bench))
    assert not_run[0] == {"step": "script", "given": []}
    assert "  script: does not run, nothing needs it" in lines
    assert "  both: does not run, left and right are given" in lines


def test_a_plan_shows_options_of_steps_and_the_weights_of_those_that_run(bench: Bench) -> None:
    found = bench.catalog.find("song")
    inputs = {"text": "la", "describe": "a page"}
    steps = {"speech": {"speed": "2"}}
    request = Request(found, inputs, {"": str(bench.folder / "plan.wav")}, steps, Options())
    plan = plan_of(bench.catalog, check_request(bench.catalog, request, "run"))
    speech, picture, _ = plan.data["steps"]
    assert speech["inputs"] == {"text": "la", "speed": 2.0}
    assert [w["name"] for w in picture["weights"]] == ["org/painter"]
    assert plan.data["not_run"] == []


def again(bench: Bench, made: str, output: str, **files: str) -> RunResult:
    """What `cvl rerun` does."""
    given = Given(files, {}, {"": str(bench.folder / output)}, changed=False)
    made_by = provenance_in(bench.folder / made)
    results = bench.session.results
    request = request_again(bench.catalog, results, made_by, given, Options(use_cache=False))
    return run_request(bench.session, bench.catalog, request)


def test_files_of_both_kinds_say_how_they_were_made_and_are_made_again(bench: Bench) -> None:
    run(bench, text="la", speed="2", page=page(bench), output="made.wav")
    run(bench, audio=mine(bench), page=page(bench), output="given.wav")
    made, given = (statement(bench.folder / name) for name in ("made.wav", "given.wav"))
    assert (set(made.arguments), set(made.files)) == ({"text", "speed"}, {"page"})
    assert (set(given.arguments), set(given.files)) == (set(), {"audio", "page"})
    assert (set(made.steps), set(given.steps)) == ({"speech", "final"}, {"final"})
    with pytest.raises(InputError, match="--page: sha256"):
        again(bench, "made.wav", "again.wav")
    again(bench, "made.wav", "made-2.wav", page=page(bench))
    again(bench, "given.wav", "given-2.wav", page=page(bench), audio=mine(bench))
    for name in ("made", "given"):
        first, second = bench.folder / f"{name}.wav", bench.folder / f"{name}-2.wav"
        assert first.read_bytes() == second.read_bytes()


def test_files_of_pipelines_within_are_made_again(bench: Bench) -> None:
    run(bench, "album", tune=mine(bench), page=page(bench), output="given.wav")
    files = {"page": page(bench), "tune": mine(bench)}
    again(bench, "given.wav", "again.wav", **files)
    assert (bench.folder / "again.wav").read_bytes() == (bench.folder / "given.wav").read_bytes()
