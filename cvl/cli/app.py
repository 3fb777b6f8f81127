"""The lazy command table, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cvl import __version__
from cvl.cli.lazy import LazyGroup
from cvl.cli.terminal import Terminal
from cvl.disks import full_disk, names_full
from cvl.errors import CvlError, DiskFullError, UsageError

# Command -> (module, one line of help). Importing a command imports what it needs, so the table
# does not.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Build, run or test an example."),
    "demo": ("demo", "Make a portrait speak: demo.mp4."),
    "init": ("init", "Write a new example that runs at once."),
    "list": ("list", "List the examples within reach."),
    "info": ("info", "Show inputs, outputs and needs of an example."),
    "inspect": ("inspect", "Show what a file says of how it was made."),
    "rerun": ("rerun", "Make a file again from what it says."),
    "validate": ("validate", "Check manifests."),
    "doctor": ("doctor", "Check Docker, GPU, disks, folders and network."),
    "ps": ("ps", "List runs."),
    "logs": ("logs", "Show the log of a run."),
    "shell": ("shell", "Open a shell where a step of a run ran."),
    "stop": ("stop", "Stop a run."),
    "models": ("models", "List, fetch, verify and remove weights."),
    "completion": ("completion", "Print the completion script of a shell."),
    "df": ("df", "Show where the space went."),
    "gc": ("gc", "Remove what is no longer needed."),
}
GROUPS = ("models",)
"""Those of them that have commands of their own."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    package="cvl.cli.commands",
    path="cvl",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="cvl run EXAMPLE predict --help shows the options of an example.",
)
@click.version_option(__version__, "-V", "--version", message="cvl %(version)s")
def app() -> None:
    """Run and chain generative video and voice models in containers."""


def run_app(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    if "_CVL_COMPLETE" in os.environ:
        from cvl.cli.completing import answer

        return answer(app, os.environ["_CVL_COMPLETE"])
    terminal = Terminal(command=_command_name(argv), json="--json" in argv, debug="--debug" in argv)
    try:
        status = app.main(args=argv, prog_name="cvl", standalone_mode=False, obj=terminal)
        return status if isinstance(status, int) else 0
    except CvlError as error:
        if terminal.debug:
            _print_traceback()
        terminal.fail(error)
        return error.status
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        terminal.fail(_usage(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (BrokenPipeError, SystemExit):
        return 0  # the reader went away; click makes a SystemExit of that
    except Exception as error:
        if isinstance(error, FileNotFoundError) and _folder_is_gone():
            terminal.fail(UsageError("the working folder is gone", hint="cd to one that exists"))
            return 2
        if isinstance(error, OSError) and names_full(error):
            return _full(error, terminal)
        return _internal(error, terminal)


def _full(error: OSError, terminal: Terminal) -> int:
    """A file that nobody watches over, or else what we print into."""
    if not isinstance(error.filename, str):
        return tell_unwritten(error)
    told = full_disk(Path(error.filename), error=error)
    terminal.fail(told)
    return told.status


def tell_unwritten(error: OSError) -> int:
    """Stdout takes no more: give it up. The exit code if that is an error: not when it was a reader
    that went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    reason = error.strerror
    told = CvlError(f"what cvl prints cannot be written: {reason}", hint="send it elsewhere")
    if names_full(error):
        text = "what cvl prints cannot be written: the disk that it goes to is full"
        told = DiskFullError(text, hint="free space there, or send it elsewhere")
    Terminal().fail(told)
    return told.status


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _command_name(argv: list[str]) -> str:
    """`list`; `models list` of a command in a group."""
    words = [argument for argument in argv if not argument.startswith("-")]
    return " ".join(words[:2] if words and words[0] in GROUPS else words[:1])


def _usage(error: click.ClickException) -> UsageError:
    """click's own words, with our hint."""
    if isinstance(error, click.NoSuchOption):
        hint = f"did you mean {error.possibilities[0]}?" if error.possibilities else ""
        return UsageError(f"there is no option {error.option_name}", hint=hint or "see --help")
    message = error.format_message().strip().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint="see --help")


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()


def _internal(error: Exception, terminal: Terminal) -> int:
    """A bug of ours: say so in one line; the traceback is there for who asks."""
    if terminal.debug:
        _print_traceback()
    told = CvlError(
        f"internal error: {type(error).__name__}: {error}",
        hint="run it again with --debug and report what it prints",
        code="internal",
    )
    terminal.fail(told)
    sys.stderr.flush()
    return told.status
