"""`cvl models lock`: note commits and what every file holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.core.units import size
from cvl.ops.weights.locking import Locked, Written, lock, write_pin
from cvl.ops.weights.needs import RepoNeed

HEADINGS = ["WEIGHTS", "REVISION", "COMMIT", "FILES", "SIZE", "SHA256"]


@click.command()
@selection
@click.option("--write", is_flag=True, help="Put the commits into example.yaml.")
@progress
@common
def command(
    terminal: Terminal, words: tuple[str, ...], write: bool, progress: str | None, quiet: bool
) -> int:
    """Note which commit weights are at, and size and sha256 of every file.

    Of a SELECTION, or of all examples within reach. Downloads nothing: of small files the hub says
    no sha256, it is known once they were read. What is pinned stays pinned; cvl models update moves
    a pin. --write changes one word of the manifests of your own examples.
    """
    chosen, _ = selected(terminal, words)
    weights = [used for used in weights_of(chosen) if isinstance(used.need, RepoNeed)]
    found: list[Locked] = []
    written: list[Written] = []
    with working(terminal, progress, quiet) as session:
        for used in weights:
            assert isinstance(used.need, RepoNeed)
            found.append(lock(session, used.need))
            if write:
                examples = [catalog(terminal).examples[name] for name in used.examples]
                written += [write_pin(one, used.need, found[-1].commit) for one in examples]
    for one in written:
        where = f"{one.example}: {one.repo}"
        problem = f"is not written: {one.problem}" if one.problem else f"is at {one.commit} now"
        terminal.message(f"{where} {problem}")
    data = {
        "weights": [_data(one) for one in found],
        "written": [_written(one) for one in written],
    }
    text = fitted(HEADINGS, [_row(one) for one in found], {"WEIGHTS": 16}) if found else ""
    terminal.data(data, text)
    return 0


def _row(one: Locked) -> list[str]:
    known = len(one.files) - len(one.unknown)
    count = f"{known} of {len(one.files)}"
    return [one.repo, one.revision, one.commit[:12], str(len(one.files)), size(one.size), count]


def _data(one: Locked) -> dict[str, Any]:
    return {
        "weights": one.repo,
        "revision": one.revision,
        "commit": one.commit,
        "new": one.new,
        "files": len(one.files),
        "size": one.size,
        "unknown": list(one.unknown),
    }


def _written(one: Written) -> dict[str, Any]:
    known = asdict(one)
    return {"weights": known.pop("repo"), **known, "problem": one.problem or None}
