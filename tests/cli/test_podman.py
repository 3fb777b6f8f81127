"""Podman answers like Docker at its socket: it is named, and nothing is asked of it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, envelope_of
from tests.support.hostile_engine import podman
from tests.support.venvs import write_example


def test_podman_is_refused_by_name_before_anything_is_asked_of_it(
    bare: Run, tmp_path: Path
) -> None:
    with podman(tmp_path) as (url, asked):
        here = {"DOCKER_HOST": url}
        result = bare("run", "stub", "predict", env=here)
        assert result.returncode == 3
        assert result.stderr == (
            f"error: what answers at {url} (DOCKER_HOST) is Podman, which is not supported\n"
            "hint: point DOCKER_HOST to a Docker engine, or unset it\n"
        )
        told = bare("doctor", "--json", env={**here, "CVL_ENGINE": "docker"})
        (finding,) = [
            f
            for f in envelope_of(told, "doctor", 3)["data"]["findings"]
            if f["code"] == "engine_podman"
        ]
        assert finding["severity"] == "error" and "Podman" in finding["what"]
        assert set(asked) <= {"/version", "/_ping"}


def test_with_podman_an_example_that_can_runs_in_a_virtual_environment(
    bare: Run, tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts")
    with podman(tmp_path) as (url, asked):
        here = {"DOCKER_HOST": url, "CVL_EXAMPLES": str(tmp_path / "mine"), "UV_OFFLINE": "1"}
        result = bare("run", "acts", "predict", env=here)
        assert result.returncode == 0
        assert "engine: venv, because what answers" in result.stderr and "Podman" in result.stderr
        assert set(asked) <= {"/version", "/_ping"}
