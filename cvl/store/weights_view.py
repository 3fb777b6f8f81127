"""The weights of a step on disk: a private folder in the layout of the hub cache."""

from __future__ import annotations

from pathlib import Path

from cvl.core.plan import WeightsView
from cvl.store.dirs import make_private


def lay_out_weights(folder: Path, view: WeightsView, *, links: bool) -> None:
    """Make the folder. links: to the files themselves, for a process of this machine; otherwise
    empty files, over which the real ones are mounted."""
    if not view.files:
        return
    for place, file in view.files.items():
        path = _made(folder / place)
        if links:
            path.symlink_to(file)
        else:
            path.touch(mode=0o444)
    for place, text in view.texts.items():
        _made(folder / place).write_text(text)


def _made(path: Path) -> Path:
    make_private(path.parent)
    path.unlink(missing_ok=True)
    return path
