"""What `cvl models list` costs next to huggingface_hub's own look at the same cache, in one
interleaved run: ratios of CPU time, not milliseconds.

    python benchmarks/models_list.py [rounds]

A cache of 200 repos with 20,000 files, and 20 examples that use 20 of the repos; then 200 that use
all of them. Prints a Markdown table, then one JSON line with the medians. `list` is a whole
process, the scan is taken with and without the start of one; exits 1 when `list` takes more than
1.3x of the scan alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
REPOS, FILES = 200, 100
LIMIT = 1.3
SCAN = "from huggingface_hub import scan_cache_dir; scan_cache_dir()"
ALONE = """\
import resource
from huggingface_hub import scan_cache_dir
before = resource.getrusage(resource.RUSAGE_SELF)
assert len(scan_cache_dir().repos) == {repos}
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
"""
MANIFEST = """\
name: m{number}
summary: Uses weights
license: {{code: Apache-2.0}}
inputs: {{}}
outputs: {{result: {{type: file, default: result.txt}}}}
weights: [{{repo: org/r{number}}}]
"""


def make_cache(hub: Path) -> None:
    """As huggingface_hub lays it out, with the list of each commit's files."""
    for number in range(REPOS):
        repo = hub / f"models--org--r{number}"
        commit = hashlib.sha1(repo.name.encode()).hexdigest()
        snapshot = repo / "snapshots" / commit
        for folder in (repo / "blobs", repo / "refs", repo / "trees", snapshot / "unet"):
            folder.mkdir(parents=True)
        (repo / "refs" / "main").write_text(commit)
        listed = {}
        for index in range(FILES):
            path = f"unet/part-{index:03}.safetensors"
            blob = hashlib.sha256(f"{number}/{path}".encode()).hexdigest()
            (repo / "blobs" / blob).write_bytes(b"12345678")
            (snapshot / path).symlink_to(f"../../../blobs/{blob}")
            listed[path] = {"lfs_sha256": blob, "lfs_size": 8, "size": 8, "blob_id": blob[:40]}
        (repo / "trees" / f"{commit}.json").write_text(json.dumps({"files": listed}))


def make_examples(folder: Path, count: int) -> Path:
    for number in range(count):
        place = folder / f"m{number}"
        place.mkdir(parents=True)
        (place / "example.yaml").write_text(MANIFEST.format(number=number))
    return folder


def cpu(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of a child, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each case."""
    make_cache(folder / "hub")
    base = {k: v for k, v in os.environ.items() if not k.startswith(("CVL_", "HF_", "XDG_"))}
    base.update(CVL_HOME=str(folder / "home"), HF_HUB_CACHE=str(folder / "hub"))
    cvl = [sys.executable, "-m", "cvl", "models", "list", "--json"]
    cases: dict[str, Callable[[], float]] = {
        "scan": lambda: cpu([sys.executable, "-c", SCAN], base),
        "scan alone": lambda: _alone(base),
    }
    for count in (20, REPOS):
        examples = make_examples(folder / f"examples{count}", count)
        environment = {**base, "CVL_EXAMPLES": str(examples)}
        cases[f"list, {count} examples"] = lambda e=environment: cpu(cvl, e)  # type: ignore[misc]
    for case in cases.values():
        case()  # caches of files, of manifests, of bytecode
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(case())
    return {name: statistics.median(found) for name, found in times.items()}


def _alone(environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", ALONE.format(repos=REPOS)]
    return float(subprocess.check_output(command, env=environment, text=True))


def main(rounds: int) -> int:
    """Print the table; 1 when a ratio is over the limit."""
    with tempfile.TemporaryDirectory(prefix="cvl-bench-") as folder:
        found = measure(Path(folder), rounds)
    rows = [
        (name, against, round(found[name] / found[against], 2))
        for name in found
        if name.startswith("list")
        for against in ("scan", "scan alone")
    ]
    print(f"| cvl models, {REPOS} repos, {REPOS * FILES} files | against | CPU |\n|---|---|---|")
    for name, against, ratio in rows:
        print(f"| {name} | {against} | {ratio}x |")
    print(json.dumps({name: round(seconds, 3) for name, seconds in found.items()}))
    return int(any(ratio > LIMIT for _, against, ratio in rows if against == "scan alone"))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
