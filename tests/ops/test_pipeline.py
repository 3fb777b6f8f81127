"""Steps of a pipeline: side by side where they can, in order where they must, and ended
together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cvl.engine.fake import TERMINATED, FakeContainer, Program
from cvl.errors import Cancelled, EngineError, InputError, StepError
from tests.ops.bench import WAIT_S, Bench, output_of, request_of, say, step_of

JOIN = """\
name: join
summary: Two files in a row
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs:
  first: {type: file}
  second: {type: file}
outputs:
  result: {type: file, default: result.txt}
"""
FORK = """\
name: fork
kind: pipeline
summary: Two at once, then one
inputs:
  text: {type: string, default: hi}
steps:
  left: {uses: say, with: {text: left}}
  right: {uses: say, with: {text: "${inputs.text}"}}
  last: {uses: join, with: {first: "${left.result}", second: "${right.result}"}}
outputs: {result: "${last.result}"}
"""
CHAIN = """\
name: chain
kind: pipeline
summary: One after the other
inputs:
  text: {type: string, default: hi}
steps:
  second: {uses: say, with: {text: two, file: "${first.result}"}}
  first: {uses: say, with: {text: "${inputs.text}"}}
outputs: {result: "${second.result}"}
"""
TWINS = """\
name: twins
kind: pipeline
summary: The same step twice
inputs: {}
steps:
  left: {uses: say, with: {text: same}}
  right: {uses: say, with: {text: same}}
  last: {uses: join, with: {first: "${left.result}", second: "${right.result}"}}
outputs: {result: "${last.result}"}
"""
NEST = """\
name: nest
kind: pipeline
summary: A pipeline in a pipeline, with steps of the same names
inputs:
  which: {type: choice, choices: [chain, say], default: chain}
steps:
  first: {uses: say, with: {text: outer}}
  inner: {uses: "${inputs.which}", with: {text: inner}}
  last: {uses: join, with: {first: "${first.result}", second: "${inner.result}"}}
