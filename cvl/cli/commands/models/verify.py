"""`cvl models verify`: read every file again."""

from __future__ import annotations

from typing import Any

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.core.units import size
from cvl.errors import UsageError, WeightsError
from cvl.ops.weights.verifying import Verified, verify


@click.command()
@selection
@click.option("--online", is_flag=True, help="Against what the hub says, not our lock.")
@progress
@common
def command(
    terminal: Terminal, words: tuple[str, ...], online: bool, progress: str | None, quiet: bool
) -> int:
    """Read the files of a SELECTION, or of all examples within reach, and compare them.

    Sizes and sha256 with those in cvl's lock, without a network. Names files that are missing,
    that hold something else, and that the commit does not have. Exit code 4 when one is bad; it is
    fetched again by cvl models repair, or by the next run that needs it.
    """
    chosen, _ = selected(terminal, words)
    with working(terminal, progress, quiet) as session:
        if online and session.offline:
            raise UsageError("--online while offline is set", hint="see offline in cvl.toml")
        found = [verify(session, used, online=online) for used in weights_of(chosen)]
    for verified in found:
        _tell(terminal, verified)
    data = {"weights": [data_of(verified) for verified in found]}
    bad = [verified for verified in found if not verified.sound]
    if not bad:
        terminal.data(data, "") if terminal.json else terminal.message(f"{len(found)} sound")
        return 0
    error = trouble(bad)
    terminal.fail(error, data)
    return error.status


def _tell(terminal: Terminal, found: Verified) -> None:
    """A line per file that is not right: data, on stdout."""
    if terminal.json:
        return
    for file in found.bad:
        trouble = file.trouble.replace("_", " ")
        terminal.line(f"{found.used.name} {file.path}: {trouble} ({size(file.size)})")
    for path in found.told:
        terminal.line(f"{found.used.name} {path}: the hub says other than the lock")
    for path in found.extra:
        terminal.line(f"{found.used.name} {path}: extra, the commit has no such file")
    if not found.listed:
        terminal.line(f"{found.used.name}: nothing is known of it")


def trouble(bad: list[Verified]) -> WeightsError:
    """What is not as it should be, in one sentence."""
    names = ", ".join(verified.used.name for verified in bad)
    count = sum(len(verified.bad) + len(verified.told) for verified in bad)
    if not count:
        return WeightsError(
            f"{names}: never fetched", hint=f"cvl models pull {bad[0].used.name}", code="missing"
        )
    return WeightsError(
        f"{count} bad files: {names}", hint="cvl models repair fetches them again", code="bad_files"
    )


def data_of(found: Verified) -> dict[str, Any]:
    """As --json shows it."""
    return {
        "weights": found.used.name,
        "commit": found.commit or None,
        "sound": found.sound,
        "known": found.listed,
        "good": list(found.good),
        "bad": [{"path": f.path, "size": f.size, "trouble": f.trouble} for f in found.bad],
        "extra": list(found.extra),
        "hub_differs": list(found.told),
    }
