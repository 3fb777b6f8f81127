"""Sizes as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in decimal units: 999 B, 1.2 MB, 40 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            digits = 1 if unit != "B" and count < 9.95 else 0
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
