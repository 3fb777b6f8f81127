"""Variations: one request with several seeds, each a run of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from cvl.cli.running import variations_data
from cvl.engine.fake import FakeContainer
from cvl.errors import EngineError, InputError, TargetExistsError
from cvl.ops.dryrun import plan_of_variations
from cvl.ops.request import Options, Request
from cvl.ops.variations import Outcome, check_variations, run_variations
from tests.ops.bench import Bench, end_with, output_of, request_of, say

PAIR = """\
name: pair
summary: Writes two files
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs: {text: {type: string, default: hi}}
outputs:
  first: {type: file, default: first.txt}
  second: {type: file, default: second.txt}
"""
FRAMES = """\
name: frames
summary: Writes a folder
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs: {text: {type: string, default: hi}}
outputs: {frames: {type: directory, default: v1.0}}
"""
CHAIN = """\
name: chain
kind: pipeline
summary: Says it twice
inputs: {text: {type: string, default: hi}}
steps:
  one: {uses: say, with: {text: "${inputs.text}"}}
  two: {uses: say, with: {text: "${inputs.text}", file: "${one.result}"}}
outputs: {result: "${two.result}"}
"""


@pytest.fixture(autouse=True)
def in_the_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that nobody chose are in the working folder."""
    (bench.folder / "out").mkdir()
    monkeypatch.chdir(bench.folder / "out")


def request_for(
    bench: Bench,
    output: str | None = None,
    example: str = "say",
    inputs: dict[str, Any] | None = None,
    **options: Any,
) -> Request:
    outputs = {} if output is None else {"": output}
    return Request(bench.catalog.find(example), inputs or {}, outputs, {}, Options(**options))


def vary(bench: Bench, *seeds: int, **more: Any) -> Outcome:
    variations = check_variations(bench.catalog, request_for(bench, **more), seeds)
    return run_variations(bench.session, bench.catalog, variations)


def files() -> dict[str, str]:
    """Name -> text of everything in the working folder."""
    return {path.name: path.read_text() for path in sorted(Path().iterdir())}


def fail_for(*seeds: int) -> Any:
    """A program that fails with these seeds."""

    def program(container: FakeContainer) -> int:
        if request_of(container)["options"]["seed"] in seeds:
            return end_with(container, 1, ok=False, error={"type": "Oops", "message": "no"})
        return say(container)

    return program


def test_each_seed_is_a_run_of_its_own_with_a_file_that_says_it(bench: Bench) -> None:
    outcome = vary(bench, 3, 1, output="out.txt")
    assert files() == {"out-seed-0001.txt": "hi 1\n", "out-seed-0003.txt": "hi 3\n"}
    assert [result.seed for result in outcome.done] == [3, 1]
    records = bench.session.records.runs()
    assert {record.id for record in records} == {result.run for result in outcome.done}
    assert [record.outputs["result"][-17:] for record in records] == [
        "out-seed-0001.txt", "out-seed-0003.txt",
    ]  # fmt: skip
    assert (outcome.error, outcome.failed, outcome.left) == (None, (), ())
    assert bench.leftovers() == []


def test_only_new_seeds_start_containers_through_a_chain_too(bench: Bench) -> None:
    bench.add("chain", CHAIN)
    vary(bench, 1, 2, example="chain")
    assert len(bench.calls("create")) == 4
    again = vary(bench, 1, 2, example="chain")
    assert len(bench.calls("create")) == 4
    assert [result.unchanged for result in again.done] == [("result",), ("result",)]
    vary(bench, 1, 2, 3, example="chain")
    assert len(bench.calls("create")) == 6


def test_an_unseeded_result_is_never_taken_for_a_variation(bench: Bench) -> None:
    bench.run(output="any.txt")
    made = vary(bench, 1, 2, 3)
    assert len({Path(result.outputs["result"]).read_text() for result in made.done}) == 3


