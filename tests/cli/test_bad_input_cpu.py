"""A request that makes no sense costs less than 100 ms of CPU as a whole process, and does not so
much as knock at the engine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import STUBS
from tests.support.processes import ROOT, Measured, cheap, measured

LIMIT_MS = 100
HEAVY = (
    "pydantic",
    "yaml",
    "docker",
    "rich",
    "requests",
    "sqlite3",
    "subprocess",
    "huggingface_hub",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of it happens; its path is short enough for a socket."""
    return tmp_path_factory.mktemp("cpu")


@pytest.fixture
def knocks(folder: Path) -> Iterator[list[str]]:
    """An engine's socket where nobody answers, and a line for each time that somebody connects."""
    heard: list[str] = []
    (folder / "s").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        thread = threading.Thread(target=count, args=(listener, heard), daemon=True)
        thread.start()
        yield heard
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def count(listener: socket.socket, heard: list[str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        heard.append("knock")
        connection.close()


class Cvl:
    """`python -m cvl` with a home of its own and the test's socket for an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dropped = ("CVL_", "DOCKER_", "XDG_", "PYTHON")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        self.environment.update(
            CVL_HOME=str(folder / "home"),
            CVL_EXAMPLES=str(STUBS),
            DOCKER_HOST=f"unix://{folder}/s",
            PYTHONPATH=str(ROOT),
        )

    def __call__(self, *words: str, python: tuple[str, ...] = ()) -> Measured:
        command = [sys.executable, *python, "-m", "cvl", *words]
        return measured(command, self.environment, self.folder)


@pytest.fixture(scope="module")
def cvl(folder: Path) -> Cvl:
    """Warm: compiled, and its manifests known, as after any first command."""
    warm = Cvl(folder)
    for example in ("stub", "twostep"):
        warm("run", example, "predict", "--seed", "-1")
    return warm


PREDICT = ("run", "stub", "predict")
BAD = {
    "unknown input": (*PREDICT, "--nope", "1"),
    "wrong type": (*PREDICT, "--amount", "much"),
    "missing file": (*PREDICT, "--file", "none.wav"),
    "a folder for a file": (*PREDICT, "--file", "."),
    "unknown example": ("run", "stubb", "predict"),
    "unknown verb": ("run", "stub", "predicct"),
    "no output folder": (*PREDICT, "--act", "ok", "--output", "none/x.txt"),
    "output is a folder": (*PREDICT, "--act", "ok", "--output", "."),
    "bad seed": (*PREDICT, "--seed", "-1"),
    "unknown command": ("rnu", "stub"),
    "unknown step": ("run", "twostep", "predict", "--none.act", "ok"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_cheap_and_asks_no_engine(
    cvl: Cvl, knocks: list[str], words: tuple[str, ...]
) -> None:
    run = cvl(*words)
    assert run.code == 2
    assert run.err.startswith("error: ")
    below, costs = cheap(lambda: cvl(*words), LIMIT_MS)
    assert below, costs
    assert knocks == []


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_imports_nothing_heavy(cvl: Cvl, words: tuple[str, ...]) -> None:
    lines = cvl(*words, python=("-X", "importtime")).err.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time")}
    assert "cvl.cli.app" in imported
    assert not imported & set(HEAVY)


def test_a_bad_manifest_asks_no_engine_either(cvl: Cvl, knocks: list[str]) -> None:
    """It costs more than 100 ms: it has to be parsed and validated, to name the line."""
    shutil.copytree(STUBS / "stub", cvl.folder / "examples" / "broken")
    with (cvl.folder / "examples" / "broken" / "example.yaml").open("a") as stream:
        stream.write("sumary: twice\n")
    run = cvl("run", "broken", "predict")
    assert run.code == 2
    assert run.err.startswith("error: examples/broken/example.yaml:")
    assert knocks == []


def test_a_good_request_would_have_knocked(cvl: Cvl, knocks: list[str]) -> None:
    """The socket is where cvl looks: without this the tests above would show nothing."""
    assert cvl(*PREDICT, "--act", "ok").code == 3
    assert knocks
