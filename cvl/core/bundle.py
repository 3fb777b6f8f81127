"""The form of a bundle of weights: a plain tar with one order, one spelling and no room for
anything else.

    cvl-bundle.json            what is in it: repos with their locks, files from URLs
    blobs/sha256/<sha256>      every content once, in the order of the names

Each header is what `header` makes of a name and a size, so the same weights are the same bytes,
and a bundle with a link, a path that leads out, a name twice or a hidden tail is no bundle: there
is nothing in it to be read in two ways. Offsets and sizes are in bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cvl.core.names import printable
from cvl.core.plain import from_plain, to_plain
from cvl.core.weights import COMMIT, REPO, RepoFile, is_plain_path

MANIFEST = "cvl-bundle.json"
FORMAT = 1
BLOCK = 512
RECORD = 20 * BLOCK
LARGEST_MANIFEST = 64 << 20
LARGEST_FILE = 1 << 50
OCTAL_SIZE = 8 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"\w[\w.+-]{0,99}(/\w[\w.+-]{0,99}){0,9}", re.ASCII)
_KINDS = {
    b"1": "a hard link", b"2": "a link", b"3": "a device", b"4": "a device", b"5": "a folder",
    b"6": "a pipe",
}  # fmt: skip


class BadBundle(ValueError):
    """It is no bundle, or none that is safe to unpack; the message says why."""


@dataclass(frozen=True)
class BundledRepo:
    """Files of a repo at a commit. listing: all that the commit has, as the hub lists it; wanted:
    path -> sha256 of those that are in the bundle."""

    repo: str
    revision: str
    commit: str
    listing: dict[str, RepoFile]
    wanted: dict[str, str]

    @property
    def files(self) -> dict[str, RepoFile]:
        return {path: self.listing[path] for path in self.wanted}


@dataclass(frozen=True)
class BundledUrl:
    """A file that came from a URL."""

    name: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """What a bundle says of itself."""

    bundle: int = FORMAT
    repos: tuple[BundledRepo, ...] = ()
    urls: tuple[BundledUrl, ...] = field(default=())

    @property
    def contents(self) -> dict[str, int]:
        """sha256 -> size of everything in it, in order."""
        found = {url.sha256: url.size for url in self.urls}
        for repo in self.repos:
            found.update((sha256, repo.listing[path].size) for path, sha256 in repo.wanted.items())
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Member:
    """A file in the tar: `offset` is where its bytes begin."""

    sha256: str
    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a file (ustar; sizes from 8 GiB on as GNU tar writes them)."""
    told = b"%011o\0" % size if size < OCTAL_SIZE else b"\x80" + size.to_bytes(11, "big")
    parts = (
        name.encode().ljust(100, b"\0"), b"0000444\0", b"0000000\0", b"0000000\0", told,
        b"00000000000\0", b" " * 8, b"0", b"\0" * 100, b"ustar\0", b"00", b"\0" * 32, b"\0" * 32,
        b"0000000\0", b"0000000\0", b"\0" * 155, b"\0" * 12,
    )  # fmt: skip
    block = b"".join(parts)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def blob_name(sha256: str) -> str:
    return f"blobs/sha256/{sha256}"


def padding(size: int) -> int:
    """Bytes from the end of a file to the next header."""
    return -size % BLOCK


def written(bundle: Bundle) -> bytes:
    """The manifest as it is in the tar."""
    return json.dumps(to_plain(bundle), sort_keys=True, indent=1).encode() + b"\n"


def members(bundle: Bundle, manifest: int) -> tuple[Member, ...]:
    """Where everything lies after a manifest of so many bytes."""
    at = BLOCK + manifest + padding(manifest)
    found = []
    for sha256, size in bundle.contents.items():
        found.append(Member(sha256, at + BLOCK, size))
        at += BLOCK + size + padding(size)
    return tuple(found)


def ending(at: int) -> bytes:
    """What ends the tar whose last file ends at `at`."""
    return b"\0" * (2 * BLOCK + -(at + 2 * BLOCK) % RECORD)