def test_a_failure_of_one_leaves_the_others(bench: Bench) -> None:
    bench.play(fail_for(2, 4))
    outcome = vary(bench, 1, 2, 3, 4)
    assert list(files()) == ["result-seed-0001.txt", "result-seed-0003.txt"]
    error = outcome.error
    assert error is not None
    assert (error.status, error.code) == (1, "step_failed")
    assert error.message.startswith("seed 2: ")
    assert error.message.endswith("(failed: 2,4; done: 1,3)")
    assert [w for w in bench.report.warnings if w.startswith("seed 4: ")]
    assert [record.state for record in bench.session.records.runs()] == [
        "failed", "ok", "failed", "ok",
    ]  # fmt: skip
    assert bench.leftovers() == []


def test_the_first_failure_decides_the_exit_code(bench: Bench) -> None:
    def program(container: FakeContainer) -> int:
        """The first ends well and writes nothing, the second fails."""
        return 0 if request_of(container)["options"]["seed"] == 1 else 1

    bench.play(program)
    outcome = vary(bench, 1, 2)
    assert outcome.error is not None and outcome.error.status == 6
    assert [failed.error.status for failed in outcome.failed] == [6, 1]


def test_what_is_wrong_for_all_stops_them(bench: Bench) -> None:
    def program(container: FakeContainer) -> int:
        bench.engine.fail("create", EngineError("no more containers"))
        return say(container)

    bench.play(program)
    outcome = vary(bench, 1, 2, 3, 4)
    error = outcome.error
    assert error is not None and error.status == 3
    assert error.message.endswith("(failed: 2; done: 1; not started: 3..4)")
    assert list(files()) == ["result-seed-0001.txt"]
    assert bench.leftovers() == []


def test_a_signal_stops_all_and_speaks_before_an_earlier_failure(bench: Bench) -> None:
    def program(container: FakeContainer) -> int:
        seed = request_of(container)["options"]["seed"]
        if seed == 1:
            return 1
        if seed == 3:
            bench.session.cancel.request(signal.SIGINT)
        return say(container)

    bench.play(program)
    outcome = vary(bench, 1, 2, 3, 4)
    assert outcome.error is not None and outcome.error.status == 130
    assert outcome.error.message == ("seed 3: cancelled (failed: 1,3; done: 2; not started: 4)")
    assert list(files()) == ["result-seed-0002.txt"]
    assert bench.leftovers() == []


def test_a_file_in_the_way_is_refused_before_any_other_has_run(bench: Bench) -> None:
    Path("out-seed-0003.txt").write_text("mine")
    outcome = vary(bench, 1, 2, 3, output="out.txt")
    assert isinstance(outcome.failed[0].error, TargetExistsError)
    assert (outcome.done, outcome.left) == ((), (1, 2))
    assert bench.calls("create") == []
    assert files() == {"out-seed-0003.txt": "mine"}


def test_files_that_are_there_already_are_no_hindrance_to_new_ones(bench: Bench) -> None:
    vary(bench, 4, 2, output="out.txt")
    outcome = vary(bench, 1, 2, 3, 4, output="out.txt")
    assert [(result.seed, result.unchanged) for result in outcome.done] == [
        (1, ()), (2, ("result",)), (3, ()), (4, ("result",)),
    ]  # fmt: skip
    assert len(bench.calls("create")) == 4


def test_overwriting_goes_for_each(bench: Bench) -> None:
    Path("out-seed-0002.txt").write_text("mine")
    assert vary(bench, 1, 2, output="out.txt", overwrite=True).error is None
    assert files() == {"out-seed-0001.txt": "hi 1\n", "out-seed-0002.txt": "hi 2\n"}


@pytest.mark.parametrize("output", ["none/out.txt", "there", "{seed}/out.txt", ""])
def test_a_bad_place_is_told_before_anything_runs(bench: Bench, output: str) -> None:
    Path("there").mkdir()
    Path("1").mkdir()
    with pytest.raises(InputError):
        vary(bench, 1, 2, output=output)
    assert bench.engine.calls == []


