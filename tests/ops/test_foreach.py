"""A step per item: names, order, how many at a time, and what one failing item means."""

from __future__ import annotations

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cvl.engine.fake import TERMINATED, FakeContainer
from cvl.errors import Cancelled, InputError, OutputError, StepError
from cvl.ops.dryrun import plan_of
from cvl.ops.pipeline import _Pipeline
from cvl.ops.request import Request, check_request
from tests.ops.bench import WAIT_S, Bench, output_of, request_of, say, step_of

SCRIPT = """\
name: script
summary: Scenes
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs: {}
outputs:
  scenes: {type: json, default: scenes.json}
"""
COLLECT = """\
name: collect
summary: Many files in a row
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs:
  parts: {type: list, of: file}
outputs:
  result: {type: file, default: result.txt}
"""
SCENES = """\
name: scenes
kind: pipeline
summary: A file per scene, and all in one
inputs: {}
steps:
  script: {uses: script}
  clip: {uses: say, foreach: {scene: "${script.scenes}"}, with: {text: "${scene.text}"}}
  film: {uses: collect, with: {parts: "${clip.result}"}}
outputs: {result: "${film.result}"}
"""
WORDS = """\
name: words
kind: pipeline
summary: A file per word that was given
inputs:
  words: {type: list, of: string}
steps:
  clip: {uses: say, foreach: {word: "${inputs.words}"}, with: {text: "${word}"}}
  twice: {uses: say, foreach: {part: "${clip.result}"}, with: {text: after, file: "${part}"}}
  film: {uses: collect, with: {parts: "${twice.result}"}}
outputs: {result: "${film.result}"}
"""
NESTED = """\
name: nested
kind: pipeline
summary: A pipeline per item
inputs:
  lists: {type: json}
steps:
  inner: {uses: words, foreach: {words: "${inputs.lists}"}, with: {words: "${words}"}}
  film: {uses: collect, with: {parts: "${inner.result}"}}
outputs: {result: "${film.result}"}
"""
APART = """\
name: apart
kind: pipeline
summary: Items, and a step beside them
inputs: {}
steps:
  script: {uses: script}
  other: {uses: say, with: {text: bad}}
  clip:
    uses: say
    foreach: {scene: "${script.scenes}"}
    at_once: 1
    with: {text: "${scene.text}"}
  film: {uses: collect, with: {parts: "${clip.result}"}}
outputs: {result: "${film.result}", other: "${other.result}"}
"""
PICK = """\
name: pick
kind: pipeline
summary: What an item says
inputs: {by: {type: choice, choices: [say, echo], default: say}}
steps:
  voice: {uses: "${inputs.by}", with: {text: picked}}
outputs: {result: "${voice.result}"}
"""
PICKS = """\
name: picks
kind: pipeline
summary: Many picks
inputs: {items: {type: json}}
steps:
  one: {uses: pick, foreach: {pick: "${inputs.items}"}, with: {by: "${pick.by}"}}
  film: {uses: collect, with: {parts: "${one.result}"}}
outputs: {result: "${film.result}"}
"""
TWELVE = [{"text": f"scene {number}"} for number in range(12)]


class Stage:
    """Plays the script, the clips and the film; `fails`: texts that fail."""

    def __init__(self, scenes: Any, fails: tuple[str, ...] = ()) -> None:
        self.scenes, self.fails = scenes, fails
        self.began: list[str] = []

    def __call__(self, container: FakeContainer) -> int:
        inputs = request_of(container)["inputs"]
        if "text" in inputs:
            self.began.append(step_of(container))
            return 3 if inputs["text"] in self.fails else say(container)
        if "parts" in inputs:
            texts = [container.host(part).read_text() for part in inputs["parts"]]
            output_of(container).write_text("".join(texts) or "nothing\n")
        else:
            output_of(container).write_text(json.dumps(self.scenes))
        return 0


@pytest.fixture(autouse=True)
def pipelines(bench: Bench) -> None:
    texts = {
        "script": SCRIPT, "collect": COLLECT, "scenes": SCENES, "words": WORDS, "nested": NESTED,
        "apart": APART,
    }  # fmt: skip
    for name, text in texts.items():
        bench.add(name, text)
    bench.add("echo")


