"""`cvl demo`: one video that shows what cvl is about, of an example's own samples."""

from __future__ import annotations

import click

from cvl.cli.commands.run import PROGRESS
from cvl.cli.options import EqualsCommand, catalog, common
from cvl.cli.suggestions import files
from cvl.cli.terminal import Terminal
from cvl.ops.request import Options, Request
from cvl.store.config import ENGINES, load_config

EXAMPLE = "avatar_video"
SEED = 42
"""Always the same, so that the demo of one version is the same file everywhere."""


@click.command(cls=EqualsCommand)
@click.option("--text", metavar="TEXT", help="What to say, instead of the sample.")
@click.option(
    "--image", metavar="FILE", help="Another portrait, instead of the sample.", shell_complete=files
)
@click.option(
    "-o",
    "--output",
    default="demo.mp4",
    metavar="PATH",
    help="Default: demo.mp4",
    shell_complete=files,
)
@click.option("--engine", type=click.Choice(ENGINES), help="Containers, or virtual environments.")
@click.option("--overwrite", is_flag=True, help="Replace a different file that is there.")
@click.option("--progress", type=click.Choice(PROGRESS), help="How progress is shown.")
@click.option("-q", "--quiet", is_flag=True, help="Print the output path, nothing else.")
@common
def command(
    terminal: Terminal,
    text: str | None,
    image: str | None,
    output: str,
    engine: str | None,
    overwrite: bool,
    progress: str | None,
    quiet: bool,
) -> int:
    """Make a portrait speak: demo.mp4, through three containers.

    Runs the example avatar_video on its own samples. Needs no GPU and no weights; where no Docker
    engine answers, the steps run in virtual environments.
    """
    from cvl.cli.running import Settings, predict
    from cvl.ops.samples import sample_inputs

    config = load_config()
    terminal.quiet = quiet or progress == "quiet"
    found = catalog(terminal, config)
    example = found.find(EXAMPLE)
    given = {name: value for name, value in (("text", text), ("image", image)) if value is not None}
    request = Request(
        example,
        {**sample_inputs(example), **given},
        {"": output},
        options=Options(
            gpus=config.gpus or None, seed=SEED, overwrite=overwrite, commercial=config.commercial
        ),
    )
    shown = progress or config.progress
    settings = Settings(
        progress=shown,
        base_image=config.base_image,
        build_network=config.build_network,
        engine_wait_s=config.engine_wait_s,
        engine=engine or config.engine,
        engine_named=engine is not None,
        trust=False,
        dry_run=False,
    )
    status = predict(terminal, settings, found, request)
    terminal.message('your own: cvl run avatar_video predict --text "Hello" --image me.jpg')
    return status
