"""What went wrong with the hub, in words: which of the many things that look like "not found" it
is, and what to do about it."""

from __future__ import annotations

import errno
import os

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from cvl.errors import CvlError, WeightsError
from cvl.hub.messages import Access, Failed, Fetch, FetchUrl, Request, Resolve, Unpack

FULL = (errno.ENOSPC, errno.EDQUOT)
PASSING = (408, 429, 500, 502, 503, 504)
"""Status of a server that may answer otherwise in a moment."""
AGAIN = "run it again: what is complete is kept"
MIRROR = "a mirror is chosen by HF_ENDPOINT"


def named(error: BaseException, request: Request) -> Failed:
    """The failure that cvl is told."""
    if isinstance(error, CvlError):
        return Failed("weights", error.code, error.message, error.hint)
    root = _root(error)
    if isinstance(root, OSError) and root.errno in FULL:
        place = request.path if isinstance(request, FetchUrl) else constants.HF_HUB_CACHE
        return Failed("disk_full", "disk_full", str(place))
    if isinstance(root, OSError) and root.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return Failed(
            "weights",
            "cache_not_writable",
            f"the model cache cannot be written to: {root}",
            "set HF_HOME to a folder of yours, or mend who owns that one",
        )
    if isinstance(request, FetchUrl):
        return _about_url(root, request.url)
    return _about(root, _subject(request))


def refused(host: str, status: int, asked: float | None) -> WeightsError:
    """A server that does not serve, even after several tries. asked: to wait so many seconds."""
    if status == 429:
        wait = f"wait {asked:.0f} s" if asked else "wait some minutes"
        return WeightsError(
            f"{host} has had too many requests",
            hint=f"{wait}, then run it again; with a token (HF_TOKEN) the hub's limit is higher",
            code="too_many_requests",
        )
    later = f"it asks to wait {asked:.0f} s; " if asked else ""
    hint = f"{later}{AGAIN}; {MIRROR}"
    return WeightsError(f"{host} answers with status {status}", hint=hint, code="hub_down")


def unanswered(error: httpx2.TransportError, host: str) -> WeightsError:
    """A connection that breaks, even after several tries."""
    failed = _on_the_way(error, host, host)
    return WeightsError(failed.message, hint=failed.hint, code=failed.code)


def web_page(url: httpx2.URL) -> WeightsError:
    return WeightsError(
        f"{url.host} answers with a web page where a file or an answer of the hub should be",
        hint=f"open {url.copy_with(query=None)} in a browser: the network may want a login; check "
        "HF_ENDPOINT and proxies",
        code="web_page",
    )


def _root(error: BaseException) -> BaseException:
    """huggingface_hub wraps what happened in words about what it then looked for in the cache."""
    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _subject(request: Request) -> str:
    if isinstance(request, Unpack):
        return request.fetch.repo
    return request.repo if isinstance(request, Resolve | Fetch | Access) else "the hub"


def _status(error: BaseException) -> int:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else 0


def _about_url(error: BaseException, url: str) -> Failed:
    """No hub is behind it."""
    status = _status(error)
    if status in (401, 403, 404, 410, 451):
        return Failed(
            "weights",
            "url_not_found",
            f"{url} is not to be had: status {status}",
            "the file was removed or moved: see whether a newer version of the example names "
            "another, or give your own by --weights",
        )
    return _on_the_way(error, url, httpx2.URL(url).host)


def _about(error: BaseException, what: str) -> Failed:
    page = f"{constants.ENDPOINT}/{what}"
    if isinstance(error, GatedRepoError):
        return _gated(what, page)
    status = _status(error)
    if status == 401 and get_token() and not isinstance(error, RepositoryNotFoundError):
        return _bad_token()
    if isinstance(error, RepositoryNotFoundError):
        return Failed(
            "weights",
            "repo_not_found",
            f"there is no repo {what} at {constants.ENDPOINT}, or it is private",
            f"check the name at {page}; for a private one set HF_TOKEN (hf auth login)",
        )
    if isinstance(error, RevisionNotFoundError):
        hint = f"see {page}/commits/main"
        return Failed("weights", "revision_not_found", f"{what} has no such revision", hint)
    if isinstance(error, EntryNotFoundError) and status:
        return Failed("weights", "file_not_found", f"a file of {what} is gone", f"see {page}")
    if isinstance(error, OfflineModeIsEnabled):
        return Failed("weights", "offline", f"{what} is not here, and HF_HUB_OFFLINE is set")
    return _on_the_way(error, what, httpx2.URL(constants.ENDPOINT).host)


def _gated(what: str, page: str) -> Failed:
    if get_token():
        text = f"{what} is gated, and your token may not have it"
        return Failed("weights", "gated", text, f"ask for access, or accept the terms, at {page}")
    return Failed(
        "weights",
        "gated",
        f"{what} is gated: only who accepted its terms may have it",
        f"accept them at {page}, then set HF_TOKEN (or: hf auth login)",
    )


def _bad_token() -> Failed:
    return Failed(
        "weights",
        "bad_token",
        f"{constants.ENDPOINT} does not know the token in {_token_place()}",
        f"make a new one at {constants.ENDPOINT}/settings/tokens, then: hf auth login",
    )


def _token_place() -> str:
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(variable):
            return variable
    return str(constants.HF_TOKEN_PATH)


def _on_the_way(error: BaseException, what: str, host: str) -> Failed:
    """Of the network, or of the server. host: that was asked first."""
    if isinstance(error, httpx2.TooManyRedirects):
        text = f"{what} is redirected in a circle"
        return Failed("weights", "redirects", text, "check HF_ENDPOINT and proxies")
    if isinstance(error, httpx2.UnsupportedProtocol):
        text = f"{what} is redirected to what is no web address: {error}"
        return Failed("weights", "redirects", text, "check HF_ENDPOINT and proxies")
    if isinstance(error, httpx2.TimeoutException):
        hint = f"check the network; {AGAIN}; {MIRROR}"
        return Failed("weights", "stalled", f"nothing more of {what} arrives", hint)
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
        text = f"{host} cannot be reached: {error}"
        return Failed("weights", "unreachable", text, "check the network, HF_ENDPOINT and proxies")
    if isinstance(error, httpx2.TransportError):
        text = f"the connection to {host} breaks: {error}"
        return Failed("weights", "cut_short", text, f"{AGAIN}; if it stays so, {MIRROR}")
    if isinstance(error, FileMetadataError):
        text = f"{host} does not answer like a hub"
        return Failed("weights", "no_hub", text, "check HF_ENDPOINT, proxies, and login pages")
    if isinstance(error, HfHubHTTPError):
        text = f"{host} answers with status {error.response.status_code} about {what}"
        return Failed("weights", "refused", text, "check HF_ENDPOINT, proxies, and your token")
    if is_short(error):
        return Failed("weights", "cut_short", f"a file of {what} arrived in part", AGAIN)
    return Failed("weights", "weights", f"{what}: {type(error).__name__}: {error}", AGAIN)


def is_short(error: BaseException) -> bool:
    """huggingface_hub says that a file has another size than it should."""
    return isinstance(error, OSError) and "Consistency check" in str(error)