outputs: {result: "${last.result}"}
"""


@pytest.fixture(autouse=True)
def pipelines(bench: Bench) -> None:
    texts = {"join": JOIN, "fork": FORK, "chain": CHAIN, "twins": TWINS, "nest": NEST}
    for name, text in texts.items():
        bench.add(name, text)
    bench.play(acts())


def join(container: FakeContainer) -> int:
    inputs = request_of(container)["inputs"]
    texts = [container.host(inputs[name]).read_text() for name in ("first", "second")]
    output_of(container).write_text("".join(texts))
    return 0


def acts(**steps: Program) -> Program:
    """A program by step; the others say or join."""

    def play(container: FakeContainer) -> int:
        usual: Callable[[FakeContainer], int] = join if step_of(container) == "last" else say
        return steps.get(step_of(container), usual)(container)

    return play


def test_steps_that_do_not_need_each_other_run_at_the_same_time(bench: Bench) -> None:
    """Each waits until the other runs: one after the other, neither would end."""
    both = threading.Barrier(2)

    def meet(container: FakeContainer) -> int:
        both.wait(WAIT_S)
        return say(container)

    bench.play(acts(left=meet, right=meet))
    bench.run("fork", seed=1)
    assert bench.target.read_text() == "left 1\nhi 1\n"
    assert bench.leftovers() == []


def test_a_step_starts_once_all_that_it_needs_is_there(bench: Bench) -> None:
    order: list[str] = []

    def note(container: FakeContainer) -> int:
        order.append(step_of(container))
        return say(container)

    bench.play(acts(first=note, second=note))
    bench.run("chain", seed=1)
    assert order == ["first", "second"]
    assert bench.target.read_text() == "hi 1\ntwo 1\n"


def test_a_pipeline_again_is_all_found(bench: Bench) -> None:
    bench.run("fork")
    again = bench.run("fork", output="again.txt")
    assert {name: step.cached for name, step in again.steps.items()} == {
        "left": True, "right": True, "last": True,
    }  # fmt: skip


def test_only_what_a_change_reaches_runs_again(bench: Bench) -> None:
    bench.run("fork", seed=1)
    again = bench.run("fork", seed=1, text="ho", output="again.txt")
    assert {name for name, step in again.steps.items() if not step.cached} == {"right", "last"}


def test_a_step_that_is_there_twice_is_done_once(bench: Bench) -> None:
    result = bench.run("twins", seed=1)
    assert sorted(result.steps[name].cached for name in ("left", "right")) == [False, True]
    assert bench.target.read_text() == "same 1\nsame 1\n"


def test_after_the_first_failure_nothing_starts_and_what_runs_is_kept_for_the_next_try(
    bench: Bench,
) -> None:
    running, failed = threading.Event(), threading.Event()

    def fail(container: FakeContainer) -> int:
        running.wait(WAIT_S)
        failed.set()
        return 3

    def slow(container: FakeContainer) -> int:
        running.set()
        failed.wait(WAIT_S)
        return say(container)

    bench.play(acts(left=fail, right=slow))
    with pytest.raises(StepError, match=r"left failed \(exit 3\)"):
        bench.run("fork", seed=1)
    assert "last" not in {step for step, _, _ in bench.report.phases}
    assert bench.leftovers() == []
    assert not bench.target.exists()
    bench.play(acts())
    again = bench.run("fork", seed=1)
    assert {name for name, step in again.steps.items() if step.cached} == {"right"}


def test_a_cancel_ends_every_step_that_runs(bench: Bench) -> None:
    both = threading.Barrier(3)

    def patient(container: FakeContainer) -> int:
        both.wait(WAIT_S)
        container.wait_for_stop()
        return TERMINATED

    bench.play(acts(left=patient, right=patient))
    with ThreadPoolExecutor() as pool:
        run = pool.submit(bench.run, "fork")
        both.wait(WAIT_S)
        bench.session.cancel.request(signal.SIGTERM)
        with pytest.raises(Cancelled) as error:
            run.result(WAIT_S)
    assert error.value.status == 143
    assert bench.calls("stop") == ["stop", "stop"]
    assert bench.leftovers() == []
    assert not bench.target.exists()


def test_an_engine_that_is_lost_under_one_step_publishes_nothing(bench: Bench) -> None:
    def go_away(container: FakeContainer) -> int:
        bench.engine.lose()
        container.wait_for_kill()
        return 0

    bench.play(acts(second=go_away))
    with pytest.raises(EngineError) as error:
        bench.run("chain", seed=1)
    assert error.value.code == "engine_lost"
    assert not bench.target.exists()
    bench.engine.come_back()
    bench.play(acts())
    assert bench.run("chain", seed=1).steps["first"].cached


def test_steps_of_a_pipeline_in_a_pipeline_have_names_folders_and_logs_of_their_own(
    bench: Bench,
) -> None:
    result = bench.run("nest", seed=1)
    assert set(result.steps) == {"first", "inner.first", "inner.second", "last"}
    assert bench.target.read_text() == "outer 1\ninner 1\ntwo 1\n"
    logs = {path.name for path in (bench.session.dirs.runs / result.run).glob("*.log")}
    assert logs == {"first.log", "inner.first.log", "inner.second.log", "last.log"}


def test_what_a_step_uses_may_be_chosen(bench: Bench) -> None:
    result = bench.run("nest", which="say", seed=1)
    assert set(result.steps) == {"first", "inner", "last"}
    assert bench.target.read_text() == "outer 1\ninner 1\n"


def test_a_value_that_no_example_takes_is_told_before_the_engine_is_asked(bench: Bench) -> None:
    with pytest.raises(InputError, match="which"):
        bench.run("nest", which="sing")
    assert bench.engine.calls == []


def test_the_way_to_the_output_is_looked_at_before_any_step_works(bench: Bench) -> None:
    bench.target.write_text("mine")
    with pytest.raises(Exception, match="exists"):
        bench.run("fork")
    assert bench.calls("build", "create") == []
