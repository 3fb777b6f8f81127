"""A process that owns a run, as far as its record goes: python run_owner.py RUN MANNER.

polite: ends its record on the first signal. stubborn: on the second. deaf: never. rude: dies on the
first signal without a word. dead: dies at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

from cvl.ops.session import Session

run, manner = sys.argv[1:]
session = Session()
lock = session.run_lock(run)
lock.try_acquire()
session.records.begin(run, "stub", "predict", session.owner, [session.dirs.work / run])
(session.dirs.runs / run).mkdir(parents=True)
(session.dirs.work / run / "stub").mkdir(parents=True)
(session.dirs.work / run / "stub" / "passwd").touch()  # what tells that it used a container
signals: list[int] = []


def on_signal(signum: int, frame: FrameType | None) -> None:
    signals.append(signum)


signal.signal(signal.SIGTERM, on_signal)
print("ready", flush=True)
while manner != "dead":
    time.sleep(0.02)
    if manner == "rude" and signals:
        os._exit(9)
    if len(signals) >= {"polite": 1, "stubborn": 2}.get(manner, 99):
        session.records.end(run, "cancelled", 143, "cancelled", "cancelled", {})
        lock.path.unlink()
        break
