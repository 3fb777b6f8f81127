"""The program that asks the hub: `python -m cvl.hub.worker`, a request on stdin, replies on stdout.

It ends with the pipe to whoever started it: a cvl that was killed downloads no further. Then, and
when it is told to end, it removes what it has of files that are not complete.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from cvl.core.plain import from_plain, to_plain
from cvl.hub.arriving import Arriving
from cvl.hub.client import Client
from cvl.hub.messages import (
    REQUESTS,
    Access,
    Busy,
    Delete,
    Fetch,
    FetchUrl,
    Reply,
    Request,
    Resolve,
    Unpack,
    WhoAmI,
)
from cvl.hub.problems import named
from cvl.hub.unfinished import Unfinished

_LOCK = threading.Lock()
UNFINISHED = Unfinished()
PIECE = 1 << 20
"""What huggingface_hub writes at once, so what a break costs of a download that goes on."""
Say = Callable[[Reply], None]


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    request = _read(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda signum, frame: _leave())

    def say(reply: Reply) -> None:
        _say(replies, reply)

    say(Busy())  # everything is loaded
    try:
        _do(request, say)
    except Exception as error:
        say(named(error, request))
    replies.flush()
    os._exit(0)  # downloads that were given up may still be waiting for their server


def _read(line: str) -> Request:
    document = json.loads(line)
    request: Request = from_plain(REQUESTS[document.pop("is")], document)
    return request


def _say(stream: TextIO, reply: Reply) -> None:
    document: dict[str, Any] = {"is": type(reply).__name__, **to_plain(reply)}
    with _LOCK:
        stream.write(json.dumps(document) + "\n")
        stream.flush()


def _end_with_parent() -> None:
    """stdin stays open for as long as whoever asked lives."""
    while os.read(0, 1 << 10):
        continue
    _leave()


def _leave() -> None:
    """End now, and leave nothing."""
    UNFINISHED.remove()
    os._exit(1)


def _do(request: Request, say: Say) -> None:
    """Loads no more of the library than is needed."""
    if isinstance(request, Delete):
        from cvl.hub.deleting import delete

        return delete(request, say)
    arriving = _connect(say)
    if isinstance(request, FetchUrl):
        from cvl.hub.urls import fetch_url

        return fetch_url(request, say, arriving)
    from cvl.hub import repos

    if isinstance(request, Resolve):
        say(repos.resolve(request))
    elif isinstance(request, Fetch):
        repos.fetch(request, say, arriving)
    elif isinstance(request, Unpack):
        from cvl.hub.unpacking import unpack

        unpack(request, say, arriving)
    elif isinstance(request, Access):
        say(repos.access(request))
    else:
        assert isinstance(request, WhoAmI)
        say(repos.who_am_i())


def _connect(say: Say) -> Arriving:
    """Have huggingface_hub use our client."""
    from huggingface_hub import constants, set_client_factory

    arriving = Arriving(say)
    constants.DOWNLOAD_CHUNK_SIZE = PIECE
    UNFINISHED.remember()
    set_client_factory(lambda: Client(say, arriving.over_the_wire))
    return arriving


if __name__ == "__main__":
    main()
