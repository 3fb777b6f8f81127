"""The program that asks the hub: `python -m cvl.hub.worker`, a request on stdin, replies on stdout.

It ends with the pipe to whoever started it: a cvl that was killed downloads no further.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from cvl.core.plain import from_plain, to_plain
from cvl.hub.messages import (
    REQUESTS,
    Access,
    Delete,
    Fetch,
    FetchUrl,
    Reply,
    Request,
    Resolve,
    WhoAmI,
)
from cvl.hub.problems import named

_LOCK = threading.Lock()
Say = Callable[[Reply], None]


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    request = _read(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(reply: Reply) -> None:
        _say(replies, reply)

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
    os._exit(1)


def _do(request: Request, say: Say) -> None:
    """Loads no more of the library than is needed."""
    if isinstance(request, FetchUrl):
        from cvl.hub.urls import fetch_url

        fetch_url(request, say)
    elif isinstance(request, Delete):
        from cvl.hub.deleting import delete

        delete(request, say)
    else:
        from cvl.hub import repos

        if isinstance(request, Resolve):
            say(repos.resolve(request))
        elif isinstance(request, Fetch):
            repos.fetch(request, say)
        elif isinstance(request, Access):
            say(repos.access(request))
        else:
            assert isinstance(request, WhoAmI)
            say(repos.who_am_i())


if __name__ == "__main__":
    main()
