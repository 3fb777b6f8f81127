"""The venv engine for tests: examples that need no wheel, or one that is made here, and what runs
of them."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvl.core import owner as labels
from cvl.core.container import ContainerSpec
from cvl.engine.protocol import BuildSpec
from cvl.engine.venv import VenvEngine
from cvl.engine.venv_run import VenvRun

WAIT_S = 30
CONTEXT = "0" * 64
TAG = f"cvl/acts:{CONTEXT[:20]}"
MANIFEST = """\
name: {name}
summary: Acts
license: {{code: Apache-2.0}}
engines: [{engines}]
inputs:
  text: {{type: string, default: hi}}
outputs:
  result: {{type: file, default: result.txt}}
"""
PREDICT = """\
from pathlib import Path
from cvl_inside import Predictor, run
class Acts(Predictor):
    def predict(self, ctx, *, text):
        {act}
        Path(ctx.output("result")).write_text(text)
        return {{"result": ctx.output("result")}}
run(Acts)
"""


def write_example(
    folder: Path, *, act: str = "pass", engines: str = "docker, venv", lock: str = ""
) -> Path:
    """An example whose predict.py does `act` first."""
    folder.mkdir(parents=True)
    (folder / "example.yaml").write_text(MANIFEST.format(name=folder.name, engines=engines))
    (folder / "predict.py").write_text(PREDICT.format(act=act))
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "requirements.lock").write_text(lock)
    return folder


def write_wheel(folder: Path, name: str = "cvl_test_wheel") -> str:
    """A wheel with one module; returns the line of a lock that asks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "WORD = 'from a wheel'\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name.replace('_', '-')}==1.0 --hash=sha256:{digest}\n"


BACKEND = """\
import os, pathlib, zipfile
NAME = "{name}"
FILES = {{
    "/METADATA": ["Metadata-Version: 2.1", "Name: " + NAME, "Version: 1.0", ""],
    "/WHEEL": ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any", ""],
    "/RECORD": [],
}}
def get_requires_for_build_wheel(settings=None): return []
def build_wheel(folder, settings=None, metadata=None):
    pathlib.Path({marker!r}).touch()
    info = NAME + "-1.0.dist-info"
    path = NAME + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, path), "w") as wheel:
        wheel.writestr(NAME + ".py", "WORD = 'built from source'")
        for file, lines in FILES.items():
            wheel.writestr(info + file, "\\n".join(lines))
    return path
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""


def write_sdist(folder: Path, marker: Path, name: str = "cvl_test_source") -> str:
    """A package without a wheel, whose build leaves `marker`; returns the line of a lock that asks
    for it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, top = folder / f"{name}-1.0.tar.gz", f"{name}-1.0"
    files = {
        "backend.py": BACKEND.format(name=name, marker=str(marker)),
        "pyproject.toml": PROJECT.format(name=name),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name.replace('_', '-')}==1.0 --hash=sha256:{digest}\n"


@dataclass
class Host:
    """A venv engine with one environment, whose program is chosen per process."""

    folder: Path
    warnings: list[str] = field(default_factory=list)
    logs: dict[str, bytearray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = self.another()

    def another(self) -> VenvEngine:
        """An engine on the same folders, as another cvl has it."""
        state = self.folder / "processes"
        return VenvEngine(self.folder / "envs", state, 1 << 32, self.warnings.append)

    def build(self, program: str, tag: str = TAG, digest: str = CONTEXT) -> str:
        """The environment, with `program` as its predict.py. digest: of its context."""
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "requirements.lock").write_text("# nothing\n")
        (context / "predict.py").write_text(program)
        marks = {labels.EXAMPLE: "acts", labels.CONTEXT: digest}
        spec = BuildSpec(str(context), "", tag, marks)
        return self.engine.build(spec, lambda progress: None, lambda: False)

    def begin(self, program: str, stdin: bytes = b"", **changes: Any) -> tuple[str, VenvRun]:
        """Run `program`; (name of the process, what follows it)."""
        name = f"cvl-acts-{len(list(self.folder.glob('processes/*')))}-{os.urandom(4).hex()}"
        container = self.engine.create(spec_of(name, self.build(program), **changes))
        self.logs[name] = bytearray()
        return name, self.engine.start(container, stdin, self.logs[name].extend)

    def said(self, name: str, run: VenvRun) -> list[str]:
        """Every line, once it has ended."""
        assert run.wait(WAIT_S)
        return self.logs[name].decode().splitlines()

    def first_line(self, name: str) -> str:
        """As soon as it is there."""
        eventually(lambda: b"\n" in self.logs[name])
        return self.logs[name].decode().splitlines()[0]


def spec_of(name: str, image: str, **changes: Any) -> ContainerSpec:
    fields: dict[str, Any] = {
        "name": name, "image": image, "command": (), "working_dir": "", "user": "", "groups": (),
        "environment": {"HOME": "/tmp"}, "labels": {labels.RUN: "r"}, "mounts": (), "tmpfs": {},
        "network": "none", "memory": 1 << 30, "shm": 0, "pids": 0, "file_size": 1 << 20,
    }  # fmt: skip
    return ContainerSpec(**{**fields, **changes})


def eventually(question: Any) -> None:
    """Ask again until it is true, for half a minute at most."""
    end = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Does this process run? A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
