"""An engine that is not there, may not be used, freezes, dies, is stopped or restarts: what a run
says, within what time, and that nothing is left.

Everything happens side by side, on engines of the test's own: it is waiting for the most part.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import STUBS, environment_for
from tests.support import engine as engines
from tests.support import images
from tests.support.people import as_user, elsewhere, needs_root
from tests.support.struck import Place, Struck

DOCKER, PATIENT = pytest.mark.docker, pytest.mark.timeout(600)
ONE_AT_A_TIME = threading.Lock()
"""Starting a dozen runs is work; what comes then is waiting."""
RUNS = 25 if os.environ.get("CVL_TEST_FULL") else 10
ROUNDS = -(-RUNS // 10)
TOLD_S, END_S = 20, 60
"""Ten seconds are promised; runs of a test share the machine with others."""
LOST, CANCELLED, OK = (3, "engine_lost"), (130, "cancelled"), (0, "")
FOR_GOOD = {
    "building": LOST, "created": LOST, "started": LOST, "mid run": LOST, "stopping": CANCELLED,
}  # fmt: skip
THAWED = {"building": OK, "created": OK, "started": OK, "mid run": OK, "stopping": CANCELLED}
RESTARTED = {**FOR_GOOD, "created": OK}
OUTLIVED = {**RESTARTED, "mid run": OK, "ending": OK, "failing": (1, "step_failed")}
MAYBE = {(f"{how}, live-restore", "started"): OK for how in ("killed", "ended")}
"""Of a container that was only just started nobody may know whether it got its request."""


@dataclass
class Event:
    """What became of the runs that were struck together. left: what another command found no
    reason to remove; late: runs that began meanwhile."""

    runs: list[Struck]
    at: float
    left: list[str]
    commands: dict[str, subprocess.CompletedProcess[str]]
    late: list[tuple[int, str, float]] = field(default_factory=list)


def _under(place: Place, begin: Callable[[], list[Struck]], event: Callable[[], object]) -> Event:
    with ONE_AT_A_TIME:
        runs = begin()
        at = place.strike(runs, event)
    for run in runs:
        run.end()
    return Event(runs, at, place.left(), {})


def _for_good(place: Place, event: str) -> list[Event]:
    """All of the runs under one event, and what other commands say meanwhile. The engine is back
    only when all is over."""
    engine = place.engine
    with ONE_AT_A_TIME:
        runs = [run for _ in range(RUNS // 5) for run in place.five(300)]
        place.bring([run for run in runs if run.phase != "stopping"])
        asked = place.run("asked to stop", "--act", "slowly", "--amount", "300")
        at = place.strike([*runs, asked], getattr(engine, event))
    commands = _other_commands(place, stop=event != "terminate")
    late = _all(place.folder, place.environment, "--engine", "docker")
    for run in runs:
        run.end()
    engine.thaw() if event == "freeze" else engine.restart()
    return [Event(runs, at, place.left(), commands, late), Event([asked], at, [], {})]


def _other_commands(place: Place, *, stop: bool) -> dict[str, subprocess.CompletedProcess[str]]:
    """The run that is stopped is the newest; one whose container ended has ended as well."""
    listed = place.cvl("ps")
    run = next(line.split()[0] for line in listed.stdout.splitlines() if "running" in line)
    words = {"logs": [run], "list": [], "gc": ["--yes"], "doctor": []}
    if stop:
        words["stop"] = [run]
    with ThreadPoolExecutor(2) as pool:
        asked = {name: pool.submit(place.cvl, name, *more) for name, more in words.items()}
        return {"ps": listed, **{name: future.result() for name, future in asked.items()}}


def _restarts(place: Place, event: str, *, ending: bool) -> list[Event]:
    def away_and_back() -> None:
        getattr(place.engine, event)()
        threading.Thread(target=place.engine.restart).start()

    def begin() -> list[Struck]:
        return [*place.five(8), *(place.ending() if ending else place.five(8))]

    return [_under(place, begin, away_and_back) for _ in range(ROUNDS)]


def _thaws(place: Place) -> list[Event]:
    def freeze() -> None:
        place.engine.freeze()
        threading.Timer(8, place.engine.thaw).start()

    def begin() -> list[Struck]:
        return [*place.five(3, build_s=6), *place.five(3, build_s=6)]

    return [_under(place, begin, freeze) for _ in range(ROUNDS)]


@dataclass
class Copies:
    """Engines that are alike: each has a copy of the data of one that has all images."""

    data: Path
    folder: Path
    places: list[Place] = field(default_factory=list)

    def place(self, name: str, *, live_restore: bool = False) -> Place:
        data = self.folder / f"{name}-data"
        subprocess.run(["cp", "-a", "--reflink=auto", self.data, data], check=True)
        engine = engines.start(data, namespace=True, hook=False, live_restore=live_restore)
        place = Place(engine, self.folder / name)
        self.places.append(place)
        return place


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Every place is checked for itself: its engine is nobody else's."""


