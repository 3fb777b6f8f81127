"""The user's lock of weights: which commit a revision means here, what it has, and the sha256 of
every file. What was resolved once stays, whatever becomes of the branch, and `verify` needs no
network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cvl.core.plain import from_plain, to_plain
from cvl.core.weights import Listing, RepoFile
from cvl.store.atomic import write_atomic
from cvl.store.dirs import make_private
from cvl.store.locks import held


@dataclass(frozen=True)
class Pin:
    """The commit that a revision means, and since when (epoch seconds). It moves to another one in
    one write, after all of that is here and was verified."""

    commit: str
    since: float


@dataclass(frozen=True)
class RepoLock:
    """What is known of one repo. files: commit -> path -> file; sha256 of small files too, once
    they were read."""

    repo: str
    pins: dict[str, Pin] = field(default_factory=dict)
    files: dict[str, dict[str, RepoFile]] = field(default_factory=dict)
    incoming: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """commit -> files whose download began and of which nobody has said yet that they are right."""
    checked: dict[str, dict[str, float]] = field(default_factory=dict)
    """commit -> file -> when it was read and right (epoch seconds)."""
    now: str = ""
    """The name under which the hub has it, where that is another one."""

    def listing(self, commit: str) -> Listing | None:
        files = self.files.get(commit)
        return None if files is None else Listing(self.repo, commit, files)

    def with_pin(self, revision: str, pin: Pin) -> RepoLock:
        return replace(self, pins={**self.pins, revision: pin})

    def with_files(self, commit: str, files: dict[str, RepoFile]) -> RepoLock:
        return replace(self, files={**self.files, commit: files})

    def with_listing(self, commit: str, files: dict[str, RepoFile]) -> RepoLock:
        """What the hub lists, beside what was found out by reading it."""
        known = self.files.get(commit, {})
        kept = {p: known[p] for p, f in files.items() if p in known and known[p].listed == f}
        return self.with_files(commit, {**files, **kept})

    def with_incoming(self, commit: str, paths: Iterable[str]) -> RepoLock:
        known = self.incoming.get(commit, ())
        return self._incoming(commit, (*known, *(path for path in paths if path not in known)))

    def with_checked(self, commit: str, paths: Iterable[str], when: float) -> RepoLock:
        """These were read and are right."""
        done = set(paths)
        left = [path for path in self.incoming.get(commit, ()) if path not in done]
        times = {**self.checked.get(commit, {}), **dict.fromkeys(done, when)}
        checked = {**self.checked, commit: times} if times else self.checked
        return replace(self._incoming(commit, left), checked=checked)

    def _incoming(self, commit: str, paths: Iterable[str]) -> RepoLock:
        incoming = {**self.incoming, commit: tuple(paths)}
        return replace(self, incoming={key: left for key, left in incoming.items() if left})

    def with_sha256(self, commit: str, path: str, sha256: str) -> RepoLock:
        """What a file was seen to hold."""
        files = self.files.get(commit, {})
        known = replace(files[path], sha256=sha256)
        return self.with_files(commit, {**files, path: known})


class Pins:
    """One JSON file per repo below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, repo: str) -> RepoLock:
        """Empty when nothing is known, or when the file is damaged: what it said can be asked
        again."""
        try:
            found: RepoLock = from_plain(RepoLock, json.loads(self._place(repo).read_bytes()))
        except (OSError, ValueError):
            return RepoLock(repo)
        return found if found.repo == repo else RepoLock(repo)

    def all(self) -> list[RepoLock]:
        if not self.root.is_dir():
            return []
        names = sorted(path.stem for path in self.root.glob("*--*.json"))
        locks = [self.of(name.replace("--", "/", 1)) for name in names]
        return [lock for lock in locks if lock.pins or lock.files]

    def change(self, repo: str, how: Callable[[RepoLock], RepoLock]) -> RepoLock:
        """Read, change, write, one process at a time; the file is there as a whole or as it was."""
        lock = make_private(self.root) / ".changing"
        with held(lock, time.sleep, lambda: None):
            changed = how(self.of(repo))
            write_atomic(self._place(repo), json.dumps(to_plain(changed), indent=1).encode())
        return changed

    def forget(self, repo: str) -> None:
        self._place(repo).unlink(missing_ok=True)

    def _place(self, repo: str) -> Path:
        return self.root / f"{repo.replace('/', '--')}.json"
