"""What every engine promises, shown on the fake, on Docker and on virtual environments alike."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cvl.core.container import ContainerSpec, Mount
from cvl.engine.fake import FakeEngine
from cvl.engine.protocol import Engine, Run
from cvl.engine.venv import VenvEngine
from cvl.errors import EngineError
from tests.engine.programs import BULK, LINES, command, environment, play, predict
from tests.support import engine as engines
from tests.support.images import PYTHON
from tests.support.venvs import Host

END_S = 60
MIB = 1 << 20
LABEL = "org.cvl-test.contract"
DOCKER = pytest.param("docker", marks=pytest.mark.docker)
IDENTITIES = {"fake": "sha256:", "docker": "sha256:", "venv": "venv:"}
"""What an image's id begins with."""


@dataclass
class Bench:
    """An engine, and the containers that a test makes on it. folder: what they have at /out;
    identity: what the id of an image begins with."""

    engine: Engine
    folder: Path
    identity: str
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    made: list[str] = field(default_factory=list)

    def spec(self, act: str, **changes: Any) -> ContainerSpec:
        fields: dict[str, Any] = {
            "name": f"cvl-contract-{uuid.uuid4().hex}",
            "image": PYTHON,
            "command": command(act),
            "working_dir": "/",
            "user": f"{os.getuid()}:{os.getgid()}",
            "groups": (),
            "environment": environment(act, self.folder),
            "labels": {LABEL: self.mark},
            "mounts": (Mount(str(self.folder), "/out", read_only=False),),
            "tmpfs": {},
            "network": "none",
            "memory": 256 * MIB,
            "shm": MIB,
            "pids": 64,
            "file_size": 16 * MIB,
        }
        return ContainerSpec(**{**fields, **changes})

    def create(self, act: str, **changes: Any) -> str:
        container = self.engine.create(self.spec(act, **changes))
        self.made.append(container)
        return container

    def start(self, act: str, stdin: bytes = b"") -> Started:
        container = self.create(act)
        started = Started(self.engine, container)
        started.run = self.engine.start(container, stdin, started.on_log)
        return started

    def found(self) -> set[tuple[str, bool]]:
        return {(f.id, f.running) for f in self.engine.find({LABEL: self.mark})}


@dataclass
class Started:
    """A container that runs, and what it has said."""

    engine: Engine
    id: str
    log: bytearray = field(default_factory=bytearray)
    run: Run = field(init=False)
    _said: threading.Condition = field(default_factory=threading.Condition)

    def on_log(self, chunk: bytes) -> None:
        with self._said:
            self.log += chunk
            self._said.notify_all()

    def until_ready(self) -> None:
        with self._said:
            assert self._said.wait_for(lambda: self.log.startswith(b"ready"), END_S)

    def exit_code(self) -> int:
        """Wait for the end; the log is complete then."""
        assert self.run.wait(END_S)
        assert not self.run.lost
        return self.engine.state(self.id).exit_code


@pytest.fixture
def fake() -> Engine:
    engine = FakeEngine(play)
    engine.add_image(PYTHON)
    return engine


