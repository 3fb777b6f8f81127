"""Words that a shell may offer for a value. From local data alone: the engine is never asked, and
modules are loaded only by the suggestion that needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cvl.core.manifest import InputSpec

Items = list["CompletionItem"]
Suggest = Callable[[click.Context, click.Parameter, str], Items]
RUNS = 200


def items(words: Iterable[tuple[str, str]], incomplete: str) -> Items:
    """Those of (word, help) that begin with what was typed."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=text or None)
        for word, text in words
        if word.startswith(incomplete)
    ]


def one_of(*words: object) -> Suggest:
    """A fixed set of words."""

    def suggest(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        return items(((str(word), "") for word in words), incomplete)

    return suggest


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Left to the shell, which knows about files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Left to the shell as well."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def of_input(spec: InputSpec) -> Suggest | None:
    """What to suggest for a declared input."""
    if spec.choices:
        return one_of(*spec.choices)
    if spec.item_type == "directory":
        return folders
    return files if spec.is_file or spec.item_type == "json" else None


def example_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names of the examples within reach."""
    return names_within(ctx.params.get("examples") or (), incomplete)


def names_within(folders_given: Sequence[str], incomplete: str) -> Items:
    """Names of the examples within reach, with --examples as it was given; manifests are not
    read."""
    from cvl.ops.examples import Catalog
    from cvl.store.config import load_config

    config = load_config()
    found = Catalog(folders_given, config.examples, config.found_examples).examples
    return items(((name, found[name].source) for name in sorted(found)), incomplete)


def examples_or_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names, or files where no name begins like that."""
    return example_names(ctx, param, incomplete) or files(ctx, param, incomplete)


def weights_named(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Examples with weights, and repos, of examples and in the cache."""
    from cvl.ops.examples import Catalog
    from cvl.ops.weights.selecting import words_for
    from cvl.ops.weights.using import others_of, uses_of
    from cvl.store.config import load_config
    from cvl.store.hub_cache import hub_folder
    from cvl.store.hub_survey import survey

    config = load_config()
    given = ctx.params.get("examples") or ()
    catalog = Catalog(given, config.examples, config.found_examples)
    uses = uses_of(catalog)
    words = words_for(catalog, uses, others_of(uses, survey(hub_folder())))
    return items(words.items(), incomplete)


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Runs, newest first, and `last`."""
    return _runs(incomplete, "")


def running_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Runs that are recorded as running, and `last`."""
    return _runs(incomplete, "running")


def _runs(incomplete: str, state: str) -> Items:
    from cvl.store.dirs import find_dirs
    from cvl.store.records import Records

    database = find_dirs().database
    if not database.exists():
        return []
    found = Records(database).runs(state=state, limit=RUNS)
    words = [(record.id, f"{record.example} {record.verb}, {record.state}") for record in found]
    return items([("last", "the newest"), *words] if words else [], incomplete)


def step_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Steps of the run that was named, as far as they have logs."""
    from cvl.ops.logs import step_logs
    from cvl.ops.runs import find_run
    from cvl.ops.session import Session

    session = Session()
    folder = session.dirs.runs / find_run(session, ctx.params.get("run") or "").id
    return items(((log.step, "") for log in step_logs(folder)), incomplete)
