"""`python -m tests.support.hub.server ROOT`: the stand-in, until its parent or its stdin ends.

Says on stdout, in one line of JSON, where it listens.
"""

from __future__ import annotations

import functools
import json
import os
import select
import sys
from pathlib import Path

from tests.support.hub.control import Control, listen
from tests.support.hub.faults import Book
from tests.support.hub.journal import Journal
from tests.support.hub.repos import Shelf
from tests.support.hub.routes import TOKENS, Router
from tests.support.hub.serving import HOSTS, World
from tests.support.hub.wire import Listener


def world(root: Path) -> World:
    """All listeners, serving."""
    shelf, journal, book = Shelf(root), Journal(), Book()
    listeners: dict[str, Listener] = {}
    made = World(Router(shelf, TOKENS, "", ""), journal, book, listeners)
    for name, address in HOSTS.items():
        listeners[name] = Listener(name, address, functools.partial(made.serve, name))
    made.router = Router(shelf, TOKENS, listeners["hub"].url, listeners["cdn"].url)
    for listener in listeners.values():
        listener.start()
    return made


def until_alone() -> None:
    """Return when stdin is at its end or the parent process is gone, whichever is first."""
    poll = select.poll()
    poll.register(sys.stdin, select.POLLHUP)
    if hasattr(os, "pidfd_open"):
        poll.register(os.pidfd_open(os.getppid()), select.POLLIN)
    poll.poll()


def main() -> None:
    made = world(Path(sys.argv[1]).resolve())
    ports = {name: listener.url for name, listener in made.listeners.items()}
    print(json.dumps({**ports, "control": listen(Control(made))}), flush=True)
    until_alone()
    os._exit(0)


if __name__ == "__main__":
    main()
