"""cvl doctor: as a command, and each check on a machine that does not exist."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cvl.core.container import EngineFacts
from cvl.errors import EngineError, StateError
from cvl.machine.gpus import Gpu
from cvl.ops import doctor
from cvl.ops.doctor import Finding, Machine
from cvl.store.dirs import Dirs
from tests.cli.conftest import Run, Start, envelope_of

GPU = Gpu(0, "GPU-1", "H200", 150 * 10**9, 150 * 10**9, "570.1", "9.0")
FACTS = EngineFacts("host", "27.0", 64 * 10**9)
Usage = namedtuple("Usage", "total used free")


def findings(envelope: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in envelope["data"]["findings"]}


def test_without_an_engine_virtual_environments_are_left(bare: Run, tmp_path: Path) -> None:
    result = bare("doctor")
    assert result.returncode == 0
    assert "warn  no Docker engine answers at unix:///" in result.stdout
    found = findings(envelope_of(bare("doctor", "--json"), "doctor"))
    assert found["engine"]["severity"] == "warning"
    assert found["venv"]["severity"] == "ok" and "; device " in found["venv"]["message"]
    assert not (tmp_path / "home").exists()


def test_without_the_engine_that_is_wanted(bare: Run, tmp_path: Path) -> None:
    docker = {"CVL_ENGINE": "docker"}
    result = bare("doctor", env=docker)
    assert result.returncode == 3
    assert "error no Docker engine answers at unix:///" in result.stdout
    assert "      hint: start Docker" in result.stdout
    assert "error: this machine is not ready: " in result.stderr
    found = findings(envelope_of(bare("doctor", "--json", env=docker), "doctor", 3))
    assert found["engine"]["severity"] == "error"
    assert {"permission", "remote", "engine_disk"} & found.keys() == set()
    assert not (tmp_path / "home").exists()


def test_an_engine_on_another_machine(bare: Run) -> None:
    result = bare("doctor", "--json", env={"DOCKER_HOST": "tcp://192.0.2.1:2375"})
    found = findings(envelope_of(result, "doctor", 3))
    assert found["remote"]["severity"] == "error" and "engine" not in found


def test_no_client_that_builds(bare: Run) -> None:
    result = bare("doctor", "--json", env={"CVL_DOCKER_CLIENT": "/nowhere/docker"})
    found = findings(envelope_of(result, "doctor"))
    assert found["builder"]["severity"] == "info" and "buildx" in found["builder"]["remedy"]


def test_settings_that_cannot_be_read(bare: Run, tmp_path: Path) -> None:
    (tmp_path / "cvl.toml").write_text("gpu = 1\n")
    found = findings(envelope_of(bare("doctor", "--json"), "doctor", 3))
    assert found["settings"]["severity"] == "error"
    assert found["settings"]["remedy"] == "did you mean gpus?"


def test_a_home_that_cannot_be_written(bare: Run) -> None:
    found = findings(
        envelope_of(bare("doctor", "--json", env={"CVL_HOME": "/dev/null/x"}), "doctor", 3)
    )
    assert found["folders"]["severity"] == "error"
    assert "CVL_HOME" in found["folders"]["remedy"]


def test_dead_runs_are_told_and_left(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "dead")
    for _ in range(2):
        found = findings(envelope_of(bare("doctor", "--json"), "doctor"))
        assert found["leftovers"]["message"] == "1 run died and left something"


@pytest.mark.docker
def test_with_an_engine(cvl: Run) -> None:
    found = findings(envelope_of(cvl("doctor", "--json"), "doctor"))
    for name in ("cvl", "settings", "engine", "permission", "remote", "builder", "folders"):
        assert found[name]["severity"] == "ok", found[name]
    text = cvl("doctor").stdout
    assert "ok    docker engine " in text and "builds images with" in text


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    dirs = Dirs(tmp_path / "home" / "state", tmp_path / "home" / "cache")
    return Machine("unix:///s", FACTS, None, (), dirs, None)


def severity(finding: Finding | None) -> str:
    return "" if finding is None else finding.severity


def test_every_check_can_pass(machine: Machine) -> None:
    found = [check(machine) for check in doctor.CHECKS]
    assert not [finding for finding in found if severity(finding) == "error"]


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("engine_unreachable", doctor.check_engine),
        ("engine_timeout", doctor.check_engine),
        ("engine_permission", doctor.check_permission),
        ("engine_remote", doctor.check_remote),
    ],
)
def test_an_engine_error_has_one_finding(
    machine: Machine, code: str, check: doctor.Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVL_ENGINE", "docker")
    broken = replace(machine, facts=None, engine_error=EngineError("no", hint="do", code=code))
    checks = (doctor.check_engine, doctor.check_permission, doctor.check_remote)
    found = [finding for other in checks if (finding := other(broken)) is not None]
    assert found == [check(broken)]
    assert (found[0].severity, found[0].remedy) == ("error", "do")


@pytest.mark.parametrize(
    ("fact", "check", "expected"),
    [
        ("rootless", doctor.check_rootless, "info"),
        ("userns_remap", doctor.check_userns, "info"),
        ("selinux", doctor.check_selinux, "info"),
        ("snap", doctor.check_snap, "warning"),
    ],
)
def test_kinds_of_engine(machine: Machine, fact: str, check: doctor.Check, expected: str) -> None:
    assert check(machine) is None
    special: dict[str, Any] = {fact: True}
    assert severity(check(replace(machine, facts=replace(FACTS, **special)))) == expected


def test_gpus(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert severity(doctor.check_driver(machine)) == "info"
    assert doctor.check_gpu_runtime(machine) is None
    with_gpu = replace(machine, gpus=(GPU,))
    assert "H200 (150 GB, compute 9.0)" in doctor.check_driver(with_gpu).message
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "CDI_FOLDERS", (tmp_path / "cdi",))
    assert severity(doctor.check_gpu_runtime(with_gpu)) == "error"
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi" / "nvidia.yaml").touch()
    assert severity(doctor.check_gpu_runtime(with_gpu)) == "ok"
    registered = replace(with_gpu, facts=replace(FACTS, nvidia=True))
    assert severity(doctor.check_gpu_runtime(registered)) == "ok"


@pytest.mark.parametrize(
    ("free", "expected"), [(10**8, "error"), (10**10, "warning"), (10**12, "ok")]
)
def test_disks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, expected: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(10**12, 0, free))
    assert severity(doctor.check_disk(machine)) == expected
    facts = replace(FACTS, root_dir=str(tmp_path))
    assert severity(doctor.check_engine_disk(replace(machine, facts=facts))) == expected


def test_folders(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.dirs is not None
    machine.dirs.state.mkdir(parents=True)
    machine.dirs.state.chmod(0o755)
    assert severity(doctor.check_folders(machine)) == "warning"
    machine.dirs.state.chmod(0o700)
    assert severity(doctor.check_folders(machine)) == "ok"
    monkeypatch.setattr("os.getuid", lambda: 4242)
    assert "belongs to user" in doctor.check_folders(machine).message
    homeless = replace(machine, dirs=None, dirs_error=StateError("no home", hint="set CVL_HOME"))
    assert doctor.check_folders(homeless) == Finding("folders", "error", "no home", "set CVL_HOME")
