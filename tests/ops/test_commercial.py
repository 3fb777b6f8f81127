"""--commercial refuses what no licence is known to allow, before anything is built or started, and
names what does; and what a step was made under is in its file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cvl.cli.running import run_data
from cvl.core.licensing import Terms
from cvl.core.provenance import decode, encode
from cvl.core.weights import Lora
from cvl.engine.fake import FakeContainer
from cvl.errors import GpuError, InputError, UserError
from cvl.ops.dryrun import plan_of
from cvl.ops.inspecting import read_statement
from cvl.ops.request import Options, Request, check_request
from cvl.ops.variations import check_variations
from tests.ops.bench import SAY, Bench, end_with, output_of, say, step_of

MAY = "license: {code: MIT, weights: Apache-2.0, commercial: true}\ntasks: [talk]"
MAY_NOT = "license: {code: MIT, weights: CC-BY-NC-4.0}\ntasks: [talk]"
PIPE = """\
name: pipe
kind: pipeline
summary: A voice that may be chosen
inputs:
  text: {type: string, default: hi}
  voice: {type: choice, choices: [nice, free, other], default: free}
steps:
  talk: {uses: "${inputs.voice}", with: {text: "${inputs.text}"}}
  final: {uses: free, with: {file: "${talk.result}"}}
outputs: {result: "${final.result}"}
"""
OUTER = """\
name: outer
kind: pipeline
summary: A choice that goes on to a pipeline
inputs:
  speaker: {type: choice, choices: [nice, free], default: free}
steps:
  inner: {uses: pipe, with: {voice: "${inputs.speaker}"}}
outputs: {result: "${inner.result}"}
"""
FIXED = """\
name: fixed
kind: pipeline
summary: Always the same voice
inputs: {}
steps:
  talk: {uses: nice}
outputs: {result: "${talk.result}"}
"""
FALLS = """\
name: falls
kind: pipeline
summary: What takes over
inputs: {}
steps:
  talk: {uses: big, fallback: [nice, free]}
outputs: {result: "${talk.result}"}
"""
HUB = """\
name: hub
summary: Any repo
tasks: [talk]
license:
  code: MIT
  weights: Apache-2.0
  commercial: true
  models:
    org/free: {weights: OpenRAIL, commercial: true}
    org/paid: {weights: CC-BY-NC-4.0, commercial: false}
inputs:
  model: {type: string, default: org/own}
  refiner: {type: string, optional: true}
outputs: {result: {type: file, default: result.txt}}
weights: [{repo: "${inputs.model}"}, {repo: "${inputs.refiner}"}]
loras: true
"""
ITEMS = """\
name: items
kind: pipeline
summary: A repo for each item
inputs: {models: {type: list, of: string}}
steps:
  each: {uses: hub, foreach: {model: "${inputs.models}"}, with: {model: "${model}"}}
  last: {uses: gather, with: {parts: "${each.result}"}}
outputs: {result: "${last.result}"}
"""
GATHER = f"""\
name: gather
summary: Many files
{MAY.replace("talk", "join")}
inputs: {{parts: {{type: list, of: file}}}}
outputs: {{result: {{type: file, default: result.txt}}}}
"""
WRITER = f"""\
name: writer
summary: Writes which repos to use
{MAY.replace("talk", "write")}
inputs: {{}}
outputs: {{scenes: {{type: json, default: scenes.json}}}}
"""
WRITTEN = ITEMS.replace("name: items", "name: written").replace(
    'steps:\n  each: {uses: hub, foreach: {model: "${inputs.models}"}',
    'steps:\n  script: {uses: writer}\n  each: {uses: hub, foreach: {model: "${script.scenes}"}',
).replace("{models: {type: list, of: string}}", "{}")  # fmt: skip


def with_license(name: str, license: str, *, gpu: str = "none") -> str:
    return SAY.format(name=name, gpu=gpu).replace("license: {code: Apache-2.0}", license)


@pytest.fixture(autouse=True)
def examples(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU; `nice` may not be sold, `free` and `other` may."""
    monkeypatch.setenv("PATH", str(bench.folder / "nothing"))
    bench.add("nice", with_license("nice", MAY_NOT))
    bench.add("free", with_license("free", MAY))
    bench.add("other", with_license("other", MAY))
    bench.add("big", with_license("big", MAY, gpu="required"))
    for text in (PIPE, OUTER, FIXED, FALLS, HUB, ITEMS, GATHER, WRITER, WRITTEN):
        bench.add(text.partition("\n")[0].removeprefix("name: "), text)


