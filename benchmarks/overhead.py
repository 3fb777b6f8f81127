"""What cvl costs: one step through cvl against the same container by `docker run`, interleaved.

    python benchmarks/overhead.py [ROUNDS]

Prints one JSON document: medians in seconds and their ratio. Ratios of one run can be compared with
those of another; seconds cannot.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.conftest import STUBS, environment_for  # noqa: E402
from tests.support import engine as engines  # noqa: E402
from tests.support import images, packages  # noqa: E402

REQUEST = {
    "protocol": 1,
    "inputs": {"act": "ok", "amount": 0, "file": None},
    "outputs": {"result": "/cvl/out/result.txt"},
    "options": {"seed": 1},
}


def main(rounds: int) -> None:
    packages.ensure_programs()
    engine = engines.provide()
    try:
        images.ensure_images(engine)
        with tempfile.TemporaryDirectory(prefix="cvl-bench-") as folder:
            print(json.dumps(_measure(engine, Path(folder), rounds), indent=1))
    finally:
        engine.stop()


def _measure(engine: engines.Engine, folder: Path, rounds: int) -> dict[str, float]:
    environment = {**environment_for(engine, folder / "home"), "CVL_EXAMPLES": str(STUBS)}
    tag = _cvl(environment, folder, "run", "stub", "build", "-q").strip()
    run = ("run", "stub", "predict", "--seed", "1", "-q", "--overwrite")
    _cvl(environment, folder, *run)
    ways: dict[str, Callable[[], object]] = {
        "docker_run_s": lambda: _raw(engine, folder, tag),
        "cvl_run_s": lambda: _cvl(environment, folder, *run, "--no-cache"),
        "cvl_cached_s": lambda: _cvl(environment, folder, *run),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {**medians, "ratio": round(medians["cvl_run_s"] / medians["docker_run_s"], 2)}


def _cvl(environment: dict[str, str], cwd: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "cvl", *arguments]
    return subprocess.check_output(command, env=environment, cwd=cwd, text=True)


def _raw(engine: engines.Engine, folder: Path, tag: str) -> None:
    """The container alone: the same program and request, without anything that cvl adds."""
    out = folder / "raw"
    out.mkdir(exist_ok=True)
    command = [packages.which("docker") or "docker", "--host", engine.host, "run", "--rm", "-i"]
    command += ["--network", "none", "--init", "--user", f"{os.getuid()}:{os.getgid()}"]
    command += ["--mount", f"type=bind,src={out},dst=/cvl/out", "-e", "CVL_CONTROL=/tmp", tag]
    subprocess.run(command, input=json.dumps(REQUEST).encode(), check=True, capture_output=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
