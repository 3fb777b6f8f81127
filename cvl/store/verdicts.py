"""What was found out of a file by reading it, by its content: no file is looked at twice."""

from __future__ import annotations

from pathlib import Path

from cvl.core.pickles import RULES
from cvl.store.atomic import write_atomic
from cvl.store.dirs import make_private

MOST_BYTES = 1000


class Verdicts:
    """One small file per content, at `ab/<sha256>`: the rules that judged it and what they refuse,
    which is nothing for most. Losing any of it costs looking again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, sha256: str) -> str | None:
        """What is refused of it; empty for nothing, None when nobody looked."""
        try:
            with self._place(sha256).open(encoding="utf-8") as stream:
                rules, _, refused = stream.read(MOST_BYTES).partition(" ")
        except (OSError, ValueError):
            return None
        return refused if rules == str(RULES) else None

    def keep(self, sha256: str, refused: str) -> None:
        place = self._place(sha256)
        make_private(place.parent)
        write_atomic(place, f"{RULES} {refused}".encode())

    def _place(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256
