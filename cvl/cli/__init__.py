"""The command line. This module stays light: everything else is imported by the command that
needs it."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the `cvl` command. Never shows a traceback without --debug."""
    try:
        from cvl.cli.outlet import guard

        guard()
        from cvl.cli.app import run_app

        status = run_app(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    _flush()
    sys.exit(status)


def _flush() -> None:
    """A reader that went away (`cvl list | head -1`) is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
