"""`cvl models pull`: fetch weights before they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.core.plain import to_plain
from cvl.core.units import size
from cvl.core.weights import REPO
from cvl.errors import CvlError, UsageError, UserError
from cvl.ops.weights.getting import Wanted, pull, wanted
from cvl.ops.weights.pulling import some
from cvl.ops.weights.selecting import repo_named
from cvl.ops.weights.using import Used, here, licenses_of

if TYPE_CHECKING:
    from cvl.ops.session import Session

HEADINGS = ["WEIGHTS", "FILE", "SIZE"]


@dataclass(frozen=True)
class Chosen:
    """What words stand for; spare: what of it is left out."""

    weights: Sequence[Used]
    spare: Sequence[Used] = ()


@click.command()
@selection
@click.option("--all", "everything", is_flag=True, help="Of all examples within reach.")
@click.option(
    "--optional", is_flag=True, help="Also what only other options than the defaults need."
)
@click.option(
    "--files", "patterns", multiple=True, metavar="PATTERN",
    help="Only these files of a repo (repeatable): '*.safetensors'.",
)  # fmt: skip
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a repo. [main]")
@click.option("--dry-run", is_flag=True, help="Show files and sizes, and fetch nothing.")
@progress
@common
def command(
    terminal: Terminal,
    words: tuple[str, ...],
    everything: bool,
    optional: bool,
    patterns: tuple[str, ...],
    revision: str | None,
    dry_run: bool,
    progress: str | None,
    quiet: bool,
) -> int:
    """Fetch the weights of a SELECTION: what is missing of them.

    What only other options than the defaults need (--enhancer gfpgan) is left out, unless it is
    named itself or some of it is here. A repo that no example uses can be named too (ORG/NAME),
    with --files and --revision. What is complete is not fetched again, and what is there is not
    read again: cvl models verify does.
    """
    if bool(words) == everything:
        raise UsageError("which weights?", hint="name an example or a repo, or give --all")
    if patterns or revision:
        if optional:
            raise UsageError(
                "--optional is of examples, --files and --revision are of a repo",
                hint="leave out one or the other",
            )
        chosen = Chosen([_repo(terminal, word, revision or "main", patterns) for word in words])
    else:
        chosen = _chosen(terminal, words, optional=optional)
    with working(terminal, progress, quiet) as session:
        planned = wanted(session, chosen.weights, dry_run=dry_run)
        if not dry_run:
            planned = pull(session, planned)
        left = _left_out(session, chosen.spare)
    if dry_run and not terminal.json:
        rows = [
            [item.used.name, path, size(file.size)]
            for item in planned
            for path, file in sorted(item.files.items())
        ]
        terminal.data(None, fitted(HEADINGS, rows, {"WEIGHTS": 16, "FILE": 24}) if rows else "")
    return _end(terminal, planned, dry_run, left)


def _chosen(terminal: Terminal, words: tuple[str, ...], *, optional: bool) -> Chosen:
    found: dict[Used, None] = {}
    spare: dict[Used, None] = {}
    for word in words or [""]:
        try:
            named, _ = selected(terminal, [word] if word else [], optional=optional)
        except UserError:
            if not REPO.fullmatch(word):
                raise
            found[_repo(terminal, word, "main", ())] = None
        else:
            found.update(dict.fromkeys(weights_of(named)))
            spare.update(dict.fromkeys(named.spare))
    return Chosen(list(found), [used for used in spare if used not in found])


def _left_out(session: Session, spare: Sequence[Used]) -> str:
    """What is not here and not fetched, in a sentence; empty when there is nothing like that."""
    if not spare:
        return ""
    found = [here(session, used) for used in spare]
    about = "" if all(one.known for one in found) else "about "
    sized = f" ({about}{size(sum(one.needed - one.present for one in found))})"
    names = some(dict.fromkeys(used.name for used in spare))
    options = ", ".join(dict.fromkeys(used.options for used in spare))
    more = sized if all(one.needed for one in found) else ""
    return f"left out: {names}{more}, needed only with {options}; --optional fetches that too"


def _repo(terminal: Terminal, word: str, revision: str, patterns: tuple[str, ...]) -> Used:
    return replace(
        repo_named(word, revision, patterns), licenses=licenses_of(catalog(terminal), word)
    )


def _end(terminal: Terminal, planned: list[Wanted], dry_run: bool, left: str) -> int:
    data = {"dry_run": dry_run, "weights": [_data(item) for item in planned]}
    files = sum(len(item.files) for item in planned if dry_run or item.fetched)
    total = sum(item.size for item in planned if dry_run or item.fetched)
    failed = [item for item in planned if item.error]
    for item in planned:
        if not item.files and not item.error:
            terminal.message(f"{item.used.name} is complete")
    if files or not planned:
        terminal.message(f"{'would fetch' if dry_run else 'fetched'} {files} files, {size(total)}")
    if left:
        terminal.message(left)
    if not failed:
        terminal.data(data, "") if terminal.json else None
        return 0
    for item in failed[1:]:
        terminal.message(f"{item.used.name}: {item.error}")
    error = failed[0].error
    assert isinstance(error, CvlError)
    terminal.fail(error, data)
    return error.status


def _data(item: Wanted) -> dict[str, Any]:
    return {
        "weights": item.used.name,
        "revision": item.used.revision or None,
        "commit": item.commit or None,
        "files": [{"path": path, "size": file.size} for path, file in sorted(item.files.items())],
        "size": item.size,
        "fetched": item.fetched,
        "licenses": [{"example": name, **to_plain(terms)} for name, terms in item.used.licenses],
        "options": item.used.options or None,
        "error": item.error.message if item.error else None,
        "code": item.error.code if item.error else None,
    }
