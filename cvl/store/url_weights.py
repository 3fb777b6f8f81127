"""Weights from URLs, by content: one file per sha256, however many examples name it."""

from __future__ import annotations

import os
from pathlib import Path

from cvl.store.atomic import sync_folder
from cvl.store.dirs import make_private
from cvl.store.disk import files, touched
from cvl.store.hub_survey import Leftover

READ_ONLY = 0o444
PART = ".part"


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

    def begun(self, sha256: str) -> bool:
        """Is anything of it here: the file with whatever size, a download that goes on or was cut
        off, or what was found to be wrong?"""
        return self.place(sha256).exists() or self._part(sha256).exists()

    def all(self) -> dict[str, int]:
        """sha256 -> bytes of everything here, but downloads that go on or were cut off."""
        found = files(self.root / "sha256")
        sizes = {os.path.basename(path): size for path, size in found}
        return {name: size for name, size in sorted(sizes.items()) if not name.startswith(".")}

    def parts(self) -> list[Leftover]:
        """Downloads that go on or were cut off."""
        found = []
        for path, size in files(self.root / "sha256"):
            if path.endswith(PART):
                place = Path(path)
                found.append(Leftover(place.name, place, size, touched(place)))
        return sorted(found, key=lambda part: part.name)

    def place(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def part(self, sha256: str) -> Path:
        """Where a download goes until it is complete; for who holds the lock on that content."""
        part = self._part(sha256)
        make_private(part.parent)
        return part

    def _part(self, sha256: str) -> Path:
        return self.place(sha256).with_name(f".{sha256}{PART}")

    def keep(self, sha256: str, part: Path) -> Path:
        """Give a checked download its name."""
        place = self.place(sha256)
        part.chmod(READ_ONLY)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(place)
        sync_folder(place.parent)
        return place
