"""Who owns a container, volume or network: labels that a reaper can trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "org.cvl."
RUN, STEP, KEY, GPU = f"{PREFIX}run", f"{PREFIX}step", f"{PREFIX}key", f"{PREFIX}gpu"
EXAMPLE, CONTEXT = f"{PREFIX}example", f"{PREFIX}context"
WEIGHTS = f"{PREFIX}weights"
"""Names of the leases on the weights that a container uses, with commas."""


@dataclass(frozen=True)
class Owner:
    """One cvl process: pid and start time (clock ticks since boot) within a boot and a pid
    namespace,
    of one user, for one CVL_HOME."""

    uid: str
    home: str
    pid: str
    start: str
    boot: str
    pidns: str

    def labels(self) -> dict[str, str]:
        """The owner as container labels."""
        return {f"{PREFIX}owner.{name}": getattr(self, name) for name in _FIELDS}

    @staticmethod
    def from_labels(labels: Mapping[str, str]) -> Owner | None:
        """The owner that labels name, or None when any part is missing."""
        values = [labels.get(f"{PREFIX}owner.{name}") for name in _FIELDS]
        if any(value is None for value in values):
            return None
        return Owner(*(str(value) for value in values))

    def may_judge(self, other: Owner) -> bool:
        """May this process decide whether `other` is dead? Only within one user, one CVL_HOME, one
        boot and one pid namespace: a pid means nothing anywhere else."""
        mine = (self.uid, self.home, self.boot, self.pidns)
        return mine == (other.uid, other.home, other.boot, other.pidns)


_FIELDS = ("uid", "home", "pid", "start", "boot", "pidns")
