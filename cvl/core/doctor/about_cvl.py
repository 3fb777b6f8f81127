"""cvl itself: its Python, settings, folders, and what dead runs left."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.facts import FolderFact, MachineFacts
from cvl.core.doctor.finding import Finding

LEAST_PYTHON = (3, 10)
OTHERS = 0o077
STICKY_SHARED = 0o1777


def about_cvl(facts: MachineFacts) -> Iterator[Finding]:
    """Can cvl itself work here?"""
    yield _python(facts)
    yield _settings(facts)
    yield from _folders(facts)
    yield from _leases(facts)
    yield from _dead_runs(facts)
    if facts.venv_engine:
        text = "examples that allow it can run without containers (venv engine)"
        yield Finding("cvl", "ok", "venv_engine", text)
    for unread in facts.unread:
        text = f"{unread.probe} could not be read: {unread.why}"
        remedy = "a disk, driver or program that hangs is the usual reason"
        yield Finding("cvl", "warning", "not_read", text, remedy)


def _python(facts: MachineFacts) -> Finding:
    system = facts.system
    text = f"cvl {system.cvl}, Python {system.python} at {system.executable}"
    if tuple(int(part) for part in system.python.split(".")[:2]) < LEAST_PYTHON:
        remedy = "install cvl with Python 3.10 or newer"
        return Finding("cvl", "error", "python_old", text, remedy)
    return Finding("cvl", "ok", "cvl", text)


def _settings(facts: MachineFacts) -> Finding:
    problem = facts.settings
    if problem is not None:
        remedy = problem.hint or "mend the file"
        return Finding("cvl", "error", "settings", problem.message, remedy)
    return Finding("cvl", "ok", "settings", "settings can be read")


def _folders(facts: MachineFacts) -> Iterator[Finding]:
    if facts.home is not None:
        code = facts.home.code
        yield Finding("cvl", "error", code, facts.home.message, facts.home.hint)
        return
    wrong = [found for folder in facts.folders for found in _folder(facts, folder)]
    if not wrong and facts.folders:
        shown = " and ".join(folder.path for folder in facts.folders)
        yield Finding("cvl", "ok", "folders", f"{shown} are yours and private")
    yield from wrong


def _folder(facts: MachineFacts, folder: FolderFact) -> Iterator[Finding]:
    uid, path = facts.system.uid, folder.path
    if folder.existing == path and folder.owner != uid:
        text = f"{path} ({folder.what}) belongs to user {folder.owner}, not to you ({uid})"
        commands = (f"sudo chown -R {uid} {path}",) if folder.owner == 0 else ()
        remedy = "give it to yourself" if commands else "set CVL_HOME to a folder of yours"
        yield Finding("cvl", "error", "folder_not_yours", text, remedy, commands)
    elif not folder.writable:
        text = f"{folder.existing} cannot be written to ({folder.what})"
        remedy = "set CVL_HOME to a folder of yours"
        yield Finding("cvl", "error", "folder_not_writable", text, remedy)
    elif folder.existing != path:
        text = f"{path} ({folder.what}) is not there yet; the first run makes it"
        yield Finding("cvl", "info", "folder_missing", text, fix="create_folders")
    elif folder.mode & OTHERS:
        text = f"{path} ({folder.what}) can be read by other users"
        commands = (f"chmod 700 {path}",)
        yield Finding("cvl", "warning", "folder_open", text, "", commands, "make_private")


def _leases(facts: MachineFacts) -> Iterator[Finding]:
    """GPUs are leased by files there; without GPUs nobody needs them."""
    leases = facts.leases
    if leases is None or not facts.nvidia.gpus:
        return
    if not leases.writable:
        text = f"{leases.existing} cannot be written to: no GPU can be leased"
        commands = (f"sudo chmod 1777 {leases.existing}",)
        yield Finding("cvl", "error", "leases_not_writable", text, "", commands)
    elif leases.existing == leases.path and leases.mode != STICKY_SHARED:
        text = f"other users cannot lease a GPU: {leases.path} is not open to all"
        commands = (f"sudo chmod 1777 {leases.path}",)
        yield Finding("cvl", "warning", "leases_not_shared", text, "", commands)
    else:
        yield Finding("cvl", "ok", "leases", f"GPUs are leased in {leases.path}")


def _dead_runs(facts: MachineFacts) -> Iterator[Finding]:
    if facts.dead_runs:
        plural = "s" if facts.dead_runs != 1 else ""
        text = f"{facts.dead_runs} run{plural} died and left something"
        remedy = "the next run removes it; so does this"
        yield Finding("cvl", "info", "dead_runs", text, remedy, ("cvl doctor --fix",), "reap")
