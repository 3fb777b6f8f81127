"""Weights that live behind a URL alone, such as the files of a GitHub release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from huggingface_hub.file_download import http_get

from cvl.errors import WeightsError
from cvl.hub.arriving import Arriving
from cvl.hub.messages import Fetched, FetchUrl, Reply, Trouble
from cvl.hub.problems import is_short

CHUNK = 1 << 20


def fetch_url(request: FetchUrl, say: Callable[[Reply], None], arriving: Arriving) -> None:
    """Without a token. huggingface_hub's own download: it goes on after a break where the server
    can, and begins again where it cannot. Other bytes than those expected are fetched once more: a
    file that changed while it was fetched in two parts is none of both."""
    place = Path(request.path)
    try:
        found = _fetched(request, place, arriving)
        if found != request.sha256:
            say(Trouble(f"{request.url} is not what is expected; it is fetched once more"))
            found = _fetched(request, place, arriving)
        if found != request.sha256:
            raise WeightsError(
                f"{request.url} has sha256 {found[:12]}... where {request.sha256[:12]}... is "
                "expected",
                hint="the file at that address was changed, or something on the way sends another",
                code="wrong_bytes",
            )
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    say(Fetched(request.path, found))


def _fetched(request: FetchUrl, place: Path, arriving: Arriving) -> str:
    """The sha256 of what came, be it too little."""
    bar = arriving.bar(request.size)
    try:
        with place.open("wb") as stream:
            http_get(request.url, stream, expected_size=request.size, tqdm_class=bar)
    except OSError as error:
        if not is_short(error):
            raise
    return _sha256(place)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
