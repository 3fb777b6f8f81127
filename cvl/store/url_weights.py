"""Weights from URLs, by content: one file per sha256, however many examples name it."""

from __future__ import annotations

import os
from pathlib import Path

from cvl.store.atomic import sync_folder
from cvl.store.dirs import make_private

READ_ONLY = 0o444


class UrlWeights:
    """Files below `root`, at `sha256/ab/<sha256>`. What is there was checked before it got its
    name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, sha256: str, size: int) -> Path | None:
        """The file, when it is there with its size."""
        place = self.place(sha256)
        try:
            return place if place.stat().st_size == size else None
        except OSError:
            return None

    def place(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def part(self, sha256: str) -> Path:
        """Where a download goes until it is complete; for who holds the lock on that content."""
        return make_private(self.place(sha256).parent) / f".{sha256}.part"

    def keep(self, sha256: str, part: Path) -> Path:
        """Give a checked download its name."""
        place = self.place(sha256)
        part.chmod(READ_ONLY)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(place)
        sync_folder(place.parent)
        return place
