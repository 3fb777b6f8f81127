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
    sys.exit(_flush(status))


def _flush(status: int) -> int:
    """The exit code. A reader that went away (`cvl list | head -1`) is no error of ours; a disk
    that is full is one, also when it shows only now."""
    try:
        sys.stdout.flush()
    except OSError as error:
        from cvl.cli.app import tell_unwritten

        return tell_unwritten(error) or status
    return status
