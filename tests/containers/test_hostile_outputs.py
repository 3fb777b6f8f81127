"""What a container leaves instead of an output is refused or cleaned, whatever it is, and a file of
the host that it points to is never opened. The whole path: real containers, real folders."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STUBS, Cvl, environment_for
from tests.support.engine import Engine
from tests.support.files import opens_of
from tests.support.people import as_user, elsewhere, needs_root
from tests.support.warm import Warm, warm

pytestmark = pytest.mark.docker
AT_ONCE = 3
FILE, FOLDER = "result", "folder"
REFUSED = {
    ("symlink", FILE): "is a symbolic link",
    ("folder_link", FILE): "is a symbolic link",
    ("fifo", FILE): "is not a regular file",
    ("unix_socket", FILE): "is not a regular file",
    ("hard_link", FILE): "is not a regular file",
    ("sparse", FILE): "is sparse",
    ("symlink", FOLDER): "not a plain file",
    ("folder_link", FOLDER): "not a plain file",
    ("fifo", FOLDER): "not a plain file",
    ("unix_socket", FOLDER): "not a plain file",
    ("hard_link", FOLDER): "not a plain file",
    ("sparse", FOLDER): "holds a sparse file",
    ("case_clash", FOLDER): "which are one name on some disks",
    ("accent_clash", FOLDER): "which are one name on some disks",
    ("not_utf8", FOLDER): "a name that is not UTF-8",
    ("deep", FOLDER): "is too deep",
    ("many", FOLDER): "more than 1000 files",
}
CLEANED = {
    ("odd_modes", FILE): "good\n",
    ("attributes", FILE): "good\n",
    ("unreadable", FILE): "good\n",
    ("device", FILE): "refused\n",
    ("terabyte", FILE): "refused\n",
    ("litter", FILE): "good\n",
    ("liar", FILE): "good\n",
    ("control_links", FILE): "good\n",
    ("odd_modes", FOLDER): "good\n",
    ("attributes", FOLDER): "good\n",
    ("unreadable", FOLDER): "good\n",
    ("device", FOLDER): "refused\n",
    ("liar", FOLDER): "good\n",
}
Case = tuple[str, str]


@dataclass(frozen=True)
class Traps:
    """Runs of the example `trap`, all with one CVL_HOME, and a canary beside them."""

    environment: dict[str, str]
    folder: Path
    canary: Path

    def leave(self, one: Warm, case: Case) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run one; what it said, and where its output goes."""
        act, output = case
        target = self.folder / f"{act}-{output}"
        words = ("run", "trap", "predict", "--act", act, "--canary", str(self.canary))
        result = one.run(
            self.folder, self.environment, *words, f"--output-{output}", target.name, "--json"
        )
        return result, target


@pytest.fixture
def traps(engine: Engine, tmp_path: Path, cvl: Cvl) -> Iterator[Traps]:
    """The canary is watched by the kernel all the while, and so is its folder."""
    assert cvl("run", "trap", "build").returncode == 0
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "canary").write_text("secret\n")
    environment = {**environment_for(engine, tmp_path / "home"), "CVL_EXAMPLES": str(STUBS)}
    with opens_of(folder / "canary") as file_opened, opens_of(folder) as folder_opened:
        yield Traps(environment, tmp_path, folder / "canary")
        assert not file_opened() and not folder_opened()
        assert os.listdir(folder) == ["canary"]
        assert folder_opened()


def told(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    return error


def test_a_trap_is_refused_by_its_name_and_nothing_is_published(traps: Traps) -> None:
    """Nor left: no container, no work folder, however deep or full it was."""

    def check(one: Warm, case: Case) -> None:
        result, target = traps.leave(one, case)
        assert (result.returncode, told(result)["code"]) == (6, "hostile_output"), result.stdout
        assert REFUSED[case] in told(result)["message"]
        assert not os.path.lexists(target)

    with warm(AT_ONCE) as each:
        each(check, list(REFUSED))


def test_what_can_be_cleaned_is_published_without_links_modes_and_attributes(traps: Traps) -> None:
    """A device cannot even be made, nor a file beyond the limit; names and links that a container
    writes down for the host lead nowhere."""

    def check(one: Warm, case: Case) -> None:
        result, target = traps.leave(one, case)
        assert result.returncode == 0, result.stdout
        file = target / "trap" if case[1] == FOLDER else target
        assert file.read_text() == CLEANED[case]
        assert file.stat().st_mode & 0o7777 == 0o644
        assert os.listxattr(file) == []
        if case[1] == FOLDER:
            assert target.stat().st_mode & 0o7777 == 0o755
            assert sorted(os.listdir(target)) == ["plain", "trap"]

    with warm(AT_ONCE) as each:
        each(check, list(CLEANED))


def test_a_process_left_behind_cannot_swap_an_output_while_it_is_looked_at(traps: Traps) -> None:
    """It ended with its container, before the look: the output is what it was then, for good."""

    def check(one: Warm, number: int) -> None:
        case = ("swapper", (FILE, FOLDER)[number % 2])
        result, target = traps.leave(one, case)
        file = target / "trap" if case[1] == FOLDER else target
        if result.returncode == 0:
            assert file.read_text() in ("", "good\n") and not file.is_symlink()
        else:
            assert result.returncode == 6, result.stdout
            assert not os.path.lexists(target)

    with warm(1) as each:
        each(check, [0, 1])


def test_a_user_who_is_not_root_gets_rid_of_files_and_folders_without_any_mode(
    engine: Engine,
) -> None:
    needs_root()
    with elsewhere() as private:
        user = as_user(engine, private)
        environment = {**environment_for(engine, private / "home"), **user.environment}
        for act, output, status in (("litter", FILE, 0), ("unreadable", FILE, 6),
                                    ("unreadable", FOLDER, 6)):  # fmt: skip
            words = ("run", "trap", "predict", "--act", act, "--canary", "/etc/shadow")
            result = subprocess.run(
                [*user.command, "-m", "cvl", *words, f"--output-{output}", f"{act}-{output}"],
                env={**environment, "CVL_EXAMPLES": str(STUBS)},
                cwd=private, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert result.returncode == status, result.stderr
            assert status == 0 or "cannot be read" in result.stderr
            assert not list((private / "home" / "cache" / "work").iterdir())
        assert sorted(path.name for path in private.iterdir()) == ["home", "litter-result"]
