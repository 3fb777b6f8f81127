"""`cvl validate`: check manifests before anybody runs them."""

from __future__ import annotations

from dataclasses import asdict

import click

from cvl.cli import suggestions
from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.errors import ManifestError
from cvl.ops.validating import Verdict, check_example, chosen


@click.command()
@click.argument(
    "examples_or_paths",
    nargs=-1,
    metavar="[EXAMPLE|PATH]...",
    shell_complete=suggestions.examples_or_paths,
)
@common
def command(terminal: Terminal, examples_or_paths: tuple[str, ...]) -> int:
    """Check manifests: all within reach, or those named by example, folder or file.

    Prints FILE:LINE: what is wrong, and exits with 2 when anything is.
    """
    found = catalog(terminal)
    verdicts = [check_example(found, e) for e in chosen(found, examples_or_paths)]
    data = {"examples": [{**asdict(v), "good": v.good} for v in verdicts]}
    lines = [line for verdict in verdicts for line in _lines(verdict)]
    bad = [verdict for verdict in verdicts if not verdict.good]
    if not bad:
        terminal.data(data, lines)
        return 0
    if not terminal.json:
        terminal.data(data, lines)
    noun = "manifest is" if len(bad) == 1 else "manifests are"
    error = ManifestError(f"{len(bad)} of {len(verdicts)} {noun} wrong")
    terminal.fail(error, data)
    return error.status


def _lines(verdict: Verdict) -> list[str]:
    if verdict.good:
        return [f"ok {verdict.name}"]
    return [verdict.error, *([f"  hint: {verdict.hint}"] if verdict.hint else [])]
