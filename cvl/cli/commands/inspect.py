"""`cvl inspect`: what a file is, how it was made, and whether that is still what is here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.suggestions import files
from cvl.cli.terminal import Terminal
from cvl.core.names import printable
from cvl.core.plain import to_plain
from cvl.core.units import size

if TYPE_CHECKING:
    from cvl.core.media import MediaInfo
    from cvl.core.provenance import Provenance
    from cvl.ops.inspecting import Code, Inspection

_STATES = {
    "same": "the code is what is here",
    "changed": "the code here is another by now",
    "missing": "the example is not here",
}


@click.command()
@click.argument("file", metavar="FILE", shell_complete=files)
@common
def command(terminal: Terminal, file: str) -> int:
    """Show what a file says of how it was made.

    MP4, MOV, M4A, WAV and PNG files hold it themselves; for others, FILE.cvl.json is read, which
    cvl run --sidecar writes. Nothing of it is proof: whoever has a file can change it.
    """
    from cvl.ops.inspecting import inspect_file

    found = inspect_file(catalog(terminal), Path(file))
    terminal.data(_data(found), _text(found, file))
    return 0


def _data(found: Inspection) -> dict[str, Any]:
    return {
        "file": found.file,
        "size": found.size,
        "media": to_plain(found.media),
        "media_problem": found.media_problem,
        "place": found.statement.place,
        "problem": found.statement.problem,
        "provenance": to_plain(found.statement.provenance),
        "code": to_plain(found.code),
    }


def _text(found: Inspection, file: str) -> list[str]:
    media = _media(found.media) if found.media else found.media_problem
    lines = [f"{printable(file, 300)}: {media}, {size(found.size)}"]
    made_by, problem = found.statement.provenance, found.statement.problem
    if made_by is not None:
        return [*lines, *_made_by(made_by, found.code), f"again: cvl rerun {_word(file)}"]
    if problem:
        return [*lines, f"It {problem}."]
    return [
        *lines,
        "It does not say how it was made: cvl did not make it, or it was changed since.",
    ]


def _word(file: str) -> str:
    """A path as one would type it."""
    return shlex.quote(printable(f"./{file}" if file.startswith("-") else file, 300))


def _media(media: MediaInfo) -> str:
    facts = [f"{media.format} {media.kind}" if media.kind != "other" else media.format]
    if media.duration_s is not None:
        facts.append(f"{media.duration_s:.2f} s")
    if media.width:
        facts.append(f"{media.width}x{media.height}")
    if media.fps and media.kind == "video":
        facts.append(f"{media.fps:g} frames/s")
    if media.sample_rate:
        facts.append(f"{media.sample_rate} Hz")
    facts += [codec for codec in (media.video_codec, media.audio_codec) if codec]
    return ", ".join(facts)


def _made_by(made_by: Provenance, code: tuple[Code, ...]) -> list[str]:
    lines = [f"{made_by.output} of {made_by.example}, seed {made_by.seed}, cvl {made_by.cvl}"]
    lines += [f"  --{name} {value}" for name, value in made_by.arguments.items()]
    for name, refs in made_by.files.items():
        lines += [f"  --{name} (sha256 {ref.sha256}, {size(ref.size)})" for ref in refs]
    for part in code:
        origin = made_by.steps.get(part.step)
        detail = f", image {origin.image[:19]}, seed {origin.seed}" if origin else ""
        named = f"{part.step} ({part.example})" if part.step != part.example else part.step
        lines.append(f"{named.strip()}: {_STATES[part.state]}{detail}")
        lines += [f"  licence: {origin.license}"] if origin else []
    return lines
