"""Room on disks: one finding for each mount, with everything that is on it."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.facts import DiskFact, MachineFacts
from cvl.core.doctor.finding import Finding

GB = 10**9
FULL, LOW = 1 * GB, 10 * GB


def about_disks(facts: MachineFacts) -> Iterator[Finding]:
    """The fullest first."""
    mounts: dict[str, list[DiskFact]] = {}
    for disk in facts.disks:
        if disk.problem:
            text = f"the disk of {disk.path} ({disk.what}) cannot be read: {disk.problem}"
            yield Finding("disk", "warning", "disk_unread", text)
        else:
            mounts.setdefault(disk.mount, []).append(disk)
    for disks in sorted(mounts.values(), key=lambda disks: disks[0].free):
        yield _mount(disks)


def _mount(disks: list[DiskFact]) -> Finding:
    free, total, mount = disks[0].free, disks[0].total, disks[0].mount
    used = f", {100 * (total - free) // total} % used" if total else ""
    holds = ", ".join(f"{disk.what} ({disk.path})" for disk in disks)
    text = f"{free / GB:.1f} GB free of {total / GB:.0f} GB on {mount}{used}: {holds}"
    if free >= LOW:
        return Finding("disk", "ok", "disk", text)
    whats = {disk.what for disk in disks}
    places = {"results": "CVL_HOME", "models": "HF_HOME", "temporary files": "TMPDIR"}
    moves = [variable for what, variable in places.items() if what in whats]
    remedy = "make room" + (f", or name another disk with {', '.join(moves)}" if moves else "")
    commands = ("cvl gc", *(("docker system df",) if "images" in whats else ()))
    if free < FULL:
        return Finding("disk", "error", "disk_full", text, remedy, commands)
    return Finding("disk", "warning", "disk_low", text, remedy, commands)