def test_each_item_is_a_step_of_its_own_and_the_outputs_are_a_list_in_order(bench: Bench) -> None:
    bench.play(Stage(TWELVE))
    result = bench.run("scenes", seed=1)
    assert set(result.steps) == {"script", "film", *(f"clip.{number}" for number in range(12))}
    assert bench.target.read_text() == "".join(f"scene {number} 1\n" for number in range(12))
    logs = {path.name for path in (bench.session.dirs.runs / result.run).glob("*.log")}
    assert logs == {f"{step}.log" for step in result.steps}
    assert bench.leftovers() == []


def test_of_twelve_items_one_fails_the_rest_finish_and_the_next_run_does_that_one_only(
    bench: Bench,
) -> None:
    first = Stage(TWELVE, fails=("scene 7",))
    bench.play(first)
    said = r"item 7 of clip \(scene 7\): clip.7 failed \(exit 3\)$"
    with pytest.raises(StepError, match=said) as error:
        bench.run("scenes")
    assert error.value.status == 1
    assert sorted(first.began) == sorted(f"clip.{number}" for number in range(12))
    assert ("clip.7", "failed") in [(step, phase) for step, phase, _ in bench.report.phases]
    assert not bench.target.exists()
    assert bench.leftovers() == []
    second = Stage(TWELVE)
    bench.play(second)
    again = bench.run("scenes")
    assert second.began == ["clip.7"]
    assert {name for name, step in again.steps.items() if not step.cached} == {"clip.7", "film"}


def test_of_several_failures_the_first_is_told_and_the_others_are_named(bench: Bench) -> None:
    bench.play(Stage(TWELVE, fails=("scene 2", "scene 9", "scene 11")))
    said = r"^item 2 of clip \(scene 2\).*\(items 9, 11 failed too\)"
    with pytest.raises(StepError, match=said):
        bench.run("scenes")


def test_four_items_run_at_once_and_no_more(bench: Bench) -> None:
    """Four meet; a fifth beside them would be counted."""
    four, now, most = threading.Barrier(4), 0, 0
    lock, stage = threading.Lock(), Stage(TWELVE)

    def meet(container: FakeContainer) -> int:
        nonlocal now, most
        if not step_of(container).startswith("clip."):
            return stage(container)
        with lock:
            now += 1
            most = max(most, now)
        four.wait(WAIT_S)
        with lock:
            now -= 1
        return stage(container)

    bench.play(meet)
    bench.run("scenes")
    assert most == 4


def test_an_item_may_be_a_plain_value_or_what_each_of_other_items_made(bench: Bench) -> None:
    bench.play(Stage([]))
    bench.run("words", words=["a", "b"], seed=1)
    assert bench.target.read_text() == "a 1\nafter 1\nb 1\nafter 1\n"


def test_a_pipeline_may_run_for_each_item(bench: Bench) -> None:
    bench.play(Stage([]))
    result = bench.run("nested", lists=[["a"], ["b", "c"]], seed=1)
    assert {"inner.0.clip.0", "inner.1.clip.1", "inner.1.film", "film"} <= set(result.steps)
    assert bench.target.read_text() == "a 1\nafter 1\nb 1\nafter 1\nc 1\nafter 1\n"


