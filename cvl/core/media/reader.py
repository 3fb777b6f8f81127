"""Bounded random access to an untrusted file."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from .info import LimitReached, MediaError

READ_BUDGET = 8 << 20
STEP_BUDGET = 100_000
TRACK_LIMIT = 64


class BoundedReader:
    """Reads ranges of one file and stops a parser that asks for too much.

    size: the file's length in bytes. label: the format's name in messages ("MP4").
    budget: bytes that may be read in total. steps: boxes, chunks and elements that may be visited.
    Reads past the end come back short, as from a file.
    """

    def __init__(
        self,
        stream: BinaryIO,
        size: int,
        label: str = "file",
        budget: int = READ_BUDGET,
        steps: int = STEP_BUDGET,
    ) -> None:
        self._stream = stream
        self.size = size
        self.label = label
        self.budget = budget
        self.steps = steps

    def read(self, offset: int, length: int) -> bytes:
        """Return up to length bytes from offset (both in bytes); LimitReached over the budget."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        if length > self.budget:
            raise LimitReached(f"is not a {self.label} that can be checked: its headers are huge")
        self.budget -= length
        self._stream.seek(offset)
        data = self._stream.read(length)
        while len(data) < length:  # raw (unbuffered) files may return less than asked
            more = self._stream.read(length - len(data))
            if not more:
                break
            data += more
        return data

    def exactly(self, offset: int, length: int) -> bytes:
        """Return length bytes from offset; MediaError where the file ends before."""
        data = self.read(offset, length)
        if len(data) < length:
            raise self.truncated("it ends in the middle of its headers")
        return data

    def unpack(self, form: str, offset: int) -> tuple[Any, ...]:
        """Unpack a struct format at offset; MediaError where the file ends before."""
        return struct.unpack(form, self.exactly(offset, struct.calcsize(form)))

    def step(self) -> None:
        """Count one visited structure; LimitReached over the limit."""
        self.steps -= 1
        if self.steps < 0:
            raise LimitReached(
                f"is not a {self.label} that can be checked: it has more than {STEP_BUDGET} parts"
            )

    def truncated(self, detail: str) -> MediaError:
        """Make the error for a file that ends too early."""
        return MediaError(f"is a truncated {self.label}: {detail}")

    def damaged(self, detail: str) -> MediaError:
        """Make the error for a file whose structure contradicts itself."""
        return MediaError(f"is a damaged {self.label}: {detail}")


def printable(code: bytes) -> str:
    """Return a four-character code as safe ASCII (`'avc1'`, `'\\x00abc'`)."""
    return ascii(code)[1:]
