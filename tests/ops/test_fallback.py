"""Another example takes over where the machine is at fault, and nowhere else; and what a pipeline
needs of the machine is known before its first step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvl.cli.running import run_data
from cvl.engine.fake import FakeContainer, Program
from cvl.errors import (
    CvlError,
    EngineError,
    GpuError,
    InputError,
    MemoryFault,
    OutputError,
    StepError,
)
from cvl.ops.build_all import build_example, models_of
from cvl.ops.dryrun import plan_of
from cvl.ops.request import Request, check_request
from tests.ops.bench import SAY, Bench, end_with, output_of, request_of, say, step_of

GIVEN = """\
name: given
kind: pipeline
summary: What the pipeline says, or what takes over
inputs: {text: {type: string, default: hi}}
steps:
  first: {uses: say, with: {text: first}}
  talk: {uses: big, with: {text: "${inputs.text}", file: "${first.result}"}, fallback: [huge, say]}
outputs: {result: "${talk.result}"}
"""
CHOSEN = """\
name: chosen
kind: pipeline
summary: What the user says
inputs:
  text: {type: string, default: hi}
  voice: {type: choice, choices: [big, say], default: big}
steps:
  talk: {uses: "${inputs.voice}", with: {text: "${inputs.text}"}, fallback: [say]}
outputs: {result: "${talk.result}"}
"""
OUTER = """\
name: outer
kind: pipeline
summary: A choice that goes on to a pipeline
inputs:
  voice: {type: choice, choices: [big, say], default: big}
steps:
  inner: {uses: chosen, with: {voice: "${inputs.voice}"}}
outputs: {result: "${inner.result}"}
"""
ALONE = """\
name: alone
kind: pipeline
summary: Nothing takes over
inputs: {}
steps:
  first: {uses: say}
  talk: {uses: big, with: {file: "${first.result}"}}
outputs: {result: "${talk.result}"}
"""
EACH = """\
name: each
kind: pipeline
summary: Every item may be taken over
inputs: {words: {type: list, of: string}}
steps:
  talk: {uses: plain, foreach: {word: "${inputs.words}"}, with: {text: "${word}"}, fallback: [say]}
  film: {uses: collect, with: {parts: "${talk.result}"}}
outputs: {result: "${film.result}"}
"""
ROW = """\
name: collect
summary: Many files
license: {code: Apache-2.0}
inputs:
  parts: {type: list, of: file}
outputs:
  result: {type: file, default: result.txt}