def test_two_variations_are_never_one_file(bench: Bench) -> None:
    bench.add("pair", PAIR)
    request = Request(
        bench.catalog.find("pair"), {}, {"first": "1{seed}.txt", "second": "{seed}1.txt"}
    )
    with pytest.raises(InputError, match="two variations have the same path"):
        check_variations(bench.catalog, request, (12, 21))


def test_the_placeholder_names_files_also_of_a_single_run(bench: Bench) -> None:
    assert vary(bench, 1, 20, output="{seed}.txt").error is None
    assert files() == {"1.txt": "hi 1\n", "20.txt": "hi 20\n"}
    for _ in range(2):
        result = bench.run(output="out/any-{seed}.txt")
        assert Path(result.outputs["result"]).name == f"any-{result.seed}.txt"
    assert len(list(Path().glob("any-*.txt"))) == 2


def test_every_output_and_sidecar_says_its_seed(bench: Bench) -> None:
    def both(container: FakeContainer) -> int:
        request = request_of(container)
        for path in request["outputs"].values():
            container.host(path).write_text(f"{path} {request['options']['seed']}")
        return 0

    bench.add("pair", PAIR)
    bench.play(both)
    outcome = vary(bench, 1, 2, example="pair", sidecar=True)
    stems = [f"{name}-seed-000{seed}.txt" for name in ("first", "second") for seed in (1, 2)]
    assert sorted(files()) == sorted([*stems, *(f"{stem}.cvl.json" for stem in stems)])
    sidecar = json.loads(Path("second-seed-0002.txt.cvl.json").read_text())
    assert (sidecar["run"], sidecar["provenance"]["seed"]) == (outcome.done[1].run, 2)


def test_folders_get_seeds_and_numbers_too(bench: Bench) -> None:
    def frames(container: FakeContainer) -> int:
        output_of(container).mkdir()
        (output_of(container) / "0.txt").write_text(str(request_of(container)))
        return 0

    bench.add("frames", FRAMES)
    bench.play(frames)
    vary(bench, 1, 2, example="frames")
    vary(bench, 1, 2, example="frames")
    names = ["v1.0-seed-0001", "v1.0-seed-0002"]
    assert sorted(path.name for path in Path().iterdir()) == names
    vary(bench, 2, example="frames", inputs={"text": "other"})
    assert sorted(path.name for path in Path().iterdir()) == [*names, "v1.0-seed-0002-2"]


def test_a_dry_run_shows_the_steps_once_and_every_seed(bench: Bench) -> None:
    bench.add("chain", CHAIN)
    request = request_for(bench, "out.txt", "chain")
    plan = plan_of_variations(bench.catalog, check_variations(bench.catalog, request, (10, 11, 12)))
    assert [step["step"] for step in plan.data["steps"]] == ["one", "two"]
    folder = bench.folder / "out"
    assert plan.data["variations"] == [
        {"seed": seed, "outputs": {"result": f"{folder}/out-seed-00{seed}.txt"}}
        for seed in (10, 11, 12)
    ]
    assert sum(" -> " in line for line in plan.lines) == 3
    assert bench.engine.calls == []


def test_what_is_told_has_every_seed_once(bench: Bench) -> None:
    bench.play(fail_for(2))
    data = variations_data(vary(bench, 1, 2, 3))
    assert [run["seed"] for run in data["runs"]] == [1, 3]
    (failed,) = data["failed"]
    assert (failed["seed"], failed["exit"], failed["error"]["code"]) == (2, 1, "step_failed")
    assert failed["run"] in {record.id for record in bench.session.records.runs()}
    assert data["not_started"] == []


def test_an_engine_that_does_not_answer_is_told_once(bench: Bench) -> None:
    bench.engine.fail("facts", EngineError("no engine"), times=9)
    outcome = vary(bench, 1, 2)
    assert outcome.error is not None
    assert (outcome.error.status, outcome.left) == (3, (2,))
    assert bench.session.records.runs() == []
