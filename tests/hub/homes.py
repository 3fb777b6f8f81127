"""A CVL_HOME, a hub cache and examples of a test's own, and the command line on them."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from tests.support.hub import Hub

ROOT = Path(__file__).parent.parent.parent
MANIFEST = """\
name: {name}
summary: Uses weights
tasks: [{task}]
license: {{code: Apache-2.0}}
resources: {{ram_gb: 0.1, memory_limit_gb: 0.2}}
inputs: {{}}
outputs: {{result: {{type: file, default: result.txt}}}}
weights: [{weights}]
"""
HEADER = 120


def safetensors(size: int, byte: bytes) -> bytes:
    """A file of that many bytes in all, with one tensor."""
    count = size - 8 - HEADER
    tensor = {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}
    header = json.dumps({"tensor": tensor}).encode().ljust(HEADER)
    return struct.pack("<Q", HEADER) + header + byte * count


TINY = {
    "config.json": b"{}",
    "unet/one.safetensors": safetensors(5000, b"1"),
    "unet/two.safetensors": safetensors(7000, b"2"),
    "extra.bin": b"3" * 3000,
}
USES_TINY = '{repo: org/tiny, files: ["*.json", "*.safetensors"], size_gb: 0.001}'


@dataclass
class Home:
    """Everything below one folder."""

    folder: Path
    hub: Hub
    more: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.folder / "hf" / "hub"

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("CVL_", "DOCKER_", "HF_", "XDG_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        return {
            **kept,
            **self.hub.environment(self.folder / "hf"),
            "CVL_HOME": str(self.folder / "home"),
            "CVL_LEASE_DIR": str(self.folder / "leases"),
            "CVL_EXAMPLES": str(self.folder / "examples"),
            "DOCKER_HOST": f"unix://{self.folder}/no.sock",
            "PYTHONPATH": str(self.bare()),
            "COLUMNS": "80",
            **self.more,
        }

    def bare(self) -> Path:
        """Where Python finds a cvl that carries no examples, so that those of the home are all."""
        place = self.folder / "python"
        if not place.exists():
            place.mkdir(parents=True)
            (place / "cvl").symlink_to(ROOT / "cvl")
        return place

    def example(self, name: str, weights: str = USES_TINY, task: str = "text-to-image") -> None:
        place = self.folder / "examples" / name
        place.mkdir(parents=True)
        text = MANIFEST.format(name=name, weights=weights, task=task)
        (place / "example.yaml").write_text(text)

    def models(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """`cvl models ...` to its end."""
        return self.cvl("models", *words, **more)

    def cvl(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cvl", *words], env=self.environment, cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            **more,
        )  # fmt: skip

    def data(self, *words: str, status: int = 0) -> dict[str, Any]:
        """What `cvl models ... --json` says, after it was held to its schema."""
        result = self.models(*words, "--json")
        assert result.returncode == status, result.stdout + result.stderr
        envelope = json.loads(result.stdout)
        schema = json.loads((ROOT / "schemas" / f"models-{words[0]}.json").read_text())
        jsonschema.validate(envelope, schema, cls=jsonschema.Draft202012Validator)
        data: dict[str, Any] = envelope["data"]
        return data

    def repo(self, name: str) -> Path:
        return self.cache / f"models--{name.replace('/', '--')}"

    def file(self, name: str, path: str) -> Path:
        """The blob of a file in the only snapshot of a repo."""
        return next(self.repo(name).glob(f"snapshots/*/{path}")).resolve()

    def contents(self) -> dict[str, bytes]:
        """Of every file in the cache, by path; links are not followed."""
        paths = (path for path in sorted(self.cache.rglob("*")) if ".locks" not in path.parts)
        return {
            str(p.relative_to(self.cache)): os.fsencode(os.readlink(p))
            if p.is_symlink()
            else p.read_bytes()
            for p in paths
            if p.is_symlink() or p.is_file()
        }


def age(path: Path, seconds: float = 3600) -> None:
    """As if nothing was done to it for so long."""
    when = time.time() - seconds
    os.utime(path, (when, when), follow_symlinks=False)
