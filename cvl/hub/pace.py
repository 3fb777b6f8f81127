"""Whether a download comes along: for how long nothing to speak of has arrived."""

from __future__ import annotations

from cvl.hub.messages import Bytes, Reply

ENOUGH = 64 << 10
"""Bytes that count as coming along: fewer in all that time are a trickle, which ends never."""
FIRST_WORD = 1 / 6
"""The part of that time after which something is said."""


class Pace:
    """`stalled_s`: after so many seconds it counts as stalled. Times are of any one clock."""

    def __init__(self, stalled_s: float, now: float) -> None:
        self._stalled_s = stalled_s
        self._since = now
        self._from = 0
        self._count = 0
        self._said = False

    def heard(self, reply: Reply, now: float) -> None:
        """Anything but a few bytes is a sign of life."""
        if isinstance(reply, Bytes):
            self._count = reply.count
            if self._from <= reply.count < self._from + ENOUGH:
                return
            self._from = reply.count
        self._since, self._said = now, False

    def notice(self, now: float) -> str:
        """What is worth a word, once; else empty."""
        if self._said or now - self._since < self._stalled_s * FIRST_WORD:
            return ""
        self._said = True
        return self.text(now)

    def is_stalled(self, now: float) -> bool:
        return now - self._since >= self._stalled_s

    def text(self, now: float) -> str:
        few = self._count - self._from
        what = f"only {few} bytes have" if few > 0 else "nothing has"
        return f"{what} arrived for {now - self._since:.0f} s"
