"""The command line without an engine, with a CVL_HOME of the test's own; and its JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

REPOSITORY = Path(__file__).parent.parent.parent
SCHEMAS = REPOSITORY / "schemas"
STUBS = REPOSITORY / "tests" / "support" / "examples"
OWNER = Path(__file__).parent / "run_owner.py"
Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[[str, str], "subprocess.Popen[str]"]


@pytest.fixture
def bare_env(tmp_path: Path) -> dict[str, str]:
    """Environment of a cvl that finds no engine."""
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environment.update(
        CVL_HOME=str(tmp_path / "home"),
        CVL_EXAMPLES=str(STUBS),
        DOCKER_HOST=f"unix://{tmp_path}/no.sock",
        HOME=str(tmp_path),
        PYTHONPATH=str(REPOSITORY),
        COLUMNS="80",
    )
    return environment


@pytest.fixture
def bare(bare_env: dict[str, str], tmp_path: Path) -> Run:
    """Run `cvl ...` without an engine. without=[...]: variables to leave out."""

    def run(
        *arguments: str,
        env: dict[str, str] | None = None,
        without: tuple[str, ...] = (),
        cwd: Path = tmp_path,
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in {**bare_env, **(env or {})}.items() if k not in without}
        return subprocess.run(
            [sys.executable, "-m", "cvl", *arguments],
            env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture
def start(bare_env: dict[str, str]) -> Iterator[Start]:
    """Start a process that owns a run; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(run: str, manner: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(OWNER), run, manner]
        process = subprocess.Popen(command, env=bare_env, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if manner == "dead":
            process.wait()
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def envelope_of(
    result: subprocess.CompletedProcess[str], command: str, status: int = 0
) -> dict[str, Any]:
    """The one JSON document of a command (`list`, `models list`), after it was held to its
    committed schema."""
    assert result.returncode == status, result.stdout + result.stderr
    envelope: dict[str, Any] = json.loads(result.stdout)
    schema = json.loads((SCHEMAS / f"{command.replace(' ', '-')}.json").read_text())
    jsonschema.validate(envelope, schema, cls=jsonschema.Draft202012Validator)
    assert envelope["ok"] is (status == 0)
    return envelope


def make_example(folder: Path, name: str, text: str) -> Path:
    """An example in `folder` whose manifest is `text` after its name."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "example.yaml").write_text(f"name: {name}\n{text}")
    (place / "Dockerfile").write_text("FROM scratch\n")
    (place / "predict.py").write_text("")
    return place


def logs_in(home: Path, run: str, **files: str | bytes) -> None:
    """Write logs of a run below a CVL_HOME: step="text", step__old for the older half."""
    folder = home / "state" / "runs" / run
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        step, _, half = name.partition("__")
        (folder / f"{step}.log{half and '.old'}").write_bytes(data)