@pytest.fixture(scope="module")
def copies(engine: engines.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    folder = tmp_path_factory.mktemp("struck")
    first = engines.start(folder / "data", namespace=True, hook=False)
    images.copy_image(engine, first, images.PYTHON)
    build = Place(first, folder / "first").cvl("run", "stub", "build")
    assert build.returncode == 0, build.stderr
    first.stop()
    copies = Copies(folder / "data", folder)
    yield copies
    for place in copies.places:
        place.close()
    for data in folder.glob("*data"):
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="module")
def events(copies: Copies) -> Iterator[dict[str, Future[list[Event]]]]:
    """Everything that takes its time, begun at once; on one engine, one after the other."""
    frozen, killed, ended = (copies.place(name) for name in ("frozen", "killed", "ended"))
    plain, lively = copies.place("plain"), copies.place("lively", live_restore=True)
    own, first, second = ThreadPoolExecutor(3), ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    yield {
        "frozen for good": own.submit(_for_good, frozen, "freeze"),
        "killed for good": own.submit(_for_good, killed, "kill9"),
        "ended for good": own.submit(_for_good, ended, "terminate"),
        "killed and restarted": first.submit(_restarts, plain, "kill9", ending=False),
        "killed, live-restore": second.submit(_restarts, lively, "kill9", ending=True),
        "ended and restarted": first.submit(_restarts, plain, "terminate", ending=False),
        "ended, live-restore": second.submit(_restarts, lively, "terminate", ending=True),
        "frozen for a while": first.submit(_thaws, plain),
    }
    for pool in (own, first, second):
        pool.shutdown(wait=False, cancel_futures=True)


@DOCKER
@PATIENT
@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("killed and restarted", RESTARTED),
        ("ended and restarted", RESTARTED),
        ("killed, live-restore", OUTLIVED),
        ("ended, live-restore", OUTLIVED),
        ("frozen for a while", THAWED),
        ("frozen for good", FOR_GOOD),
        ("killed for good", FOR_GOOD),
        ("ended for good", FOR_GOOD),
    ],
)
def test_a_run_ends_as_it_should_and_leaves_nothing_when_its_engine_is(
    kind: str,
    outcomes: dict[str, tuple[int, str]],
    events: dict[str, Future[list[Event]]],
) -> None:
    found = events[kind].result()
    struck = [run for event in found for run in event.runs if run.phase in outcomes]
    assert len(struck) >= RUNS
    for run in struck:
        assert run.end() in (outcomes[run.phase], MAYBE.get((kind, run.phase))), run.phase
    for event in found:
        for run in [run for run in event.runs if run in struck]:
            assert run.told(event.at) < TOLD_S, (run.phase, run.lines)
            assert run.ended - event.at < END_S, (run.phase, run.lines)
            good = run.end() == OK
            assert run.target.exists() == good, run.phase
            if good and run.phase != "building":
                assert run.target.read_text() == f"ok {run.seed}\n"
        assert event.left == []


@DOCKER
@PATIENT
@pytest.mark.parametrize("kind", ["frozen for good", "killed for good", "ended for good"])
def test_other_commands_say_what_is_the_matter_with_an_engine_that_is(
    kind: str, events: dict[str, Future[list[Event]]]
) -> None:
    struck, asked = events[kind].result()
    said = {
        name: (done.returncode, done.stdout + done.stderr) for name, done in struck.commands.items()
    }
    assert asked.runs[0].end() == (LOST if kind == "ended for good" else (143, "cancelled"))
    wrong = "does not answer" if kind == "frozen for good" else "no Docker engine answers"
    for name in ("ps", "gc", "doctor"):
        assert wrong in " ".join(said[name][1].split()), said[name]
    assert {code for code, _ in said.values()} == {0}, said


def _all(
    cwd: Path, environment: dict[str, str], *words: str, command: Sequence[str] = (sys.executable,)
) -> list[tuple[int, str, float]]:
    """The same run as often as asked, a few at a time: (exit code, stderr, seconds)."""

    def one(number: int) -> tuple[int, str, float]:
        began = time.monotonic()
        result = subprocess.run(
            [*command, "-m", "cvl", "run", "stub", "predict", *words],
            env={"CVL_EXAMPLES": str(STUBS), **environment},
            cwd=cwd, capture_output=True, text=True, timeout=END_S, check=False,
        )  # fmt: skip
        return result.returncode, result.stderr, time.monotonic() - began

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(one, range(RUNS)))


@pytest.mark.parametrize("kind", ["no socket", "a socket that nobody listens on", "no port"])
def test_without_an_engine_a_run_says_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    if kind.startswith("a socket"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    host = "tcp://127.0.0.1:1" if kind == "no port" else f"unix://{path}"
    environment = environment_for(engines.Engine(host), tmp_path / "home")
    for code, said, seconds in _all(tmp_path, environment, "--engine", "docker"):
        assert (code, seconds < TOLD_S) == (3, True)
        assert f"error: no Docker engine answers at {host}" in said
        assert "hint: start Docker" in said


@DOCKER
@PATIENT
def test_a_run_on_an_engine_that_is_frozen_already_says_so(
    events: dict[str, Future[list[Event]]],
) -> None:
    late = events["frozen for good"].result()[0].late
    assert len(late) == RUNS
    for code, said, seconds in late:
        assert (code, seconds < TOLD_S) == (3, True), (said, seconds)
        assert "does not answer" in said and "hint: restart it" in said


def test_without_permission_a_run_says_so() -> None:
    needs_root()
    with elsewhere() as private, socket.socket(socket.AF_UNIX) as closed:
        path = private.parent / "engine.sock"
        closed.bind(str(path))
        closed.listen()
        path.chmod(0o600)
        engine = engines.Engine(f"unix://{path}")
        user = as_user(engine, private)
        environment = {**environment_for(engine, private / "home"), **user.environment}
        for code, said, seconds in _all(private, environment, command=user.command):
            assert (code, seconds < TOLD_S) == (3, True), said
            assert f"error: no permission to use the Docker engine at {engine.host}" in said
            assert "hint: sudo usermod -aG docker" in said