@pytest.fixture
def docker(engine: engines.Engine) -> Engine:
    from cvl.engine.docker import DockerEngine
    from cvl.engine.endpoint import Endpoint

    return DockerEngine(Endpoint(engine.host, "the tests"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """An environment that stands for the image."""
    host = Host(tmp_path_factory.mktemp("venv"))
    host.build(predict(), f"{PYTHON}:latest")
    return host


@pytest.fixture
def venv(host: Host) -> Engine:
    return host.another()


@pytest.fixture(params=["fake", DOCKER, "venv"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    engine: Engine = request.getfixturevalue(request.param)
    bench = Bench(engine, tmp_path, IDENTITIES[request.param])
    yield bench
    for container in bench.made:
        engine.remove(container)


def test_create_does_not_run_anything(bench: Bench) -> None:
    container = bench.create("write")
    state = bench.engine.state(container)
    assert (state.running, state.started) == (False, False)
    assert bench.found() == {(container, False)}
    assert not (bench.folder / "made").exists()


def test_what_a_program_writes_is_on_the_host_at_its_end(bench: Bench) -> None:
    assert bench.start("write").exit_code() == 0
    assert (bench.folder / "made").read_text() == "made"


@pytest.mark.parametrize("size", [0, 9, MIB], ids=["nothing", "a word", "1 MiB"])
def test_start_hands_over_every_byte_of_stdin_and_then_closes_it(bench: Bench, size: int) -> None:
    stdin = os.urandom(size)
    started = bench.start("echo", stdin)
    assert started.exit_code() == 0
    assert started.log.decode() == hashlib.sha256(stdin).hexdigest()


def test_a_program_that_ends_without_reading_its_stdin_does_not_hold_up_start(
    bench: Bench,
) -> None:
    assert bench.start("exit 3", os.urandom(MIB)).exit_code() == 3


def test_a_program_that_runs_without_reading_its_stdin_does_not_hold_up_start(
    bench: Bench,
) -> None:
    started = bench.start("deaf", os.urandom(8 * MIB))
    started.until_ready()
    bench.engine.kill(started.id)
    assert started.exit_code() == 137


def test_the_log_is_complete_and_in_order_once_the_end_is_told(bench: Bench) -> None:
    started = bench.start("count")
    assert started.exit_code() == 0
    assert started.log.split() == [b"%d" % number for number in range(LINES)]


def test_a_log_of_five_megabytes_arrives_whole(bench: Bench) -> None:
    started = bench.start("flood")
    assert started.exit_code() == 0
    assert started.log == b"x" * BULK


@pytest.mark.parametrize("code", [0, 3, 137])
def test_exit_codes_are_exact(bench: Bench, code: int) -> None:
    started = bench.start(f"exit {code}")
    assert started.exit_code() == code
    state = bench.engine.state(started.id)
    assert (state.running, state.started, state.oom_killed) == (False, True, False)


def test_waiting_for_a_running_container_comes_back_in_time(bench: Bench) -> None:
    started = bench.start("listen")
    started.until_ready()
    assert not started.run.wait(0)
    assert bench.engine.state(started.id).running


def test_stop_lets_a_program_that_listens_end_by_itself(bench: Bench) -> None:
    started = bench.start("listen")
    started.until_ready()
    bench.engine.stop(started.id, END_S)
    assert started.exit_code() == 7
    assert started.log == b"ready bye"


def test_stop_kills_a_deaf_program_when_the_grace_is_over(bench: Bench) -> None:
    started = bench.start("deaf")
    started.until_ready()
    bench.engine.stop(started.id, 0)
    assert started.exit_code() == 137


def test_stop_comes_back_at_once_and_kill_ends_a_deaf_program(bench: Bench) -> None:
    started = bench.start("deaf")
    started.until_ready()
    bench.engine.stop(started.id, END_S)
    assert bench.engine.state(started.id).running
    bench.engine.kill(started.id)
    assert started.exit_code() == 137


def test_stop_and_kill_of_what_does_not_run_change_nothing(bench: Bench) -> None:
    container = bench.create("write")
    started = bench.start("exit 3")
    assert started.exit_code() == 3
    for name in (container, started.id, "cvl-nobody"):
        bench.engine.stop(name, 0)
        bench.engine.kill(name)
    assert not bench.engine.state(container).started
    assert bench.engine.state(started.id).exit_code == 3


def test_remove_ends_what_runs_and_may_be_repeated(bench: Bench) -> None:
    started = bench.start("deaf")
    started.until_ready()
    bench.engine.remove(started.id)
    bench.engine.remove(started.id)
    assert started.run.wait(END_S)
    assert bench.found() == set()


def test_a_container_can_be_removed_by_the_name_that_it_was_given(bench: Bench) -> None:
    spec = bench.spec("write")
    bench.engine.create(spec)
    bench.engine.remove(spec.name)
    assert bench.found() == set()


def test_find_tells_by_labels_what_runs_and_what_has_stopped(bench: Bench) -> None:
    created, ended, running = (bench.create("write"), bench.start("exit 0"), bench.start("listen"))
    running.until_ready()
    assert ended.exit_code() == 0
    assert bench.found() == {(created, False), (ended.id, False), (running.id, True)}


def test_find_asks_for_all_labels_and_an_empty_value_is_any(bench: Bench) -> None:
    step = bench.create("write", labels={LABEL: bench.mark, f"{LABEL}.step": "talk"})
    bench.create("write")
    other = {LABEL: bench.mark, f"{LABEL}.step": "film"}
    assert [f.id for f in bench.engine.find({LABEL: bench.mark, f"{LABEL}.step": ""})] == [step]
    assert bench.engine.find(other) == []


def test_the_state_of_a_removed_container_cannot_be_told(bench: Bench) -> None:
    container = bench.create("write")
    bench.engine.remove(container)
    with pytest.raises(EngineError, match=r"(?i)no such container"):
        bench.engine.state(container)


def test_a_removed_container_cannot_be_started(bench: Bench) -> None:
    container = bench.create("write")
    bench.engine.remove(container)
    with pytest.raises(EngineError, match=r"(?i)no such container"):
        bench.engine.start(container, b"", lambda chunk: None)
    assert not (bench.folder / "made").exists()


def test_an_unknown_image_has_no_id(bench: Bench) -> None:
    assert bench.engine.image_id("cvl-test/nobody-made-this") is None
    known = bench.engine.image_id(PYTHON)
    assert known is not None
    assert known.startswith(bench.identity)
    assert bench.engine.image_id(known) == known
    assert bench.engine.image_id(f"{PYTHON}:latest") == known


@pytest.mark.parametrize(
    "image",
    ["cvl-test/nobody-made-this", "cvl-test/python:nobody", "cvl-test-nobody/python"],
    ids=["name", "tag", "repository"],
)
def test_a_container_of_an_image_that_is_not_there_is_refused(bench: Bench, image: str) -> None:
    with pytest.raises(EngineError, match=r"(?i)no such image"):
        bench.create("write", image=image)
    assert bench.engine.image_id(image) is None
    assert bench.found() == set()


@pytest.mark.parametrize("bench", ["fake", DOCKER], indirect=True)
def test_a_mount_of_what_is_not_there_is_refused(bench: Bench) -> None:
    """A process of this machine sees its files as they are: there is nothing to mount."""
    with pytest.raises(EngineError):
        bench.create("write", mounts=(Mount("/nobody-made-this", "/out", read_only=True),))
    assert bench.found() == set()


def test_a_container_is_made_of_an_image_by_its_id_too(bench: Bench) -> None:
    identity = bench.engine.image_id(PYTHON)
    assert bench.create("write", image=identity)
    assert len(bench.found()) == 1


def test_to_remove_an_image_that_is_not_there_changes_nothing(bench: Bench) -> None:
    known = bench.engine.image_id(PYTHON)
    bench.engine.remove_image("cvl-test-nobody/python")
    assert bench.engine.image_id(PYTHON) == known


def test_a_name_that_is_taken_is_refused(bench: Bench) -> None:
    bench.create("write", name=f"cvl-contract-{bench.mark}")
    with pytest.raises(EngineError, match="in use"):
        bench.create("write", name=f"cvl-contract-{bench.mark}")


def test_two_containers_run_at_once_and_are_not_mixed_up(bench: Bench) -> None:
    first, second = bench.start("listen"), bench.start("deaf")
    for started in (first, second):
        started.until_ready()
    assert bench.found() == {(first.id, True), (second.id, True)}
    bench.engine.kill(second.id)
    assert second.exit_code() == 137
    assert bench.engine.state(first.id).running
    bench.engine.stop(first.id, END_S)
    assert first.exit_code() == 7
    assert (bytes(first.log), bytes(second.log)) == (b"ready bye", b"ready")


def test_an_image_that_a_container_uses_stays(
    bench: Bench, engine_image: Callable[[Engine], str]
) -> None:
    image = engine_image(bench.engine)
    container = bench.create("write", image=image)
    with pytest.raises(EngineError) as error:
        bench.engine.remove_image(image)
    assert error.value.code == "image_in_use"
    bench.engine.remove(container)
    bench.engine.remove_image(image)
    bench.engine.remove_image(image)
    assert bench.engine.image_id(image) is None


@pytest.fixture
def engine_image(request: pytest.FixtureRequest) -> Callable[[Engine], str]:
    """Make an image that nothing else uses."""
    name = f"cvl-test/contract-{uuid.uuid4().hex}:one"

    def make(engine: Engine) -> str:
        if isinstance(engine, FakeEngine):
            engine.add_image(name)
        elif isinstance(engine, VenvEngine):
            host: Host = request.getfixturevalue("host")
            host.build(predict(), name, hashlib.sha256(name.encode()).hexdigest())
        else:
            real: engines.Engine = request.getfixturevalue("engine")
            real.docker("import", "--change=LABEL org.cvl-test=contract", "/dev/null", name)
        return name

    return make
