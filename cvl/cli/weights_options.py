"""What the commands of `cvl models` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.options import catalog
from cvl.cli.suggestions import weights_named
from cvl.cli.terminal import Terminal
from cvl.store.config import load_config

if TYPE_CHECKING:
    from cvl.ops.session import Session
    from cvl.ops.weights.selecting import Selected
    from cvl.ops.weights.using import Used, Uses

PROGRESS = ("auto", "tty", "plain", "json", "quiet")
Command = Callable[..., Any]


def selection(function: Command) -> Command:
    """Words that stand for weights."""
    argument = click.argument(
        "words", nargs=-1, metavar="[SELECTION]...", shell_complete=weights_named
    )
    return argument(function)


def progress(function: Command) -> Command:
    """--progress and -q."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Say what went wrong, nothing else."),
        click.option("--progress", type=click.Choice(PROGRESS), help="How progress is shown."),
    ):
        function = option(function)
    return function


@contextmanager
def working(terminal: Terminal, progress: str | None, quiet: bool) -> Iterator[Session]:
    """A session that listens to signals and reports progress."""
    from cvl.cli.running import attended
    from cvl.ops.session import Session

    config = load_config()
    terminal.quiet = quiet or progress == "quiet"
    session = Session(offline=config.offline)
    with attended(session, "quiet" if terminal.quiet else progress or config.progress):
        yield session


def selected(
    terminal: Terminal, words: Sequence[str], *, optional: bool = False
) -> tuple[Selected, Uses]:
    """What the words stand for, everything that examples use when there are none; and all uses.
    optional: also what only options ask for and is not here."""
    from cvl.ops.session import Session
    from cvl.ops.weights.selecting import everything, select, without_spare
    from cvl.ops.weights.using import uses_of
    from cvl.store.hub_cache import hub_folder
    from cvl.store.hub_survey import survey

    found = catalog(terminal)
    uses = uses_of(found)
    for name in uses.broken:
        terminal.message(f"{name} is left out: its manifest is broken")
    chosen = select(found, uses, survey(hub_folder()), words) if words else everything(uses)
    return (chosen if optional else without_spare(Session(), uses, chosen)), uses


def weights_of(chosen: Selected) -> list[Used]:
    """Also of repos that no example uses, as they are in the cache."""
    from cvl.ops.weights.status import other

    models = [repo for repo in chosen.others if repo.kind == "model"]
    return [*chosen.weights, *(other(repo) for repo in models)]
