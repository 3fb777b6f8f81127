"""cvl doctor as a command; what it finds on other machines is in tests/core/test_findings.py."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, Start, envelope_of
from tests.cli.terminals import on_terminal
from tests.conftest import data_of, environment_for, run_cvl
from tests.support.certificates import AUTHORITY
from tests.support.engine import Engine

Cvl = Callable[..., "subprocess.CompletedProcess[str]"]


def findings(envelope: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["code"]: finding for finding in envelope["data"]["findings"]}


WANTED = {"CVL_ENGINE": "docker"}
"""Then no virtual environments take the place of an engine that does not answer."""


def doctor(run: Run, status: int = 3, **env: str) -> dict[str, dict[str, Any]]:
    told = run("doctor", "--json", env={**WANTED, **env})
    return findings(envelope_of(told, "doctor", status))


def test_without_an_engine_virtual_environments_are_left(bare: Run, tmp_path: Path) -> None:
    result = bare("doctor")
    assert result.returncode == 0
    assert " no Docker engine answers at unix:///" in " ".join(result.stdout.split())
    found = findings(envelope_of(bare("doctor", "--json"), "doctor"))
    assert not [finding for finding in found.values() if finding["severity"] == "error"]
    assert "venv_engine" in found
    assert not (tmp_path / "home").exists()


def test_without_the_engine_that_is_wanted(bare: Run, tmp_path: Path) -> None:
    result = bare("doctor", env=WANTED)
    assert result.returncode == 3
    assert "ERROR no Docker engine answers at unix:///" in " ".join(result.stdout.split())
    assert "error: this machine is not ready: " in result.stderr
    assert max(len(line) for line in result.stdout.splitlines() if str(tmp_path) not in line) <= 80
    found = doctor(bare)
    assert {code for code, f in found.items() if f["severity"] == "error"} <= {
        "engine_unreachable", "engine_elsewhere", "docker_missing",
    }  # fmt: skip
    assert not (tmp_path / "home").exists()


def test_an_engine_on_another_machine(bare: Run) -> None:
    found = doctor(bare, DOCKER_HOST="tcp://192.0.2.1:2375")
    assert found["engine_remote"]["severity"] == "error"


def test_no_client_that_builds(bare: Run, tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho Docker version 28.1.1, build abc\n[ $1 = --version ]\n")
    client.chmod(0o755)
    found = doctor(bare, CVL_DOCKER_CLIENT=str(client))
    assert "buildx" in found["no_build_client"]["commands"][0]


def test_settings_that_cannot_be_read(bare: Run, tmp_path: Path) -> None:
    (tmp_path / "cvl.toml").write_text("gpu = 1\n")
    settings = doctor(bare)["settings"]
    assert (settings["severity"], settings["remedy"]) == ("error", "did you mean gpus?")


def test_a_home_that_cannot_be_written(bare: Run) -> None:
    assert "CVL_HOME" in doctor(bare, CVL_HOME="/dev/null/x")["folder_not_writable"]["remedy"]


def test_passwords_and_tokens_are_not_told(bare: Run) -> None:
    env = {"HTTPS_PROXY": "http://ada:secret@proxy.example.com:3128", "HF_TOKEN": "hf_secret"}
    for words in (["doctor"], ["doctor", "--json"]):
        result = bare(*words, env=env)
        assert "proxy.example.com:3128" in result.stdout and "HF_TOKEN" in result.stdout
        assert "secret" not in result.stdout + result.stderr


def test_a_bundle_that_is_none(bare: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "company.pem"
    bundle.write_text(AUTHORITY)
    good = bare("doctor", "--json", env={**WANTED, "CVL_CA_BUNDLE": str(bundle)})
    told = [f["what"] for f in envelope_of(good, "doctor", 3)["data"]["findings"]]
    name = f"ca_bundle ({bundle}) has 1 certificate authority"
    assert f"{name}; builds and runs with a network get it" in told
    bundle.write_text("<html>")
    assert doctor(bare, CVL_CA_BUNDLE=str(bundle))["ca_bundle_bad"]["severity"] == "error"


def test_dead_runs_are_told_and_left(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "dead")
    for _ in range(2):
        found = doctor(bare)["dead_runs"]
        assert (found["what"], found["fix"]) == ("1 run died and left something", "reap")


def test_fix_makes_folders_and_makes_them_private(bare: Run, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "state"
    result = bare("doctor", "--fix", "--yes", "--json", env=WANTED)
    data = envelope_of(result, "doctor", 3)["data"]
    assert [(r["fix"], r["done"]) for r in data["repairs"]] == [("create_folders", True)]
    assert "folder_missing" not in {f["code"] for f in data["findings"]}
    assert f"fix: create {folder}" in result.stderr
    folder.chmod(0o755)
    assert doctor(bare)["folder_open"]["fix"] == "make_private"
    bare("doctor", "--fix", "--yes")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "nothing that can be mended" in bare("doctor", "--fix", "--yes").stderr


def test_fix_asks_first(bare: Run, bare_env: dict[str, str], tmp_path: Path) -> None:
    result = bare("doctor", "--fix")
    assert result.returncode == 2 and "there is nobody to ask" in result.stderr
    home = tmp_path / "home"
    command = [sys.executable, "-m", "cvl", "doctor", "--fix"]
    asked = {"answer": "n\n", "wait_for": "[y/N]"}
    _, screen = on_terminal(command, bare_env, tmp_path, **asked)
    assert "for you alone? [y/N]" in " ".join(screen.split()) and not home.exists()
    on_terminal(command, bare_env, tmp_path, **{**asked, "answer": "y\n"})
    assert (home / "state").is_dir() and (home / "cache").is_dir()


@pytest.mark.docker
def test_with_an_engine(cvl: Cvl) -> None:
    assert cvl("run", "stub", "build").returncode == 0
    found = findings(envelope_of(cvl("doctor", "--json"), "doctor"))
    for code in ("cvl", "settings", "engine", "memory_limit", "build_client", "proof", "disk"):
        assert found[code]["severity"] == "ok", found[code]
    text = " ".join(cvl("doctor").stdout.split())
    assert " ok Docker " in text and "ran, hardened, and wrote a" in text
    assert "no container was tried" in cvl("doctor", "--no-container").stdout


@pytest.mark.docker
def test_a_gpu_that_the_container_cannot_use(private_engine: Engine, tmp_path: Path) -> None:
    """The stand-in for NVIDIA's hook is there, a driver is not."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho '0, GPU-1, Stand-in, 24000, 23000, 570.26, 8.9'\n")
    tool.chmod(0o755)
    environment = environment_for(private_engine, tmp_path / "home")
    built = data_of(run_cvl(environment, tmp_path, "run", "stub", "build", "--json"))
    hooks = f"{private_engine.folder}/hooks"
    with_gpu = {"PATH": f"{tool.parent}:{hooks}:{environment['PATH']}"}
    found = findings(
        envelope_of(run_cvl(environment, tmp_path, "doctor", "--json", env=with_gpu), "doctor", 3)
    )
    assert found["driver"]["what"].startswith("NVIDIA driver 570.26 (CUDA 12.8): Stand-in")
    assert (found["toolkit"]["severity"], found["proof"]["severity"]) == ("ok", "ok")
    assert "libcuda.so.1" in found["proof_gpu_failed"]["what"]
    private_engine.docker("rmi", built["images"][0]["tag"])


@pytest.mark.docker
def test_a_frozen_engine(private_engine: Engine, tmp_path: Path) -> None:
    environment = environment_for(private_engine, tmp_path / "home")
    assert private_engine.process is not None
    os.kill(private_engine.process.pid, signal.SIGSTOP)
    try:
        result = run_cvl(environment, tmp_path, "doctor", "--json", env=WANTED)
    finally:
        os.kill(private_engine.process.pid, signal.SIGCONT)
    found = findings(envelope_of(result, "doctor", 3))
    assert found["engine_timeout"]["commands"] == ["sudo systemctl restart docker"]
