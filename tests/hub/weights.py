"""What the tests of weights have in common: an example with weights, a session on the stand-in hub,
and the same as a command of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cvl.ops.session import Session
from cvl.ops.weights.exporting import export
from cvl.ops.weights.needs import Need, RepoNeed
from cvl.ops.weights.pulling import pull_repo
from cvl.ops.weights.resolving import RepoFiles, resolve_need
from tests.ops.bench import Recorder
from tests.support.hub import Hub, tiny

ROOT = Path(__file__).parent.parent.parent
REPO = "org/tiny"
NEED = RepoNeed(REPO, REPO, "main", ("*.json", "*.safetensors"), "safetensors")


@dataclass
class Place:
    """A machine: a CVL_HOME and a hub cache below `folder`."""

    folder: Path
    hub: Hub

    @property
    def cache(self) -> Path:
        return self.folder / "hf" / "hub"

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> Place:
        """This process is on that machine from now on."""
        self.folder.mkdir(exist_ok=True)
        for name in [name for name in os.environ if name.startswith(("HF_", "CVL_"))]:
            monkeypatch.delenv(name)
        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        return self

    def environment(self) -> dict[str, str]:
        made = self.hub.environment(self.folder / "hf")
        return {**made, "CVL_HOME": str(self.folder / "home"), "PYTHONPATH": str(ROOT)}

    def session(self, *, offline: bool = False) -> Session:
        return Session(report=Recorder(), offline=offline)

    def pull(self, need: RepoNeed = NEED) -> RepoFiles:
        found = resolve_need(self.session(), need)
        pull_repo(self.session(), found)
        return found

    def offline(self, need: RepoNeed = NEED) -> dict[str, bytes]:
        """What a run without a network would see of the weights."""
        session = self.session(offline=True)
        found = resolve_need(session, need)
        pull_repo(session, found)
        return {p: at.read_bytes() for p, at in found.presence(session).present.items()}

    def start(self, code: str) -> subprocess.Popen[str]:
        """Python on that machine, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **self.environment()}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip

    def cvl(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command on that machine, with the examples below its folder within reach."""
        examples = str(self.folder / "examples")
        return subprocess.run(
            [sys.executable, "-m", "cvl", *words, "--examples", examples],
            env={**os.environ, **self.environment(), **more}, text=True, capture_output=True,
            cwd=self.folder,
        )  # fmt: skip

    def example(self, text: str, name: str = "heavy") -> Path:
        """Its manifest."""
        folder = self.folder / "examples" / name
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM scratch\n")
        (folder / "predict.py").write_text("")
        (folder / "example.yaml").write_text(text)
        return folder / "example.yaml"

    def files(self) -> set[str]:
        """Everything of cache and home but locks."""
        found = (p for p in self.folder.rglob("*") if p.is_file() or p.is_symlink())
        return {str(p.relative_to(self.folder)) for p in found if "lock" not in str(p)}


def model(seed: int = 0, **more: object) -> tiny.Files:
    """A repo: one large file, two small ones, and one that nobody wants."""
    return {
        "config.json": f'{{"seed": {seed}}}\n',
        "tokenizer.json": "{}",
        "model.safetensors": tiny.weights(200_000, seed),
        "extra/big.bin": tiny.pattern(50_000),
        **more,  # type: ignore[dict-item]
    }


def exported(place: Place, *needs: Need, name: str = "bundle.tar") -> Path:
    path = place.folder.parent / name
    export(place.session(), needs or (NEED,), path, overwrite=False)
    return path


def incomplete(home: Path, repo: str = "*/*") -> list[Path]:
    """Downloads below an HF_HOME that are not over. Not every folder is looked into: the library
    makes some that are gone a moment later."""
    return [*home.glob(f"hub/models--{repo.replace('/', '--')}/blobs/*.incomplete")]
