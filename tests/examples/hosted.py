"""Examples that use torch in virtual environments: nothing of Docker."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.examples.models import REPOSITORY
from tests.support.images import TORCH_WHEEL

FOR_GPUS = ("cuda-", "nvidia-", "torch==", "triton==")
"""Packages of a torch.lock that torch for CPUs does without or takes the place of."""


def environment_without_docker(folder: Path) -> dict[str, str]:
    """Of a cvl that keeps everything below `folder`, with the wheels of `wheels` in it."""
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "CVL_HOME": str(folder / "home"),
        "CVL_LEASE_DIR": str(folder / "leases"),
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        "PYTHONPATH": str(REPOSITORY),
        "COLUMNS": "80",
        "UV_FIND_LINKS": str(folder / "wheels"),
    }


def use_torch_for_cpus(example: Path, wheels: Path) -> None:
    """The torch of pip's own choice, for the example's torch.lock: where pip has one for CPUs, none
    of what only GPUs need is asked for."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*download, "--dest", str(wheels), TORCH_WHEEL], check=True)
    (wheel,) = wheels.glob("torch-*.whl")
    if "+cpu" not in wheel.name:
        return
    lock = example / "torch.lock"
    packages = re.split(r"^(?=[\w.-]+==)", lock.read_text(), flags=re.MULTILINE)
    kept = [package for package in packages if not package.startswith(FOR_GPUS)]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    own = f"torch=={wheel.name.split('-')[1]} --hash=sha256:{digest}\n"
    lock.write_text("".join([own, *kept]))


def python_of(example: str, environment: dict[str, str]) -> str:
    """That of an example's environment, which is made."""
    build = [sys.executable, "-m", "cvl", "run", example, "build", "--engine", "venv", "--json"]
    result = subprocess.run(build, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["ok"]
    (python,) = Path(environment["CVL_HOME"]).glob(f"cache/envs/{example}-*/bin/python")
    return str(python)
