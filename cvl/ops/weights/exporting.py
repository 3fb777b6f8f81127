"""`cvl models export`: weights with their locks as one file, for a machine without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cvl.core.bundle import Bundle, BundledRepo, BundledUrl
from cvl.core.names import printable
from cvl.disks import naming_the_mount
from cvl.errors import TargetExistsError, UserError, WeightsError
from cvl.ops.report import Progress
from cvl.ops.session import Session
from cvl.ops.weights.in_use import in_use
from cvl.ops.weights.needs import Need, RepoNeed, UrlNeed
from cvl.ops.weights.own import sha256_of
from cvl.ops.weights.pulling import check_disk, some
from cvl.ops.weights.resolving import known
from cvl.store.bundle_file import ChangedFile, write_bundle
from cvl.store.url_weights import UrlWeights


@dataclass(frozen=True)
class Exported:
    """What was written; `size` is that of the file."""

    path: Path
    bundle: Bundle
    size: int


@dataclass
class _Collected:
    """Files by content, as they are found."""

    repos: list[BundledRepo] = field(default_factory=list)
    urls: list[BundledUrl] = field(default_factory=list)
    places: dict[str, Path] = field(default_factory=dict)


def export(session: Session, needs: Sequence[Need], path: Path, *, overwrite: bool) -> Exported:
    """Write a bundle of what is here and complete. The same weights make the same bytes.

    Raises WeightsError for what is missing or damaged, UserError for a place that cannot be
    written to.
    """
    _check_target(path, overwrite)
    with ExitStack() as stack:
        for need in needs:
            stack.enter_context(in_use(session, need))
        return _export(session, needs, path, overwrite)


def _export(session: Session, needs: Sequence[Need], path: Path, overwrite: bool) -> Exported:
    bundle, places = _collect(session, needs)
    total = sum(bundle.contents.values())
    check_disk(session, path.absolute().parent, "the bundle", total)
    done = 0

    def passed(count: int) -> None:
        nonlocal done
        session.cancel.check()
        done += count
        session.report.progress(Progress(path.name, "export", done, total, "B"))

    session.report.phase(path.name, "export", f"{len(places)} files")
    try:
        with naming_the_mount(path):
            size = write_bundle(path, bundle, places, passed, replace=overwrite)
    except ChangedFile as error:
        raise WeightsError(
            f"{error} is not what the lock says it is",
            hint="cvl models repair fetches it again",
            code="wrong_bytes",
        ) from None
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise UserError(
            f"{printable(str(path), 200)} cannot be written: {error.strerror}"
        ) from None
    return Exported(path, bundle, size)


def _check_target(path: Path, overwrite: bool) -> None:
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(
            f"{printable(str(path), 200)} cannot be a bundle: it is a folder, or in none",
            hint="give --output the name of a file, like bundle.tar",
        )
    if path.exists() and not overwrite:
        raise _exists(path)


def _exists(path: Path) -> TargetExistsError:
    shown = printable(str(path), 200)
    return TargetExistsError(f"{shown} exists", hint="give another --output, or --overwrite")


def _collect(session: Session, needs: Sequence[Need]) -> tuple[Bundle, dict[str, Path]]:
    """Needs of the same revision of a repo are one."""
    found = _Collected()
    patterns: dict[tuple[str, str], list[RepoNeed]] = {}
    for need in needs:
        if isinstance(need, UrlNeed):
            _add_url(session, found, need)
        else:
            patterns.setdefault((need.repo, need.revision), []).append(need)
    for same in patterns.values():
        _add_repo(session, found, same)
    repos = sorted(found.repos, key=lambda repo: (repo.repo, repo.revision))
    urls = sorted(set(found.urls), key=lambda url: (url.name, url.sha256, url.url))
    return Bundle(repos=tuple(repos), urls=tuple(urls)), found.places


def _add_url(session: Session, found: _Collected, need: UrlNeed) -> None:
    place = UrlWeights(session.dirs.url_weights).find(need.sha256, need.size)
    if place is None:
        raise _missing(need.name, [need.name])
    found.urls.append(BundledUrl(need.name, need.url, need.sha256, need.size))
    found.places[need.sha256] = place


def _add_repo(session: Session, found: _Collected, needs: Sequence[RepoNeed]) -> None:
    wanted: dict[str, str] = {}
    commit = ""
    for need in needs:
        files = known(session, need)
        if files is None:
            raise _missing(need.repo, ["everything"])
        commit = files.commit
        presence = files.presence(session)
        if presence.missing or not presence.present:
            raise _missing(need.repo, presence.missing)
        for path, place in presence.present.items():
            wanted[path] = files.wanted[path].sha256 or sha256_of(session, place)
            found.places[wanted[path]] = place
    repo, revision = needs[0].repo, needs[0].revision
    listing = session.pins.of(repo).files[commit]
    unnamed = [path for path, file in listing.items() if not file.blob]
    if unnamed:
        raise WeightsError(
            f"nobody knows what {some(unnamed)} of {repo} should be",
            hint=f"with a network: cvl models lock {repo}",
            code="not_locked",
        )
    listed = {path: file.listed for path, file in listing.items()}
    found.repos.append(BundledRepo(repo, revision, commit, listed, wanted))


def _missing(what: str, names: Iterable[str]) -> WeightsError:
    return WeightsError(
        f"{what} lacks {some(names)}",
        hint=f"with a network: cvl models pull {what}",
        code="incomplete",
    )