def manifest_size(block: bytes) -> int:
    """Of the first header. Raises BadBundle."""
    digits = block[124:135]
    size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else -1
    if not 0 < size <= LARGEST_MANIFEST or block != header(MANIFEST, size):
        raise BadBundle("it does not begin like one")
    return size


def check_header(block: bytes, member: Member) -> None:
    """Raises BadBundle for anything but the file that is to come."""
    if block == header(blob_name(member.sha256), member.size):
        return
    name = printable(block[:100].rstrip(b"\0").decode("utf-8", "replace"), 100)
    kind = _KINDS.get(block[156:157])
    if kind:
        raise BadBundle(f"it has {kind} in it, {name}")
    raise BadBundle(f"it has {name or 'nothing'} where {blob_name(member.sha256)} is to be")


def read_manifest(text: bytes) -> Bundle:
    """Raises BadBundle for what does not hold together, or would lead out of the cache."""
    try:
        document: Any = json.loads(text)
        if isinstance(document, dict) and document.get("bundle") != FORMAT:
            raise BadBundle("it was made by another version of cvl")
        bundle: Bundle = from_plain(Bundle, document)
    except BadBundle:
        raise
    except (ValueError, RecursionError):
        raise BadBundle(f"its {MANIFEST} is damaged") from None
    for repo in bundle.repos:
        _check_repo(repo)
    if len({(repo.repo, repo.revision) for repo in bundle.repos}) != len(bundle.repos):
        raise BadBundle("it has two commits of one revision")
    for url in bundle.urls:
        _check_url(url)
    _check_sizes(bundle)
    if written(bundle) != text:
        raise BadBundle(f"its {MANIFEST} is damaged")
    return bundle


def _check_repo(repo: BundledRepo) -> None:
    what = printable(repo.repo, 100)
    revision = _REVISION.fullmatch(repo.revision) and ".." not in repo.revision
    if not (REPO.fullmatch(repo.repo) and COMMIT.fullmatch(repo.commit) and revision):
        raise BadBundle(f"it names {what}, which is no repo at a commit")
    for path in repo.listing:
        if not _is_path(path):
            raise BadBundle(f"it names the file {printable(path, 100)} of {what}")
    folders = {parent for path in repo.listing for parent in _parents(path)}
    if folders & repo.listing.keys() or not repo.wanted.keys() <= repo.listing.keys():
        raise BadBundle(f"its files of {what} do not fit together")
    for path, sha256 in repo.wanted.items():
        file = repo.listing[path]
        if not _SHA256.fullmatch(sha256) or file.sha256 not in ("", sha256):
            raise BadBundle(f"it says two things of {printable(path, 100)} of {what}")
    for file in repo.listing.values():
        _check_file(file, what)


def _check_file(file: RepoFile, what: str) -> None:
    named = COMMIT.fullmatch(file.git) if file.git else _SHA256.fullmatch(file.sha256)
    if not named or (file.git and file.sha256) or not 0 <= file.size < LARGEST_FILE:
        raise BadBundle(f"it has a file of {what} without size or digest")


def _check_url(url: BundledUrl) -> None:
    good = is_plain_path(url.name) and _SHA256.fullmatch(url.sha256)
    if not good or not 0 <= url.size < LARGEST_FILE or not url.url.startswith(("https:", "http:")):
        raise BadBundle(f"it names {printable(url.name, 100)}, which is no file behind a URL")


def _check_sizes(bundle: Bundle) -> None:
    """One content has one size."""
    said: set[tuple[str, int]] = {(url.sha256, url.size) for url in bundle.urls}
    for repo in bundle.repos:
        said |= {(sha256, repo.listing[path].size) for path, sha256 in repo.wanted.items()}
    if len(said) != len(bundle.contents):
        raise BadBundle("it says two sizes of one file")


def _is_path(path: str) -> bool:
    """In a repo, and nowhere else."""
    parts = path.split("/")
    return (
        len(path.encode("utf-8", "replace")) < 1000
        and path.isprintable()
        and "\\" not in path
        and not any(part in ("", ".", "..") for part in parts)
    )


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
