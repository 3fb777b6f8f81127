"""What a predict container may do, asserted from inside it and on what the engine reports."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STUBS, Cvl, data_of, environment_for
from tests.support.engine import Engine
from tests.support.people import as_user, elsewhere, needs_root

pytestmark = pytest.mark.docker
CANARY = "canary-7d1f4c0b9e"


def _act(cvl: Cvl, act: str, tmp_path: Path, *more: str, **environment: str) -> Any:
    arguments = ("run", "stub", "predict", "--act", act, "-o", "out.json", "--overwrite", *more)
    result = cvl(*arguments, "--no-cache", env=environment)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "out.json").read_text()
    return json.loads(text)


def test_a_predict_container_is_the_caller_without_rights(cvl: Cvl, tmp_path: Path) -> None:
    found = _act(cvl, "look_around", tmp_path)
    import os

    assert (found["uid"], found["gid"]) == (os.getuid(), os.getgid())
    assert int(found["status"]["CapEff"], 16) == 0
    assert found["status"]["NoNewPrivs"] == "1"
    assert found["status"]["Seccomp"] == "2"


def test_its_root_is_read_only_and_only_its_own_folders_are_writable(
    cvl: Cvl, tmp_path: Path
) -> None:
    assert _act(cvl, "write_everywhere", tmp_path) == []
    mounts = _act(cvl, "look_around", tmp_path)["mounts"].splitlines()
    by_place = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    assert "ro" in by_place["/"]
    assert "ro" in by_place["/cvl/inputs"] and "ro" in by_place["/app/cvl_inside"]
    assert "rw" in by_place["/cvl/out"] and "rw" in by_place["/cvl/scratch"]
    assert not [place for place in by_place if place.endswith(".sock")]


def test_home_and_tmp_are_writable_tmp_runs_programs_and_the_user_has_a_name(
    cvl: Cvl, tmp_path: Path
) -> None:
    found = _act(cvl, "look_around", tmp_path)
    assert found["tmp_runs"] == "ran\n"
    assert found["home"] == "/home/cvl" and found["user"] == "cvl"
    assert found["scratch"] == "/cvl/scratch"


def test_it_has_no_network(cvl: Cvl, tmp_path: Path) -> None:
    assert _act(cvl, "phone_home", tmp_path) == {"reached": [], "interfaces": ["lo"]}


def test_it_sees_the_declared_inputs_and_no_others(cvl: Cvl, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given")
    (tmp_path / "other.txt").write_text("other")
    found = _act(cvl, "look_around", tmp_path, "--file", "given.txt")
    assert found["inputs"] == ["/cvl/inputs/file.txt"]


def test_no_token_of_the_caller_is_anywhere_in_it(cvl: Cvl, tmp_path: Path) -> None:
    tokens = {"HF_TOKEN": CANARY, "OPENAI_API_KEY": CANARY, "GITHUB_TOKEN": CANARY}
    assert CANARY not in json.dumps(_act(cvl, "look_around", tmp_path, **tokens))


def test_pids_memory_file_size_and_shm_limits_are_in_force(
    cvl: Cvl, tmp_path: Path, engine: Engine
) -> None:
    found = _act(cvl, "look_around", tmp_path)
    limits = {line[:26].strip(): line.split() for line in found["limits"].splitlines()}
    assert "50000000" in limits["Max file size"]
    assert "0" in limits["Max core file size"]
    assert found["shm"] <= 20_000_000 + 4096
    forked = cvl("run", "stub", "predict", "--act", "forks", "-o", "forks.txt")
    assert forked.returncode == 0, forked.stderr
    assert int((tmp_path / "forks.txt").read_text()) < 64
    big = cvl("run", "stub", "predict", "--act", "big_file", "-o", "big.txt")
    assert big.returncode == 1 and "size limit" in big.stderr + _log_of(cvl)
    assert cvl("run", "stub", "predict", "--act", "eat", "-o", "eat.txt").returncode == 5


def _log_of(cvl: Cvl) -> str:
    return cvl("logs", "last").stdout.replace("File too large", "size limit")


def test_everything_belongs_to_a_user_who_is_not_root(engine: Engine) -> None:
    """In the docker group, with a target folder that nobody else may enter."""
    needs_root()
    with elsewhere() as private:
        user = as_user(engine, private)
        environment = {**environment_for(engine, private / "home"), **user.environment}
        result = subprocess.run(
            [*user.command, "-m", "cvl", "run", "twostep", "predict", "-o", "out.txt", "--json"],
            env={**environment, "CVL_EXAMPLES": str(STUBS)},
            cwd=private,
            capture_output=True,
            text=True,
            check=False,
        )
        data = data_of(result)
        assert set(data["steps"]) == {"first", "second"}
        names = {path.name for path in private.iterdir()}
        assert names == {"home", "out.txt"}
        assert not list((private / "home" / "cache" / "work").iterdir())
        blobs = list((private / "home" / "cache" / "results" / "sha256").glob("*/*"))
        assert blobs
        assert {path.lstat().st_uid for path in private.rglob("*")} == {user.uid}
        assert (private / "out.txt").read_text().startswith("ok ")
        assert (private / "out.txt").stat().st_mode & 0o777 == 0o644
