"""`cvl run EXAMPLE build|predict|test`: options of cvl and of the example in any order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.example_options import (
    ExampleCommand,
    input_params,
    output_params,
    split,
    step_params,
)
from cvl.cli.options import catalog, common_params
from cvl.cli.suggestions import files, one_of
from cvl.cli.terminal import Terminal
from cvl.core.names import did_you_mean
from cvl.core.seeds import MAX_COUNT, parse_seeds, variation_seeds
from cvl.core.weights import parse_lora
from cvl.errors import UsageError
from cvl.ops.examples import Example
from cvl.store.config import ENGINES, Config, load_config

if TYPE_CHECKING:
    from cvl.cli.running import Settings
    from cvl.ops.request import Options

VERBS = {
    "build": "Build the image (the images, for a pipeline).",
    "predict": "Run it on your inputs.",
    "test": "Run it on its own samples and write a JUnit file.",
}
PROGRESS = ("auto", "tty", "plain", "json", "quiet")


def runner_params() -> list[click.Parameter]:
    """cvl's own options of `run`, the same for every example and verb."""
    declared = [
        click.option(
            "--gpus", metavar="SPEC", help="all, none, a count, device=0,1 or a GPU's UUID."
        ),
        click.option(
            "--offload", metavar="MODE", help="Rung of the offload ladder, true or false."
        ),
        click.option(
            "--dtype",
            metavar="TYPE",
            help="auto, fp32, fp16 or bf16.",
            shell_complete=one_of("auto", "fp32", "fp16", "bf16"),
        ),
        click.option(
            "--seed", metavar="SEEDS", help="A number, 1..8 or 1,5,9. Same seed, same bytes."
        ),
        click.option(
            "--count",
            type=click.IntRange(1, MAX_COUNT),
            metavar="N",
            help="Make N variations, each with a seed of its own.",
        ),
        click.option(
            "--engine", type=click.Choice(ENGINES), help="Containers, or virtual environments."
        ),
        click.option("--trust", is_flag=True, help="Run an example found in the working folder."),
        click.option("--overwrite", is_flag=True, help="Replace files that are there."),
        click.option("--sidecar", is_flag=True, help="Write OUTPUT.cvl.json: how it was made."),
        *_weights_options(),
        click.option("--no-cache", is_flag=True, help="Run although the result is known."),
        click.option("--explain", is_flag=True, help="Say field by field why each step runs."),
        click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing."),
        click.option(
            "--fallback", is_flag=True, help="Let another example take over from one you named."
        ),
        click.option("--timeout", type=click.FloatRange(min=0.001), metavar="S", help="Per step."),
        click.option("--progress", type=click.Choice(PROGRESS), help="How progress is shown."),
        click.option("-q", "--quiet", is_flag=True, help="Print the output path, nothing else."),
        click.option(
            "--junit",
            metavar="FILE",
            help="JUnit file of test. [junit-EXAMPLE.xml]",
            shell_complete=files,
        ),
        click.option("--base-image", metavar="REF", help="Base image of builds."),
        click.option(
            "--ca-bundle", metavar="FILE", help="PEM file for builds and runs with a network."
        ),
        *common_params(),
    ]
    holder: Any = lambda: None  # noqa: E731  (click keeps the options of a decorated function on it)
    for decorator in reversed(declared):
        holder = decorator(holder)
    return list(reversed(holder.__click_params__))


def _weights_options() -> list[Any]:
    return [
        click.option(
            "--weights",
            metavar="NAME=PATH",
            multiple=True,
            help="Your own weights: file or folder.",
        ),
        click.option("--lora", metavar="FILE[:SCALE]", multiple=True, help="A LoRA of yours."),
        click.option("--offline", is_flag=True, help="Fetch no weights: use what is here."),
        click.option(
            "--commercial/--no-commercial",
            default=None,
            help="Refuse what is not known to allow commercial use.",
        ),
    ]


class RunCommand(click.Command):
    """Finds the example and the verb among the options, then parses with the example's own options
    added. Words before them are parsed as well, so that cvl's options may stand anywhere."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if not extra.get("resilient_parsing"):
            return super().make_context(info_name, args, parent, **extra)
        from cvl.cli.completing import run_command

        words, rest = positionals(self.params, args)
        completed = run_command(self.params, words, early_examples(rest))
        return completed.make_context(info_name, rest, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, rest = positionals(self.params, args)
        if not words:
            if {"--help", "-h"} & set(args):
                click.echo(self.get_help(ctx))
                ctx.exit()
            raise UsageError("which example?", hint="cvl list shows them")
        ctx.meta["words"], ctx.meta["rest"] = words, rest
        return []


def positionals(
    params: list[click.Parameter], args: list[str], count: int = 2
) -> tuple[list[str], list[str]]:
    """The first `count` words that are neither an option of cvl nor its value, and the rest."""
    takes_value = {
        flag
        for param in params
        if isinstance(param, click.Option) and not param.is_flag
        for flag in param.opts
    }
    words: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(args) and len(words) < count:
        token = args[index]
        if token.startswith("-") and len(token) > 1:
            rest.append(token)
            if token in takes_value and index + 1 < len(args):
                index += 1
                rest.append(args[index])
        else:
            words.append(token)
        index += 1
    return words, [*rest, *args[index:]]


@click.command(
    cls=RunCommand,
    params=runner_params(),
    options_metavar="",
    epilog="cvl run EXAMPLE predict --help shows the options of an example.",
)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Build, run or test an example: cvl run EXAMPLE build|predict|test [options]"""
    terminal: Terminal = ctx.obj
    words, rest = ctx.meta["words"], ctx.meta["rest"]
    config = load_config()
    terminal.examples = early_examples(rest)
    found = catalog(terminal, config)
    example = found.find(words[0])
    verb = words[1] if len(words) > 1 else ""
    if verb not in VERBS and not (not verb and {"--help", "-h"} & set(rest)):
        raise UsageError(
            f"{example.name} has no verb {verb!r}" if verb else f"what should {example.name} do?",
            hint=did_you_mean(verb, VERBS) or "choose from: build, predict, test",
        )
    values = _parse(ctx, example, verb, rest)
    return 0 if values is None else _dispatch(terminal, config, found, example, verb, values)