"""
LOCAL = GIVEN.replace("uses: big", "uses: plain").replace("name: given", "name: local")


@pytest.fixture(autouse=True)
def examples(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, and models that need one."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    texts = {
        "given": GIVEN, "chosen": CHOSEN, "outer": OUTER, "alone": ALONE, "each": EACH,
        "local": LOCAL, "collect": ROW, "plain": SAY.format(name="plain", gpu="none"),
    }  # fmt: skip
    for name, text in texts.items():
        bench.add(name, text)
    bench.add("big", gpu="required")
    bench.add("huge", SAY.format(name="huge", gpu="none").replace("gpu: none", "ram_gb: 9999"))


def collect(container: FakeContainer) -> int:
    output_of(container).write_text("all of them")
    return 0


def acts(**examples: Program) -> Program:
    """A program by example; the others say."""

    def play(container: FakeContainer) -> int:
        example = next(v for k, v in container.spec.labels.items() if k.endswith("example"))
        usual: Callable[[FakeContainer], int] = collect if example == "collect" else say
        return examples.get(example, usual)(container)

    return play


def test_without_a_gpu_the_next_that_can_takes_over_and_the_result_says_so(bench: Bench) -> None:
    result = bench.run("given", seed=1)
    assert bench.target.read_text() == "first 1\nhi 1\n"
    (taken,) = result.fallbacks
    assert (taken.step, taken.wanted, taken.used, taken.code) == ("talk", "big", "say", "no_gpu")
    assert result.warnings == [taken.text]
    assert taken.text in bench.report.warnings
    data = json.loads(json.dumps(run_data(result)))
    assert data["degraded"] is True
    assert data["fallbacks"][0]["why"].startswith("this machine has no NVIDIA GPU")
    assert bench.leftovers() == []


def test_what_is_not_degraded_says_so(bench: Bench) -> None:
    data = run_data(bench.run("local", seed=1))
    assert (data["degraded"], data["fallbacks"]) == (False, [])


def test_what_the_user_named_is_replaced_only_with_fallback(bench: Bench) -> None:
    with pytest.raises(GpuError) as error:
        bench.run("chosen", voice="big")
    assert error.value.status == 3
    assert "talk (big): this machine has no NVIDIA GPU" in error.value.message
    assert "give --fallback to let say take over" in error.value.hint
    assert bench.calls("build", "create") == []
    assert bench.run("chosen", voice="big", fallback=True).degraded
    assert bench.run("chosen", output="default.txt").degraded


def test_naming_an_example_reaches_through_pipelines(bench: Bench) -> None:
    with pytest.raises(GpuError, match=r"^inner.talk \(big\)"):
        bench.run("outer", voice="big")
    assert bench.run("outer").degraded
    assert bench.run("outer", voice="big", fallback=True, output="again.txt").degraded


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (lambda c: 3, StepError),
        (lambda c: end_with(c, 65, status="input", message="too long"), InputError),
        (lambda c: end_with(c, 76, status="output", message="no frames"), OutputError),
        (lambda c: 0, OutputError),
    ],
    ids=["program", "input", "output", "nothing"],
)
def test_what_is_not_the_machines_fault_is_not_taken_over(
    bench: Bench, program: Program, error: type[CvlError]
) -> None:
    bench.play(acts(plain=program))
    with pytest.raises(error):
        bench.run("local", fallback=True)
    assert len(bench.calls("create")) == 2
    assert not bench.target.exists()


def test_out_of_memory_is_taken_over(bench: Bench) -> None:
    """Also after the step had its files and had written something."""

    def greedy(container: FakeContainer) -> int:
        say(container)
        return end_with(container, 75, status="oom", device="cuda")

    bench.play(acts(plain=greedy))
    result = bench.run("local", seed=1)
    assert result.fallbacks[0].code == "device_out_of_memory"
    assert bench.target.read_text() == "first 1\nhi 1\n"
    assert bench.leftovers() == []


def test_an_engine_that_fails_is_taken_over(bench: Bench) -> None:
    bench.play(acts())
    bench.engine.fail("create", EngineError("not now"))
    assert bench.run("each", words=["a"], seed=1).fallbacks[0].code == "engine"


def test_when_none_can_take_over_the_first_reason_is_told(bench: Bench) -> None:
    def greedy(container: FakeContainer) -> int:
        return end_with(container, 75, status="oom", device="cuda")

    bench.play(acts(plain=greedy, say=lambda c: greedy(c) if step_of(c) == "talk" else say(c)))
    with pytest.raises(MemoryFault, match="talk ran out of GPU memory"):
        bench.run("local")
    assert any("huge cannot take over" in text for text in bench.report.warnings)


def test_what_does_not_take_the_options_of_the_user_does_not_take_over(bench: Bench) -> None:
    more = "inputs:\n  style: {type: string, default: bold}"
    bench.add("able", SAY.format(name="able", gpu="none").replace("inputs:", more))
    bench.add("fancy", LOCAL.replace("name: local", "name: fancy").replace("plain", "able"))

    def greedy(container: FakeContainer) -> int:
        return end_with(container, 75, status="oom", device="cuda")

    bench.play(acts(able=greedy))
    with pytest.raises(MemoryFault):
        bench.run("fancy", steps={"talk": {"style": "plain"}})
    assert bench.run("fancy").degraded


def test_each_item_is_taken_over_by_itself(bench: Bench) -> None:
    def greedy(container: FakeContainer) -> int:
        if request_of(container)["inputs"].get("text") == "b":
            return end_with(container, 75, status="oom", device="cuda")
        return say(container)

    bench.play(acts(plain=greedy))
    assert [taken.step for taken in bench.run("each", words=["a", "b"]).fallbacks] == ["talk.1"]


def test_a_missing_gpu_is_told_before_the_first_step(bench: Bench) -> None:
    with pytest.raises(GpuError, match=r"^talk \(big\): this machine has no NVIDIA GPU"):
        bench.run("alone")
    assert bench.calls("build", "create") == []
    assert bench.run("alone", gpus="none").steps.keys() == {"first", "talk"}


def test_too_little_memory_is_told_before_the_first_step(bench: Bench) -> None:
    bench.add("vast", ALONE.replace("name: alone", "name: vast").replace("big", "huge"))
    with pytest.raises(EngineError, match=r"^talk \(huge\): 9999 GB of memory are needed"):
        bench.run("vast")
    assert bench.calls("build", "create") == []


def test_what_may_take_over_is_built_and_planned(bench: Bench) -> None:
    assert set(models_of(bench.catalog, bench.catalog.find("given"))) == {"say", "big", "huge"}
    request = Request(bench.catalog.find("given"), {}, {"": str(bench.target)})
    plan: dict[str, Any] = plan_of(bench.catalog, check_request(bench.catalog, request, "run")).data
    assert [step["fallback"] for step in plan["steps"]] == [[], ["huge", "say"]]


def test_of_a_choice_what_is_chosen_by_default_is_built(bench: Bench) -> None:
    """The other one when it is first used."""
    bench.add("picked", CHOSEN.replace("chosen", "picked").replace("default: big", "default: say"))
    assert set(models_of(bench.catalog, bench.catalog.find("picked"))) == {"big", "say"}
    images = build_example(bench.session, bench.catalog, bench.catalog.find("picked"))
    assert set(images) == {"say"}
