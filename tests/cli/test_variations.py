"""Seeds on the command line: what is refused before anything starts, and what a plan shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from cvl.cli.live import LiveReport
from cvl.cli.progress import Clock
from cvl.ops.report import Progress as Event
from tests.cli.conftest import Run, envelope_of

PREDICT = ("run", "stub", "predict")


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ((*PREDICT, "--seed", "x"), "--seed is 'x'", "give a number, a range like 1..8, "),
        ((*PREDICT, "--seed=-1"), "--seed is '-1'", "it must be between 0 and 2147483647; "),
        ((*PREDICT, "--seed", "1-8"), "--seed is '1-8'", "did you mean 1..8?"),
        ((*PREDICT, "--seed", "8..1"), "--seed 8..1 runs backwards", "did you mean 1..8?"),
        ((*PREDICT, "--seed", "0..9999"), "--seed names more than 1000 seeds", "run it in"),
        ((*PREDICT, "--count", "0"), "invalid value for '--count': 0 is not in", "see --help"),
        ((*PREDICT, "--count", "1001"), "invalid value for '--count': 1001 is not", "see --help"),
        (
            (*PREDICT, "--count", "2", "--seed", "1..2"),
            "--count 2 and 2 seeds say different things",
            "leave --count out, ",
        ),
        (("run", "stub", "test", "--seed", "1,2"), "test makes no variations", "give one --seed"),
        (("run", "stub", "test", "--count", "2"), "test makes no variations", "give one --seed"),
        (("run", "stub", "build", "--count", "2"), "build makes no variations", "give one"),
        (
            (*PREDICT, "--seed", "1,2", "--output", "none/out.txt"),
            "--output: there is no folder",
            "",
        ),
    ],
)
def test_a_bad_seed_is_one_sentence_and_a_hint(
    bare: Run, tmp_path: Path, words: tuple[str, ...], error: str, hint: str
) -> None:
    result = bare(*words)
    assert (result.returncode, result.stdout) == (2, "")
    told, *more = result.stderr.splitlines()
    assert told.startswith(f"error: {error}")
    assert [line[: 6 + len(hint)] for line in more] == ([f"hint: {hint}"] if hint else [])
    assert not (tmp_path / "home" / "state").exists()


def _planned(bare: Run, *words: str) -> dict[int, str]:
    """Seed -> file name of a dry run."""
    data = envelope_of(bare(*PREDICT, *words, "--dry-run", "--json"), "run")["data"]
    return {v["seed"]: Path(v["outputs"]["result"]).name for v in data["variations"]}


def test_a_plan_shows_every_seed_with_its_file(bare: Run) -> None:
    assert _planned(bare, "--count", "3", "--seed", "10", "-o", "out.txt") == {
        10: "out-seed-0010.txt", 11: "out-seed-0011.txt", 12: "out-seed-0012.txt",
    }  # fmt: skip
    assert _planned(bare, "--seed", "7,1..2", "-o", "{seed}.txt") == {
        7: "7.txt", 1: "1.txt", 2: "2.txt",
    }  # fmt: skip
    text = bare(*PREDICT, "--seed", "1..2", "--dry-run").stdout
    assert text.count("seed ") == 2 and text.count("result-seed-") == 2


def test_a_count_alone_draws_as_many_seeds(bare: Run) -> None:
    first, second = _planned(bare, "--count", "40"), _planned(bare, "--count", "40")
    assert len(first) == len(second) == len(set(first.values())) == 40
    assert not first.keys() & second.keys()


def test_one_seed_is_told_as_ever(bare: Run) -> None:
    for words in ((), ("--seed", "7"), ("--count", "1"), ("--seed", "7..7", "--count", "1")):
        data = envelope_of(bare(*PREDICT, *words, "--dry-run", "--json"), "run")["data"]
        assert Path(data["outputs"]["result"]).name == "result.txt"
        assert "variations" not in data


def test_a_plan_says_that_a_name_may_be_numbered(bare: Run, tmp_path: Path) -> None:
    assert "(or numbered)" not in bare(*PREDICT, "--dry-run").stdout
    (tmp_path / "result.txt").write_text("mine")
    assert "result.txt (or numbered)" in bare(*PREDICT, "--dry-run").stdout
    chosen = bare(*PREDICT, "--dry-run", "-o", "result.txt")
    assert "(or numbered)" not in chosen.stdout


def test_several_that_fail_keep_to_the_schema(bare: Run) -> None:
    envelope = envelope_of(bare(*PREDICT, "--seed", "1..3", "--json"), "run", 3)
    assert envelope["error"]["code"] == "engine_unreachable"
    assert envelope["error"]["message"].endswith("(failed: 1; not started: 2..3)")
    assert (envelope["data"]["runs"], envelope["data"]["not_started"]) == ([], [2, 3])


def test_a_rate_is_of_this_variation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((0.0, 1.0, 100.0, 101.0))
    monkeypatch.setattr("cvl.cli.progress.time.monotonic", lambda: next(now))
    clock = Clock()
    rates = []
    for _ in range(2):
        clock.begin("talk")
        rates += [clock.estimate(Event("talk", "run", n, 10, "frames"))[0] for n in (0, 5)]
    assert rates == [None, 5.0, None, 5.0]


def test_the_steps_of_the_next_variation_begin_anew_on_a_terminal() -> None:
    bars = Progress(console=Console(file=io.StringIO()))
    report = LiveReport(bars)
    for phase in ("run", "done"):
        report.phase("talk", phase)
    assert [task.finished for task in bars.tasks] == [True]
    report.phase("talk", "run")
    assert [task.finished for task in bars.tasks] == [False]
    report.phase("talk", "cached")
    report.phase("talk", "cached")
    assert [task.finished for task in bars.tasks] == [True]