def early_examples(rest: list[str]) -> tuple[str, ...]:
    """--examples decides which example is meant, so it is read before the rest."""
    folders = []
    for index, token in enumerate(rest):
        if token == "--examples" and index + 1 < len(rest):
            folders.append(rest[index + 1])
        elif token.startswith("--examples="):
            folders.append(token.partition("=")[2])
    return tuple(folders)


def _parse(
    ctx: click.Context, example: Example, verb: str, rest: list[str]
) -> dict[str, Any] | None:
    """The options as values, or None when --help was answered."""
    params = list(command.params)
    title = example.manifest.summary
    if verb == "predict":
        manifest = example.manifest
        own = [*input_params(manifest), *output_params(manifest)]
        params = [*own, *step_params(manifest, rest), *params]
    elif not verb:
        title += "\n\n\b\n" + "\n".join(f"{name:8} {text}" for name, text in VERBS.items())
    sub = ExampleCommand(f"{example.name} {verb}".strip(), params=params, help=title)
    context = click.Context(sub, info_name=f"cvl run {sub.name}", max_content_width=80)
    context.help_option_names = ["-h", "--help"]
    try:
        sub.parse_args(context, rest)
    except click.exceptions.Exit:
        return None
    return dict(context.params)


def _dispatch(
    terminal: Terminal,
    config: Config,
    found: Any,
    example: Example,
    verb: str,
    values: dict[str, Any],
) -> int:
    """Only here, with the command line understood, is the rest of cvl imported."""
    listen(terminal, values)
    seeds = seeds_of(values)
    if verb != "predict" and (len(seeds) > 1 or values["count"]):
        raise UsageError(f"{verb} makes no variations", hint="give one --seed, and no --count")
    from cvl.cli import running
    from cvl.ops.request import Request

    settings = settings_of(values, config)
    if verb == "build":
        return running.build(terminal, settings, found, example)
    options = runner_options(values, config, seeds[0] if len(seeds) == 1 else None)
    if verb == "test":
        junit = Path(values["junit"] or f"junit-{example.name}.xml")
        return running.test(terminal, settings, found, example, junit, options)
    inputs, outputs, steps = split(values)
    outputs = {(name or ""): path for name, path in outputs.items()}
    request = Request(example, inputs, outputs, steps, options)
    if len(seeds) > 1:
        return running.predict_variations(terminal, settings, found, request, seeds)
    return running.predict(terminal, settings, found, request)


def seeds_of(values: dict[str, Any]) -> tuple[int, ...]:
    """The seeds that --seed and --count ask for; none when neither was given."""
    named = () if values["seed"] is None else parse_seeds(values["seed"])
    from cvl.ops.request import fresh_seed

    return variation_seeds(named, values["count"], fresh_seed)


def listen(terminal: Terminal, values: dict[str, Any]) -> None:
    """Speak as the options say."""
    terminal.json, terminal.debug = values["as_json"], values["debug"]
    terminal.quiet = values["quiet"] or values["progress"] == "quiet"


def settings_of(values: dict[str, Any], config: Config) -> Settings:
    """How a run is shown and built."""
    from cvl.cli.running import Settings

    return Settings(
        progress=values["progress"] or config.progress,
        base_image=values["base_image"] or config.base_image,
        build_network=config.build_network,
        engine=values["engine"] or config.engine,
        engine_named=values["engine"] is not None,
        trust=values["trust"],
        offline=values["offline"] or config.offline,
        ca_bundle=values["ca_bundle"] or config.ca_bundle,
        engine_wait_s=config.engine_wait_s,
        dry_run=values["dry_run"],
        explain=values["explain"],
    )


def runner_options(values: dict[str, Any], config: Config, seed: int | None = None) -> Options:
    from cvl.ops.request import Options

    return Options(
        gpus=values["gpus"] or config.gpus or None,
        offload=values["offload"],
        dtype=values["dtype"],
        overwrite=values["overwrite"],
        use_cache=not values["no_cache"],
        timeout_s=values["timeout"],
        seed=seed,
        sidecar=values["sidecar"],
        fallback=values["fallback"],
        commercial=config.commercial if values["commercial"] is None else values["commercial"],
        weights=named_paths(values["weights"]),
        loras=tuple(parse_lora(word) for word in values["lora"]),
    )


def named_paths(words: tuple[str, ...]) -> dict[str, str]:
    """NAME=PATH, several times."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UsageError(f"--weights {word!r} is not NAME=PATH", hint="as in org/name=./folder")
        found[name] = path
    return found
