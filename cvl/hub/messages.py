"""What cvl and its worker say to each other: one request on the worker's stdin, then lines on its
stdout, each `{"is": ..., ...}`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cvl.core.weights import RepoFile


@dataclass(frozen=True)
class Resolve:
    """Which commit a revision is, and what it has. Answered by Resolved."""

    repo: str
    revision: str


@dataclass(frozen=True)
class Fetch:
    """Download these files of a repo at a commit into the hub cache, and check what they hold,
    those too that are there already. revision: what other programs call that commit, when they
    know none, or `instead_of`. again: fetch them whatever is there. Answered by a Fetched for
    each."""

    repo: str
    commit: str
    revision: str
    files: dict[str, RepoFile]
    again: bool = False
    instead_of: str = ""


@dataclass(frozen=True)
class Unpack:
    """Do what `fetch` says with the bytes of a bundle, without a network: path -> where in the file
    `bundle` its bytes begin. listing: all files of the commit. Answered as Fetch is."""

    fetch: Fetch
    listing: dict[str, RepoFile]
    bundle: str
    places: dict[str, int]


@dataclass(frozen=True)
class FetchUrl:
    """Download a file of `size` bytes to `path`, a name of its own, and check it."""

    url: str
    sha256: str
    size: int
    path: str


@dataclass(frozen=True)
class Delete:
    """Remove from the hub cache, as its library does it: revisions (folder of a repo, commit),
    whole repos (folders), what killed downloads left (`FOLDER/blobs/FILE`). Answered by Deleted."""

    revisions: tuple[tuple[str, ...], ...] = ()
    repos: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class WhoAmI:
    """Whether the hub answers and knows the token, if there is one. Answered by Known."""


@dataclass(frozen=True)
class Access:
    """Whether this user may have the files of a repo. Answered by Granted."""

    repo: str


Request = Resolve | Fetch | Unpack | FetchUrl | Delete | WhoAmI | Access
REQUESTS: dict[str, type] = {
    kind.__name__: kind for kind in (Resolve, Fetch, Unpack, FetchUrl, Delete, WhoAmI, Access)
}


@dataclass(frozen=True)
class Resolved:
    """gated: the hub gives the files to those alone who accepted the terms."""

    repo: str
    commit: str
    files: dict[str, RepoFile]
    gated: bool


@dataclass(frozen=True)
class Bytes:
    """So many bytes have arrived; fewer when a download had to begin again."""

    count: int


@dataclass(frozen=True)
class Fetched:
    """A file is there, and holds what the hub says it should. sha256 of every file, large or
    small."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Deleted:
    freed: int


@dataclass(frozen=True)
class Known:
    """name: whose token it is; empty without one."""

    name: str


@dataclass(frozen=True)
class Granted:
    repo: str


@dataclass(frozen=True)
class Trouble:
    """What went wrong on the way, and is tried again."""

    text: str


@dataclass(frozen=True)
class Busy:
    """Nothing arrives, and nothing has to: what is there is being checked, or a server asked to
    wait. Said every few seconds."""


@dataclass(frozen=True)
class Waiting:
    """Another process downloads this very file, and holds the lock file `lock`. Said every few
    seconds."""

    path: str
    lock: str


@dataclass(frozen=True)
class Failed:
    """It cannot be done. kind: weights, disk_full, state."""

    kind: str
    code: str
    message: str
    hint: str = ""
    done: tuple[str, ...] = field(default=())


Reply = Resolved | Bytes | Fetched | Deleted | Known | Granted | Trouble | Busy | Waiting | Failed
REPLIES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Resolved,
        Bytes,
        Fetched,
        Deleted,
        Known,
        Granted,
        Trouble,
        Busy,
        Waiting,
        Failed,
    )
}
