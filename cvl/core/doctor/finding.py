"""One thing that was found out, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "info", "warning", "error"]
Topic = Literal["cvl", "engine", "gpu", "disk", "models", "network"]
Fix = Literal["", "create_folders", "make_private", "reap"]


@dataclass(frozen=True)
class Finding:
    """`code` never changes. remedy: what to do, in words; commands: what to type, line by line.
    fix: name of what `cvl doctor --fix` does about it, when that is safe."""

    topic: Topic
    severity: Severity
    code: str
    what: str
    remedy: str = ""
    commands: tuple[str, ...] = ()
    fix: Fix = ""