def refusal(bench: Bench, example: str, **options: Any) -> UserError:
    """Of a run that builds, starts and writes nothing."""
    with pytest.raises(UserError) as caught:
        bench.run(example, commercial=True, **options)
    assert caught.value.status == 2
    assert bench.calls("build", "pull", "create") == []
    assert bench.session.records.runs(limit=1) == [] and bench.leftovers() == []
    return caught.value


def test_a_model_that_may_not_be_sold_is_refused_and_others_of_its_task_are_named(
    bench: Bench,
) -> None:
    error = refusal(bench, "nice")
    assert error.message == "nice does not allow commercial use: code MIT, weights CC-BY-NC-4.0"
    assert error.hint.startswith("use big or free or hub or other: the same task")
    assert error.code == "not_commercial"
    assert bench.run("nice").outputs


def test_of_two_that_may_not_be_sold_neither_is_named_for_the_other(bench: Bench) -> None:
    """And whether one may is found out without asking what to use instead of it."""
    bench.add("also", with_license("also", MAY_NOT))
    for name in ("nice", "also"):
        assert "use big or free or hub or other: the same task" in refusal(bench, name).hint


def test_what_says_nothing_is_not_allowed(bench: Bench) -> None:
    error = refusal(bench, "say")
    assert error.message == "say does not allow commercial use: code Apache-2.0, weights none"
    assert error.hint == "no example within reach does the same task and allows it"


def test_a_choice_is_refused_by_step_and_the_other_choices_are_named(bench: Bench) -> None:
    assert bench.run("pipe", commercial=True, output="good.txt").outputs
    with pytest.raises(UserError) as caught:
        bench.run("pipe", voice="nice", commercial=True)
    assert caught.value.message.startswith("talk (nice) does not allow commercial use: code MIT")
    assert caught.value.hint == "give --voice free or other"


def test_a_choice_is_named_by_the_option_that_it_has_outside(bench: Bench) -> None:
    error = refusal(bench, "outer", speaker="nice")
    assert error.message.startswith("inner.talk (nice) ")
    assert error.hint == "give --speaker free or other"


def test_a_step_that_leaves_no_choice_is_refused(bench: Bench) -> None:
    error = refusal(bench, "fixed")
    assert error.message.startswith("talk (nice) ")
    assert "free" in error.hint and "the same task" in error.hint


def test_only_what_is_allowed_takes_over(bench: Bench) -> None:
    result = bench.run("falls", commercial=True)
    assert [taken.used for taken in result.fallbacks] == ["free"]
    told = "talk: nice cannot take over: talk (nice) does not allow commercial use"
    assert any(text.startswith(told) for text in bench.report.warnings)
    assert bench.run("falls", output="b.txt").fallbacks[0].used == "nice"


def test_when_nothing_that_is_allowed_can_take_over_it_is_known_before_the_first_step(
    bench: Bench,
) -> None:
    bench.add("stuck", FALLS.replace("falls", "stuck").replace(", free]", "]"))
    with pytest.raises(GpuError, match=r"^talk \(big\): this machine has no NVIDIA GPU"):
        bench.run("stuck", commercial=True)
    assert bench.calls("build", "create") == []
    assert bench.run("stuck").degraded


