"""Boxes of ISO base media files (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .reader import BoundedReader, printable


class Box(NamedTuple):
    """One box: its four-character code, where its payload starts and where it ends (bytes)."""

    code: bytes
    start: int
    end: int


def child_boxes(reader: BoundedReader, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets (14496-12, 4.2); MediaError where one overruns."""
    at = start
    while at + 8 <= end:
        box = box_at(reader, at, end)
        if box.end > end:
            raise reader.damaged(f"its box {printable(box.code)} is larger than the box around it")
        yield box
        at = box.end


def box_at(reader: BoundedReader, at: int, end: int) -> Box:
    """Read the box header at an offset; end bounds a box that states no size. It may overrun."""
    reader.step()
    size, code = reader.unpack(">I4s", at)
    header = 8
    if size == 1:
        size, header = reader.unpack(">Q", at + 8)[0], 16
    elif size == 0:
        size = end - at
    if size < header:
        raise reader.damaged(f"its box {printable(code)} states an impossible size of {size} bytes")
    return Box(code, at + header, at + size)


def find(reader: BoundedReader, box: Box, *path: bytes) -> Box | None:
    """Return the first box along a path of codes below box, None if one is missing."""
    found: Box | None = box
    for code in path:
        if found is None:
            return None
        found = next(
            (b for b in child_boxes(reader, found.start, found.end) if b.code == code), None
        )
    return found
