"""What a shell is told when somebody presses Tab. click finds out which parameter a word belongs
to; `run` and `rerun`, whose options depend on the words before, are made into commands that it
understands."""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
)

from cvl.cli.example_options import all_step_params, input_params, output_params
from cvl.cli.suggestions import Items, files, items, names_within
from cvl.core.manifest import PipelineManifest
from cvl.core.names import one_line
from cvl.ops.examples import Catalog
from cvl.store.config import load_config

VARIABLE = "_CVL_COMPLETE"


class _Lines(ShellComplete):
    """Every shell reads lines: a word with a break in it is not offered, and none is explained in
    two."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        for item in found:
            item.help = one_line(item.help) if item.help else None
        return [item for item in found if item.value == one_line(item.value)]


class Bash(_Lines, BashComplete):
    """bash cuts words at `=`: `--voice=en` comes as three of them."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        return [argument for argument in args if argument != "="], incomplete


class _WholeWords(_Lines):
    """Shells that replace the whole word: `--voice=en` has to be answered with `--voice=en-gb`."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        name, equals, _ = incomplete.partition("=")
        if equals and name.startswith("-"):
            for item in found:
                item.value = f"{name}={item.value}" if item.type == "plain" else item.value
        return found


class Zsh(_WholeWords, ZshComplete):
    pass


class Fish(_WholeWords, FishComplete):
    pass


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def script(app: click.Command, shell: str) -> str:
    """The script that teaches a shell to ask us."""
    asked = SHELLS[shell](app, {}, "cvl", VARIABLE)
    return ShellComplete.source(asked).strip()  # that of bash would start a bash first


def answer(app: click.Command, instruction: str) -> int:
    """What the script asks for (`bash_complete`): lines on stdout. Somebody is typing: an error,
    like a broken manifest, is nothing to offer, and never text in the middle of their line."""
    shell, _, wanted = instruction.partition("_")
    if shell not in SHELLS or wanted != "complete":
        return 1
    try:
        offered = SHELLS[shell](app, {}, "cvl", VARIABLE).complete()
    except Exception:
        return 1
    if offered:
        print(offered)
    return 0


class Words(click.Command):
    """A command to complete the words of, with the options of an example."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> Items:
        """Options, each in one spelling. All of those of the steps would be too many to look
        through: they come once a step's name was begun."""
        found = super().shell_complete(ctx, incomplete or "--")
        names = {item.value for item in found}
        return [
            item
            for item in found
            if not ("_" in item.value and item.value.replace("_", "-") in names)
            and ("." not in item.value or len(incomplete) > 2)
        ]


def run_command(
    params: list[click.Parameter], words: list[str], folders: tuple[str, ...]
) -> click.Command:
    """`cvl run` after `words`: an example is to come, a verb, or options."""
    from cvl.cli.commands.run import VERBS

    if not words:
        example = click.Argument(
            ["example"], shell_complete=lambda *at: names_within(folders, at[2])
        )
        return Words("run", params=[example, *params])
    if len(words) == 1:
        verb = click.Argument(["verb"], shell_complete=lambda *at: items(VERBS.items(), at[2]))
        return Words("run", params=[verb, *params])
    own = example_params(words[0], folders) if words[1] == "predict" else []
    return Words("run", params=[*own, *params])


def example_params(name: str, folders: tuple[str, ...]) -> list[click.Parameter]:
    """Every option that `cvl run NAME predict` takes from the example, its steps included."""
    config = load_config()
    found = Catalog(folders, config.examples, config.found_examples)
    manifest = found.find(name).manifest
    params = [*input_params(manifest), *output_params(manifest)]
    if isinstance(manifest, PipelineManifest):
        params += all_step_params(manifest, lambda used: found.find(used).manifest)
    return params


def rerun_command(params: list[click.Parameter]) -> click.Command:
    """`cvl rerun FILE`, which needs the file to be there for more."""
    return Words("rerun", params=[click.Argument(["file"], shell_complete=files), *params])
