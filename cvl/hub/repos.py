"""Repos of the hub, through huggingface_hub: what they have, and downloading it."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, BinaryIO

from filelock import Timeout
from huggingface_hub import (
    HfApi,
    constants,
    get_session,
    get_token,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.file_download import (
    _cache_commit_hash_for_specific_revision,
    repo_folder_name,
)
from huggingface_hub.hf_api import RepoFile as HubFile
from huggingface_hub.utils._fixes import WeakFileLock

from cvl.core.weights import RepoFile
from cvl.errors import WeightsError
from cvl.hub.arriving import Arriving
from cvl.hub.messages import (
    Access,
    Busy,
    Fetch,
    Fetched,
    Granted,
    Known,
    Reply,
    Resolve,
    Resolved,
    Trouble,
    Waiting,
)
from cvl.hub.problems import is_short, named

AT_ONCE = 8
CHUNK = 1 << 20
EVERY_S = 1.0
RENEWING_S = (0.01, 0.1, 1.0)
"""A link that is not there for longer than all of these was removed for good."""
Say = Callable[[Reply], None]


def resolve(request: Resolve) -> Resolved:
    """Metadata of a gated repo is for everyone, so its size can be told before a token is asked
    for."""
    api = HfApi()
    info = api.model_info(request.repo, revision=request.revision)
    assert info.sha is not None
    tree = api.list_repo_tree(request.repo, recursive=True, revision=info.sha)
    files = {item.path: _file(item) for item in tree if isinstance(item, HubFile)}
    return Resolved(info.id or request.repo, info.sha, files, bool(info.gated))


def _file(item: HubFile) -> RepoFile:
    if item.lfs is not None:
        return RepoFile(item.lfs.size, sha256=item.lfs.sha256)
    return RepoFile(item.size, git=item.blob_id)


def who_am_i() -> Known:
    """Without a token it is enough that something answers."""
    if not get_token():
        get_session().head(constants.ENDPOINT)
        return Known("")
    return Known(str(HfApi().whoami()["name"]))


def access(request: Access) -> Granted:
    """A gated repo refuses here, before anything else was done for it."""
    HfApi().auth_check(request.repo)
    return Granted(request.repo)


def fetch(request: Fetch, say: Say, arriving: Arriving, hub: str | None = None) -> None:
    """Several files at once; what is there already is checked all the same. After the first failure
    none is begun any more; those on their way are let in, because a part of one is of no use. hub:
    another one than usual, which is told no token."""
    stop = threading.Event()

    def one(path: str) -> None:
        if not stop.is_set():
            bar = arriving.bar(request.files[path].size)
            say(Fetched(path, _fetch(request, path, bar, say, hub)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The largest first: the last to end is then not the longest.
        paths = sorted(request.files, key=lambda path: -request.files[path].size)
        waiting: list[Future[None]] = [pool.submit(one, path) for path in paths]
        done, left = wait(waiting, return_when=FIRST_EXCEPTION)
        stop.set()
        error = next((e for e in (future.exception() for future in done) if e), None)
        if error is not None and any(future.running() for future in left):
            say(Trouble(f"{named(error, request).message}; what is on its way is let in"))
    if error is not None:
        raise error
    _note(request, hub)


def _note(request: Fetch, hub: str | None) -> None:
    """What lets other programs find the files by name without a network: the list of the commit's
    files, and which commit the revision is, unless they have an idea of their own."""
    names = [glob.escape(path) for path in request.files]
    settings: dict[str, Any] = {"endpoint": hub, "token": False} if hub else {}
    snapshot_download(request.repo, revision=request.commit, allow_patterns=names, **settings)
    folder = os.path.join(
        constants.HF_HUB_CACHE, repo_folder_name(repo_id=request.repo, repo_type="model")
    )
    if _ref(os.path.join(folder, "refs", request.revision)) in ("", request.instead_of):
        _cache_commit_hash_for_specific_revision(folder, request.revision, request.commit)


def _ref(path: str) -> str:
    """The commit that it says; empty when it is not there."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read(100).strip()
    except FileNotFoundError:
        return ""


def _fetch(request: Fetch, path: str, bar: type, say: Say, hub: str | None) -> str:
    """Download and read what has arrived: huggingface_hub looks at sizes alone. Other bytes than
    those that were promised are fetched once more, then removed. sha256 of the file."""
    expected = request.files[path]
    for again in (request.again, True):
        place = _download(request, path, bar, say, hub, again=again)
        found, sha256 = _content(place, expected, say)
        if found == expected.blob:
            return sha256
        say(Trouble(f"{path} is not what {request.repo} says it is"))
    _remove(request, path)
    raise WeightsError(
        f"{path} of {request.repo} has sha {found[:12]} where {expected.blob[:12]} is expected",
        hint="the server, or something on the way, sends other bytes: try another network or "
        "HF_ENDPOINT",
        code="wrong_bytes",
    )


def _download(
    request: Fetch, path: str, bar: type, say: Say, hub: str | None, *, again: bool
) -> str:
    """Twice, when the server says that too few bytes are all."""
    settings: dict[str, Any] = {"tqdm_class": bar, "revision": request.commit}
    if hub:
        settings.update(endpoint=hub, token=False)
    _wait_for_others(request, path, say)
    try:
        return str(hf_hub_download(request.repo, path, force_download=again, **settings))
    except OSError as error:
        if not is_short(error):
            raise
    say(Trouble(f"{path} arrived in part; it begins again"))
    return str(hf_hub_download(request.repo, path, force_download=again, **settings))


def _wait_for_others(request: Fetch, path: str, say: Say) -> None:
    """Say that another program downloads the file; huggingface_hub would wait in silence."""
    folder = repo_folder_name(repo_id=request.repo, repo_type="model")
    name = f"{request.files[path].blob}.lock"
    lock = os.path.join(constants.HF_HUB_CACHE, ".locks", folder, name)
    while os.path.exists(lock):
        try:
            with WeakFileLock(lock, timeout=EVERY_S):
                return
        except Timeout:
            say(Waiting(path, lock))


def _content(place: str, expected: RepoFile, say: Say) -> tuple[str, str]:
    """(the name that the hub would give to what the file holds, its sha256)."""
    sha256 = hashlib.sha256()
    said = time.monotonic()
    with _opened(place) as stream:
        git = hashlib.sha1(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
        while chunk := stream.read(CHUNK):
            sha256.update(chunk)
            if expected.git:
                git.update(chunk)
            if time.monotonic() - said > EVERY_S:
                said = time.monotonic()
                say(Busy())
    found = sha256.hexdigest()
    return git.hexdigest() if expected.git else found, found


def _opened(place: str) -> BinaryIO:
    """Where a lock is granted to everybody, another process may just be making the link anew, which
    huggingface_hub does by removing it first."""
    for pause_s in RENEWING_S:
        with contextlib.suppress(FileNotFoundError):
            return open(place, "rb")
        time.sleep(pause_s)
    return open(place, "rb")


def _remove(request: Fetch, path: str) -> None:
    from cvl.hub.deleting import remove_file

    remove_file(request.repo, request.commit, path)
