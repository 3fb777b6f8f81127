"""Events of a run: JSON lines in the private control folder, or plain text on stderr without
one."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Optional

PROTOCOL = 1
MIN_INTERVAL_S = 0.1


class Events:
    """Appends events to `<control>/events.jsonl`; without a control folder, writes progress to
    stderr."""

    def __init__(self, control: Optional[str]) -> None:
        self._control = Path(control) if control else None
        self._last = 0.0
        self._previews = 0

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. A single write, so that a reader never sees two lines mixed. A full
        disk costs the event, never the run."""
        if self._control is None:
            if kind == "warning":
                print(f"warning: {fields['message']}", file=sys.stderr, flush=True)
            return
        # Numbers of NumPy and torch are not JSON by themselves.
        line = json.dumps({"event": kind, "time": time.time(), **fields}, default=float) + "\n"
        with contextlib.suppress(OSError):
            self._append(line.encode())

    def _append(self, line: bytes) -> None:
        assert self._control is not None
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(str(self._control / "events.jsonl"), flags, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def progress(self, done: float, total: float, unit: str) -> None:
        """Throttled to ten a second; the last one (done == total) always goes out."""
        now = time.monotonic()
        if done < total and now - self._last < MIN_INTERVAL_S:
            return
        self._last = now
        self.emit("progress", done=done, total=total, unit=unit)

    def preview_path(self) -> Optional[str]:
        """Where the next preview goes: two files in turn, so that a reader has a whole one."""
        if self._control is None:
            return None
        self._previews += 1
        return str(self._control / f"preview-{self._previews % 2}.jpg")