def test_items_wait_for_nothing_once_another_step_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve items one runs when another step fails: it goes on to its end, the others do not
    begin."""
    over, began = threading.Event(), threading.Event()
    stop = _Pipeline._stop_the_others

    def tell(pipeline: _Pipeline, running: Any) -> None:
        stop(pipeline, running)
        over.set()

    monkeypatch.setattr(_Pipeline, "_stop_the_others", tell)
    stage = Stage(TWELVE, fails=("bad",))

    def act(container: FakeContainer) -> int:
        if step_of(container) == "other":
            began.wait(WAIT_S)
        elif step_of(container).startswith("clip"):
            began.set()
            over.wait(WAIT_S)
        return stage(container)

    bench.play(act)
    with pytest.raises(StepError, match="other failed"):
        bench.run("apart")
    assert sorted(stage.began) == ["clip.0", "other"]


def test_an_item_may_choose_what_a_pipeline_inside_uses(bench: Bench) -> None:
    bench.add("pick", PICK)
    bench.add("picks", PICKS)
    head, _, _ = PICKS.replace("name: picks", "name: usual").partition("  one:")
    bench.add("usual", f'{head}  one: {{uses: pick}}\noutputs: {{result: "${{one.result}}"}}\n')
    bench.play(Stage([]))
    bench.run("picks", items=[{"by": "say"}, {"by": "echo"}], seed=1)
    assert bench.target.read_text() == "picked 1\npicked 1\n"
    assert set(bench.run("usual", items=[], output="usual.txt").steps) == {"one.voice"}
    with pytest.raises(InputError, match=r"item 0 of one \(sing\): --by is 'sing'"):
        bench.run("picks", items=[{"by": "sing"}])


def test_a_cancel_ends_the_items_that_run_and_starts_no_other(bench: Bench) -> None:
    four = threading.Barrier(5)
    stage = Stage(TWELVE)

    def patient(container: FakeContainer) -> int:
        if not step_of(container).startswith("clip."):
            return stage(container)
        four.wait(WAIT_S)
        container.wait_for_stop()
        return TERMINATED

    bench.play(patient)
    with ThreadPoolExecutor() as pool:
        run = pool.submit(bench.run, "scenes")
        four.wait(WAIT_S)
        bench.session.cancel.request(signal.SIGTERM)
        with pytest.raises(Cancelled) as error:
            run.result(WAIT_S)
    assert error.value.status == 143
    assert bench.calls("stop") == ["stop"] * 4
    assert bench.leftovers() == []


def test_no_items_are_an_empty_list(bench: Bench) -> None:
    bench.play(Stage([]))
    assert set(bench.run("scenes").steps) == {"script", "film"}
    assert bench.target.read_text() == "nothing\n"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"text": 5}, r"item 1 of clip \(.*\): --text is text, not 5"),
        ({"txt": "b"}, r"item 1 of clip \(b\): it has no field 'text'"),
        ("b", r"item 1 of clip \(b\): it has no field 'text'"),
    ],
)
def test_a_field_that_does_not_do_is_told_with_its_item(bench: Bench, item: Any, said: str) -> None:
    stage = Stage([{"text": "a"}, item, {"text": "c"}])
    bench.play(stage)
    with pytest.raises(InputError, match=said) as error:
        bench.run("scenes")
    assert error.value.status == 2
    assert sorted(stage.began) == ["clip.0", "clip.2"]


def test_what_a_step_made_is_a_list_or_a_bad_output(bench: Bench) -> None:
    bench.play(Stage({"text": "a"}))
    with pytest.raises(OutputError, match=r"\$\{script.scenes\} is not a list"):
        bench.run("scenes")


def test_a_given_item_that_does_not_do_is_told_before_the_engine_is_asked(bench: Bench) -> None:
    with pytest.raises(InputError, match=r"item 0 of inner \(7\): .*--words is text, not 7"):
        bench.run("nested", lists=[7])
    with pytest.raises(InputError, match="is not a list"):
        bench.run("nested", lists={"a": 1})
    assert bench.engine.calls == []


def test_a_dry_run_shows_items_that_were_given_and_where_the_others_come_from(
    bench: Bench,
) -> None:
    def planned(example: str, **inputs: Any) -> list[tuple[str, str]]:
        request = Request(bench.catalog.find(example), inputs, {"": str(bench.target)})
        plan = plan_of(bench.catalog, check_request(bench.catalog, request, "run"))
        return [(step["step"], step["foreach"]) for step in plan.data["steps"]]

    assert planned("scenes") == [
        ("script", ""), ("clip.*", "${script.scenes}"), ("film", ""),
    ]  # fmt: skip
    given = [("clip.0", ""), ("clip.1", ""), ("twice.*", "${clip.result}"), ("film", "")]
    assert planned("words", words=["a", "b"]) == given
    assert ("inner.1.clip.0", "") in planned("nested", lists=[["a"], ["b"]])
