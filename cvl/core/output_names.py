"""Names of outputs that say their seed, or that are numbered where a name is taken. All of them are
at most 255 bytes long and keep their extension."""

from __future__ import annotations

import re

SEED = "{seed}"
"""In the name of an output, what is replaced by its seed."""
MAX_NAME = 255
MAX_EXTENSION = 16
NUMBERED = re.compile(r".*-([1-9][0-9]{0,8})", re.DOTALL)


def with_seed(path: str, seed: int, *, several: bool, folder: bool = False) -> str:
    """`out.mp4` of several variations becomes `out-seed-0010.mp4`; `{seed}` is replaced wherever it
    is. At least four digits: so names sort as their seeds do, and never depend on the other seeds
    that were asked for."""
    parent, slash, name = path.rpartition("/")
    if SEED in path:
        return parent.replace(SEED, str(seed)) + slash + _replaced(name, str(seed), folder)
    if not several or name in ("", ".", ".."):
        return path
    return f"{parent}{slash}{_insert(name, f'-seed-{seed:04}', folder)}"


def with_number(name: str, number: int, *, folder: bool = False) -> str:
    """`output.mp4`, `output-2.mp4`, `output-3.mp4` for 1, 2 and 3."""
    return name if number == 1 else _insert(name, f"-{number}", folder)


def number_in(found: str, name: str, *, folder: bool = False) -> int | None:
    """Which number of `name` a file name is; None when it is none of them."""
    if found == name:
        return 1
    extension = "" if folder else _split(name)[1]
    match = NUMBERED.fullmatch(found.removesuffix(extension))
    number = int(match[1]) if match else 1
    is_one = number > 1 and with_number(name, number, folder=folder) == found
    return number if is_one else None


def _insert(name: str, tag: str, folder: bool) -> str:
    """`tag` before the extension; the rest gives way where the name would be too long. A name that
    is too long already stays so, for somebody to say it."""
    stem, extension = (name, "") if folder else _split(name)
    if _size(name) <= MAX_NAME:
        while _size(stem + tag + extension) > MAX_NAME:
            stem = stem[:-1]
    return stem + tag + extension


def _replaced(name: str, seed: str, folder: bool) -> str:
    """With the seed for its placeholder. Where that is too long, the text before it gives way, then
    the end: the first seed stays whole, and so does the extension."""
    stem, extension = (name, "") if folder else _split(name)
    if SEED in extension:
        stem, extension = name, ""
    before, found, after = stem.partition(SEED)
    if not found:
        return name
    after = seed + after.replace(SEED, seed)
    if _size(name) <= MAX_NAME:
        while _size(before + after + extension) > MAX_NAME:
            before, after = (before[:-1], after) if before else (before, after[:-1])
    return before + after + extension


def _split(name: str) -> tuple[str, str]:
    """Extension with its dot; a leading dot begins none."""
    dot = name.rfind(".")
    if dot <= 0 or not name[:dot].strip(".") or not 2 <= _size(name[dot:]) <= MAX_EXTENSION:
        return name, ""
    return name[:dot], name[dot:]


def _size(name: str) -> int:
    """Bytes on disk; what is not UTF-8 was read as one escape per byte."""
    return len(name.encode("utf-8", "surrogateescape"))