def test_a_dry_run_and_variations_refuse_the_same(bench: Bench) -> None:
    nice = Request(bench.catalog.find("nice"), options=Options(commercial=True))
    with pytest.raises(UserError, match="does not allow commercial use"):
        check_variations(bench.catalog, nice, (1, 2))
    falls = Request(bench.catalog.find("falls"), options=Options(commercial=True))
    plan = plan_of(bench.catalog, check_request(bench.catalog, falls, "run"))
    assert plan.data["steps"][0]["fallback"] == ["free"]


def test_a_repo_that_is_chosen_has_to_be_known(bench: Bench) -> None:
    """The hub is never asked: the error is there before."""
    paid = refusal(bench, "hub", model="org/paid")
    assert paid.message.startswith("hub with org/paid does not allow commercial use: code MIT")
    assert (paid.code, paid.hint) == ("not_commercial", "give --model org/own or org/free")
    strange = refusal(bench, "hub", model="org/strange")
    assert strange.message == (
        "hub with org/strange is not known to allow commercial use: code MIT, weights unknown"
    )
    assert strange.code == "unknown_license"
    assert strange.hint.endswith("or read its licence and give --no-commercial if it allows it")
    refiner = refusal(bench, "hub", refiner="org/paid")
    assert refiner.hint == "leave out --refiner"
    assert refiner.message.endswith("weights Apache-2.0 and CC-BY-NC-4.0")


def test_weights_of_the_users_own_are_not_known_to_be_allowed(bench: Bench) -> None:
    lora = bench.folder / "mine.safetensors"
    lora.write_bytes(b"x")
    error = refusal(bench, "hub", loras=(Lora(str(lora)),))
    assert error.hint.startswith("leave out --lora, or ")
    error = refusal(bench, "hub", weights={"org/own": str(bench.folder)})
    assert error.message.startswith("hub with --weights org/own is not known")


def test_items_that_are_known_are_refused_before_anything_starts(bench: Bench) -> None:
    error = refusal(bench, "items", models=["org/own", "org/paid"])
    assert error.message.startswith("each.1 (hub) with org/paid ")
    assert error.hint == "give --each.model org/own or org/free"


def test_items_that_a_step_makes_are_refused_before_they_run(bench: Bench) -> None:
    def play(container: FakeContainer) -> int:
        if step_of(container) == "script":
            output_of(container).write_text(json.dumps(["org/paid"]))
            return end_with(container, 0)
        return say(container)

    bench.play(play)
    with pytest.raises(UserError, match=r"each\.0 \(hub\) with org/paid does not allow"):
        bench.run("written", commercial=True)
    assert len(bench.calls("create")) == 1


def test_a_broken_example_within_reach_keeps_no_hint_from_being_given(bench: Bench) -> None:
    bench.add("broken", "name: broken\nkind: modle\n")
    assert "free" in refusal(bench, "nice").hint


def test_bad_input_is_told_all_the_same(bench: Bench) -> None:
    with pytest.raises(InputError, match="no input"):
        bench.run("nice", commercial=True, txet="hi")


def test_the_licence_of_each_step_is_in_the_result_and_in_its_sidecar(bench: Bench) -> None:
    result = bench.run("pipe", voice="nice", sidecar=True, seed=1)
    made_by = read_statement(bench.target).provenance
    assert made_by is not None
    assert {name: origin.license for name, origin in made_by.steps.items()} == {
        "talk": Terms("MIT", "CC-BY-NC-4.0", commercial=False),
        "final": Terms("MIT", "Apache-2.0", commercial=True),
    }
    told = {"code": "MIT", "weights": "CC-BY-NC-4.0", "commercial": False}
    assert run_data(result)["steps"]["talk"]["license"] == told
    again = bench.run("pipe", voice="nice", output="b.txt", seed=1)
    assert all(step.cached for step in again.steps.values())
    assert run_data(again)["steps"]["talk"]["license"] == told
    assert decode(encode(made_by)) == made_by
