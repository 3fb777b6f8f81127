"""A home that is read-only, missing, unset, full or somebody else's: every command works, or says
in one sentence which folder stands in the way; those that only read always work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.files import wav
from tests.support.people import REPOSITORY, UID, as_uid, elsewhere, needs_root

STUBS = REPOSITORY / "tests" / "support" / "examples"
STRANGER = 4321
READS = (
    ("--help",),
    ("--version",),
    ("list",),
    ("list", "--json"),
    ("info", "stub"),
    ("info", "stub", "--json"),
    ("validate", "stub", "twostep"),
    ("inspect", "sound.wav"),
    ("run", "stub", "predict", "--help"),
    ("run", "twostep", "predict", "--dry-run"),
    ("completion", "bash"),
    ("demo", "--help"),
)
"""Always work."""
COMPLETED = ("run ", "logs ", "shell last --step ", "run stub predict --")
WRITES = (
    ("doctor",),
    ("doctor", "--json"),
    ("run", "stub", "predict"),
    ("run", "stub", "build", "--json"),
    ("run", "stub", "test"),
    ("ps",),
    ("ps", "--json"),
    ("logs", "last"),
    ("stop", "last"),
    ("shell", "last", "--command", "true"),
    ("rerun", "sound.wav"),
    ("gc",),
    ("gc", "--yes"),
    ("df",),
)
"""Work, or say in a sentence why not."""
DRIVER = """
import json, os, sys
from cvl.cli.app import run_app
import cvl.core.yaml_source, cvl.engine.docker, cvl.ops.predict, cvl.ops.doctor
from cvl.core import validation
validation._adapter("model"), validation._adapter("pipeline")
def each(argv, completed=None):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1), os.dup2(writing, 2)
        if completed is not None:
            os.environ.update(_CVL_COMPLETE="bash_complete", COMP_WORDS="cvl " + completed,
                              COMP_CWORD=str(len(completed.split(" "))))
        status = run_app(argv)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    os.close(writing)
    with open(reading, errors="replace") as stream:
        said = stream.read()
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said]
asked = json.load(sys.stdin)
told = [each(argv) for argv in asked["commands"]] + [each([], t) for t in asked["completed"]]
print(json.dumps(told))
"""
"""One process for all commands, and a fork for each: the time goes into imports otherwise."""
OTHERWISE = re.compile(
    r"no Docker engine answers|there are no runs|does not say how it was made"
    r"|there is nobody to ask"
)
"""Errors that have nothing to do with the home."""


@dataclass(frozen=True)
class Home:
    """variables: what a folder of the test's own makes of the environment (None: unset). mount: run
    by sh, as root in a mount namespace of its own, with that folder as $0. blames: what an error
    has to name; empty when every command works. writes: the only folder that may change."""

    name: str
    variables: Callable[[Path], dict[str, str | None]]
    blames: str = ""
    mount: str = ""
    writes: str = ""


def _folder(path: Path, owner: int = UID, mode: int = 0o700) -> str:
    path.mkdir(parents=True)
    os.chown(path, owner, owner)
    path.chmod(mode)
    return str(path)


def _loop(path: Path) -> str:
    path.symlink_to(path)
    return str(path)


def _file(path: Path) -> str:
    path.write_text("precious")
    path.chmod(0o666)
    return str(path)


READ_ONLY = 'mount --bind "$0/h" "$0/h" && mount -o remount,ro,bind "$0/h"'
FULL = 'mount -t tmpfs -o size=4k,mode=777 none "$0/h" && cat /dev/zero > "$0/h/f"; true'
HOMES = (
    Home("good", lambda p: {"HOME": _folder(p / "h")}, writes="h"),
    Home("relative XDG", lambda p: {"HOME": _folder(p / "h"), **RELATIVE}, writes="h"),
    Home("read-only", lambda p: {"HOME": _folder(p / "h", mode=0o555)}, "/h"),
    Home("read-only mount", lambda p: {"HOME": _folder(p / "h")}, "/h", READ_ONLY),
    Home("full disk", lambda p: {"HOME": _folder(p / "h")}, "/h", FULL),
    Home("missing", lambda p: {"HOME": "/nonexistent/of/nobody"}, "/nonexistent"),
    Home("unset, unknown to the system", lambda p: {"HOME": None}, "no home folder"),
    Home("empty", lambda p: {"HOME": ""}, "no home folder"),
    Home("relative", lambda p: {"HOME": "h"}, "no home folder"),
    Home("the root folder", lambda p: {"HOME": "/"}, " /"),
    Home("somebody else's", lambda p: {"HOME": _folder(p / "h", STRANGER)}, "/h"),
    Home("CVL_HOME good", lambda p: {"CVL_HOME": _folder(p / "h"), "HOME": None}, writes="h"),
    Home("CVL_HOME read-only", lambda p: {"CVL_HOME": _folder(p / "h", mode=0o500)}, "/h"),
    Home("CVL_HOME in nothing", lambda p: {"CVL_HOME": "/nonexistent/a/b"}, "/nonexistent"),
    Home("CVL_HOME a file", lambda p: {"CVL_HOME": _file(p / "h")}, "/h"),
    Home("CVL_HOME a loop", lambda p: {"CVL_HOME": _loop(p / "h")}, "/h"),
    Home("CVL_HOME full", lambda p: {"CVL_HOME": _folder(p / "h")}, "/h", FULL),
    Home("CVL_HOME a stranger's", lambda p: {"CVL_HOME": _folder(p / "h", STRANGER, 0o777)}, "/h"),
    Home("CVL_HOME root's", lambda p: {"CVL_HOME": _folder(p / "h", 0, 0o755)}, "/h"),
)
RELATIVE: dict[str, str | None] = {f"XDG_{n}_HOME": "rel" for n in ("STATE", "CACHE", "CONFIG")}


CHOSEN = HOMES if os.environ.get("CVL_TEST_FULL") else HOMES[::2]


@pytest.mark.parametrize("home", CHOSEN, ids=[home.name for home in CHOSEN])
def test_commands_work_or_name_the_folder_in_the_way(home: Home) -> None:
    needs_root()
    with elsewhere() as place:
        place.chmod(0o711)
        here = Path(_folder(place / "here"))
        wav(here / "sound.wav")
        environment = _environment(home, place, _folder(place / "tmp"))
        told = _told(home, place, here, environment)
        assert [
            f"{name}: {why}" for name, *said in told if (why := _wrong(home, name, *said))
        ] == []
        assert _blamed(home, told), told
        kept = ("here", "here/sound.wav", "here/junit-stub.xml", "tmp", "h")
        found = {str(p.relative_to(place)) for p in place.rglob("*") if p.lstat().st_uid == UID}
        assert {p for p in found - set(kept) if not (home.writes and p.startswith("h/"))} == set()


def _environment(home: Home, place: Path, temporary: str) -> dict[str, str]:
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_", "HOME", "USER", "LOGNAME")
    values = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    more = {
        "CVL_EXAMPLES": str(STUBS), "DOCKER_HOST": f"unix://{place}/no.sock",
        "PYTHONPATH": str(REPOSITORY), "TMPDIR": temporary, "HOME": "/nonexistent",
        **home.variables(place),
    }  # fmt: skip
    return {**values, **{name: value for name, value in more.items() if value is not None}}


def _told(
    home: Home, place: Path, here: Path, environment: dict[str, str]
) -> list[tuple[str, int, str]]:
    """(command, exit code, everything it said) of each."""
    command = [*as_uid(UID), "-c", DRIVER]
    if home.mount:
        mounted = f'{home.mount} && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mounted, str(place), *command]
    commands = [*READS, *WRITES] if home.writes else [*READS, *WRITES, ("demo",)]
    asked = {"commands": commands, "completed": COMPLETED}
    result = subprocess.run(
        command, env=environment, cwd=here, input=json.dumps(asked), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    names = [*(" ".join(words) for words in commands), *(f"TAB {text}" for text in COMPLETED)]
    return [(n, *said) for n, said in zip(names, json.loads(result.stdout), strict=True)]


def _wrong(home: Home, name: str, status: int, text: str) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if "Traceback" in text or "internal error" in text or '"internal"' in text:
        return text
    if name.startswith("TAB "):  # who types sees nothing of an error
        return text if status and text else ""
    if status == 0 or OTHERWISE.search(text):
        return ""
    if name in {" ".join(words) for words in READS} or not home.blames:
        return f"exit {status}: {text}"
    blames = home.blames in text and ("CVL_HOME" in text or "on another disk" in text)
    return "" if blames else f"blames another than {home.blames}: {text}"


def _blamed(home: Home, told: list[tuple[str, int, str]]) -> bool:
    """Did the doctor, and `demo`, which has to write, say what is wrong? In a good home nobody."""
    said = {name: (status, text) for name, status, text in told}
    if not home.blames:
        return said["doctor"][0] == 0
    return all(said[n][0] != 0 and home.blames in said[n][1] for n in ("doctor", "demo"))


def test_a_folder_of_settings_that_is_relative_is_not_looked_into(tmp_path: Path) -> None:
    """It would be another one in each folder, and might have come with it."""
    (tmp_path / "rel" / "cvl").mkdir(parents=True)
    (tmp_path / "rel" / "cvl" / "cvl.toml").write_text("broken")
    environment = {**os.environ, "XDG_CONFIG_HOME": "rel", "CVL_HOME": str(tmp_path / "h")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    listed = subprocess.run(
        [sys.executable, "-m", "cvl", "list"], env=environment, cwd=tmp_path, check=False
    )
    assert listed.returncode == 0


def test_root_makes_nothing_in_the_folders_of_another_user() -> None:
    """As with a sudo that keeps HOME: what root made there would be in their way from then on."""
    needs_root()
    with elsewhere() as place:
        _folder(place / "h")
        home = Home("kept by sudo", lambda p: {"HOME": str(p / "h")})
        environment = _environment(home, place, _folder(place / "tmp", 0))
        for words in (("list",), ("info", "stub"), ("ps",), ("run", "stub", "build")):
            result = subprocess.run(
                [sys.executable, "-m", "cvl", *words],
                env=environment, cwd=place, capture_output=True, text=True, check=False,
            )  # fmt: skip
            reads = words[0] in ("list", "info")
            assert result.returncode == (0 if reads else 3), result.stderr
            assert reads or "sudo -H" in result.stderr, result.stderr
        assert list((place / "h").iterdir()) == []
