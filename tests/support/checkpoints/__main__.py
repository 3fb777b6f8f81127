"""`python -m checkpoints FAMILY... --output DIR` writes DIR/<org>/<name> for their repositories."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from .families import FAMILIES, build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m checkpoints", description=__doc__)
    parser.add_argument("family", nargs="+", choices=[*FAMILIES, "all"], metavar="FAMILY")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    chosen = FAMILIES if "all" in arguments.family else arguments.family
    for family in chosen:
        for repo in FAMILIES[family]:
            print(json.dumps(report(family, repo, arguments.output)), flush=True)


def report(family: str, repo: str, output: Path) -> dict[str, str | int | float]:
    """Builds a repository: where it is, how large, and how long that took."""
    start = time.perf_counter()
    folder = build(repo, output)
    seconds = round(time.perf_counter() - start, 2)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    about: dict[str, str | int | float] = {"family": family, "repo": repo, "path": str(folder)}
    return {**about, "files": len(sizes), "bytes": sum(sizes), "seconds": seconds}


if __name__ == "__main__":
    main()
