"""What cvl costs, as ratios to plain docker, interleaved in one run.

    python benchmarks/overhead.py [ROUNDS]

Prints a Markdown table and JSON: medians of wall and CPU time (user + system of the command and its
children), each as a ratio to its plain counterpart. Ratios of one run can be compared with those of
another; seconds cannot.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.conftest import STUBS, environment_for  # noqa: E402
from tests.support import engine as engines  # noqa: E402
from tests.support import images, packages  # noqa: E402

MANIFESTS = 250
REQUEST = {
    "protocol": 1,
    "inputs": {"act": "ok", "amount": 0, "file": None},
    "outputs": {"result": "/cvl/out/result.txt"},
    "options": {"seed": 1},
}


@dataclass(frozen=True)
class Case:
    """Something to time, the plain thing it is a multiple of, and what multiples are allowed."""

    name: str
    run: Callable[[], object]
    against: str = ""
    limit: float | None = None
    cpu_limit: float | None = None


class Bench:
    """Everything that is timed, on one engine, in one folder."""

    def __init__(self, engine: engines.Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.environment = {**environment_for(engine, folder / "home"), "CVL_EXAMPLES": str(STUBS)}
        self.tag = self.cvl("run", "stub", "build", "-q").strip()
        self.many = _many(folder / "many")

    def cases(self) -> list[Case]:
        run = ("run", "stub", "predict", "--seed", "1", "-q", "--overwrite")
        chain = ("run", "threestep", "predict", "--seed", "1", "-q", "--overwrite")
        many = {**self.environment, "CVL_EXAMPLES": str(self.many)}
        one, three, build = "docker run", "docker run x 3", "docker build, cached"
        return [
            Case(one, self.raw),
            Case(three, lambda: [self.raw() for _ in range(3)]),
            Case(build, self.raw_build),
            Case("run", lambda: self.cvl(*run, "--no-cache"), one, 2.2, 12),
            Case("run, cached", lambda: self.cvl(*run), one),
            Case("chain of three", lambda: self.cvl(*chain, "--no-cache"), three, 1.4),
            Case("chain of three, cached", lambda: self.cvl(*chain), one, 1.3),
            Case(f"list, {MANIFESTS} manifests", lambda: self.cvl("list", env=many), one, 0.9),
            Case(
                f"info, {MANIFESTS} manifests", lambda: self.cvl("info", "m7", env=many), one, 0.9
            ),
            Case("build, nothing to do", lambda: self.cvl("run", "stub", "build"), build, 3.5),
        ]

    def cvl(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        command = [sys.executable, "-m", "cvl", *arguments]
        return subprocess.check_output(
            command,
            env=env or self.environment,
            cwd=self.folder,
            text=True,
            stderr=subprocess.DEVNULL,
        )

    def raw(self) -> None:
        """The container alone: the same program and request, without anything that cvl adds."""
        out = self.folder / "raw"
        out.mkdir(exist_ok=True)
        command = [packages.which("docker") or "docker", "--host", self.engine.host, "run", "--rm"]
        command += ["-i", "--network", "none", "--init", "--user", f"{os.getuid()}:{os.getgid()}"]
        command += ["--mount", f"type=bind,src={out},dst=/cvl/out", "-e", "CVL_CONTROL=/tmp"]
        request = json.dumps(REQUEST).encode()
        subprocess.run([*command, self.tag], input=request, check=True, capture_output=True)

    def raw_build(self) -> None:
        from cvl.engine.build import find_client

        context = self.folder / "context"
        if not context.exists():
            context.mkdir()
            (context / "Dockerfile").write_text(f"FROM {images.PYTHON}\nCOPY Dockerfile /\n")
        environment = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": self.engine.host}
        command = [*find_client().command(), "--quiet", str(context)]
        subprocess.run(command, check=True, capture_output=True, env=environment)


def _many(folder: Path) -> Path:
    """As many manifests as CVlization has."""
    text = (REPOSITORY / "examples" / "tts" / "example.yaml").read_text()
    for number in range(MANIFESTS):
        place = folder / f"m{number}"
        place.mkdir(parents=True)
        (place / "example.yaml").write_text(text.replace("name: tts", f"name: m{number}", 1))
    return folder


def _time(run: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU of children) in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    run()
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu


def measure(bench: Bench, rounds: int) -> list[dict[str, Any]]:
    cases = bench.cases()
    for case in cases:
        case.run()
    times: dict[str, list[tuple[float, float]]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            times[case.name].append(_time(case.run))
    wall = {name: statistics.median(t[0] for t in found) for name, found in times.items()}
    cpu = {name: statistics.median(t[1] for t in found) for name, found in times.items()}
    return [
        {
            "case": case.name,
            "wall_s": round(wall[case.name], 3),
            "cpu_s": round(cpu[case.name], 3),
            "against": case.against,
            "wall": round(wall[case.name] / wall[case.against], 2) if case.against else 1.0,
            "cpu": round(cpu[case.name] / cpu[case.against], 1) if case.against else 1.0,
            "limit": case.limit,
            "cpu_limit": case.cpu_limit,
        }
        for case in cases
    ]


def main(rounds: int) -> int:
    """Print the table; 1 when a ratio is over its limit."""
    packages.ensure_programs()
    engine = engines.provide()
    try:
        images.ensure_images(engine)
        with tempfile.TemporaryDirectory(prefix="cvl-bench-") as folder:
            rows = measure(Bench(engine, Path(folder)), rounds)
    finally:
        engine.stop()
    print("| cvl | against | wall | CPU |\n|---|---|---|---|")
    for row in rows:
        if row["against"]:
            print(f"| {row['case']} | {row['against']} | {row['wall']}x | {row['cpu']}x |")
    print(json.dumps(rows))
    return int(any(_over(row, "wall", "limit") or _over(row, "cpu", "cpu_limit") for row in rows))


def _over(row: dict[str, Any], ratio: str, limit: str) -> bool:
    return row[limit] is not None and row[ratio] > row[limit]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
