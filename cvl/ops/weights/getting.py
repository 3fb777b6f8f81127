"""`cvl models pull`: how much it is first, then all of it. What cannot be had does not keep the
rest from coming."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cvl.core.weights import RepoFile, total_size
from cvl.errors import CvlError, WeightsError
from cvl.ops.session import Session
from cvl.ops.weights.in_use import in_use
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.pulling import (
    check_disk,
    check_repo,
    check_url,
    is_url_missing,
    pull_repo,
    pull_url,
    tell_license,
)
from cvl.ops.weights.resolving import RepoFiles, look_up, peek, resolve_need
from cvl.ops.weights.using import Used
from cvl.store.hub_cache import hub_folder


@dataclass(frozen=True)
class Wanted:
    """Weights, and which files of them are to be fetched; error: why they cannot be had."""

    used: Used
    commit: str
    files: dict[str, RepoFile]
    found: RepoFiles | None = None
    error: CvlError | None = None
    fetched: bool = False

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return total_size(self.files)


def wanted(session: Session, weights: Iterable[Used], *, dry_run: bool) -> list[Wanted]:
    """What is missing of each. The hub is asked where nothing is known; with dry_run, what it says
    is not written down."""
    return [_wanted(session, used, dry_run=dry_run) for used in weights]


def _wanted(session: Session, used: Used, *, dry_run: bool) -> Wanted:
    need = used.need
    if isinstance(need, UrlNeed):
        missing = is_url_missing(session, need)
        return Wanted(used, "", {need.name: RepoFile(need.size, need.sha256)} if missing else {})
    try:
        if dry_run and not session.offline:
            found = peek(session, need) or look_up(session, need, pin=False)
        else:
            found = resolve_need(session, need)
    except WeightsError as error:
        return Wanted(used, "", {}, error=error)
    return Wanted(used, found.commit, found.presence(session).missing, found)


def pull(session: Session, planned: Sequence[Wanted]) -> list[Wanted]:
    """Fetch what is missing, one repo after the other, several files at once. DiskFullError before
    the first byte when it does not fit all together."""
    repos = sum(item.size for item in planned if item.found)
    if repos:
        check_disk(session, hub_folder(), "all that is missing", repos)
    return [_pull(session, item) for item in planned]


def _pull(session: Session, item: Wanted) -> Wanted:
    if item.error or not item.files:
        return item
    _tell_licenses(session, item.used)
    try:
        with in_use(session, item.used.need):
            if item.found:
                check_repo(session, item.found)
                pull_repo(session, item.found)
            else:
                assert isinstance(item.used.need, UrlNeed)
                check_url(session, item.used.need)
                pull_url(session, item.used.need)
    except WeightsError as error:
        session.report.phase(item.used.name, "failed", error.message)
        return replace(item, error=error)
    session.report.phase(item.used.name, "done")
    return replace(item, fetched=True)


def _tell_licenses(session: Session, used: Used) -> None:
    for example, terms in used.licenses:
        tell_license(session, example, terms)
    if not used.licenses:
        session.report.message(f"licence of {used.name}: not known to cvl; the repo's page says it")
