"""What a test may not leave behind: containers, volumes, networks, folders, processes, locks."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from tests.support.engine import Engine


@dataclass(frozen=True)
class Inventory:
    """Names of everything that exists at one moment."""

    containers: frozenset[str]
    volumes: frozenset[str]
    networks: frozenset[str]
    dangling: frozenset[str]
    staging: frozenset[str]
    work: frozenset[str]
    run_locks: frozenset[str]
    processes: frozenset[str]


def take(engine: Engine, *folders: Path) -> Inventory:
    """The inventory of an engine and of the folders that a test uses."""
    return Inventory(
        containers=_lines(engine.docker("ps", "--all", "--quiet", "--no-trunc")),
        volumes=_lines(engine.docker("volume", "ls", "--quiet")),
        networks=_lines(engine.docker("network", "ls", "--quiet", "--no-trunc")),
        dangling=_lines(
            engine.docker(
                "images", "-q", "--filter", "dangling=true", "--filter", "label=org.cvl.example"
            )
        ),
        staging=_found(folders, ".cvl-staging-*"),
        work=_found(folders, "cache/work/*"),
        run_locks=_found(folders, "state/locks/run/*.lock"),
        processes=_processes(folders),
    )


def leaked(before: Inventory, after: Inventory) -> list[str]:
    """`kind: name` of everything that was not there before."""
    return [
        f"{field.name}: {name}"
        for field in fields(Inventory)
        for name in sorted(getattr(after, field.name) - getattr(before, field.name))
    ]


def _lines(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _found(folders: tuple[Path, ...], pattern: str) -> frozenset[str]:
    return frozenset(str(p) for folder in folders for p in folder.rglob(pattern))


def process_ids(home: Path) -> set[int]:
    """Ids of the processes that have `home` as CVL_HOME."""
    return {int(text.split()[0]) for text in _processes((home,))}


def _processes(folders: tuple[Path, ...]) -> frozenset[str]:
    """Processes that have one of the folders as CVL_HOME: cvl itself, and whatever it started."""
    marks = [f"CVL_HOME={folder}".encode() for folder in folders]
    found = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            environment = (process / "environ").read_bytes()
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if command and any(mark in environment for mark in marks):
            found.add(f"{process.name} {command}")
    return frozenset(found)
