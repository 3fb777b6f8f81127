"""`image:` in a manifest: pulled once instead of built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import STUBS, Cvl, data_of
from tests.support import registry
from tests.support.engine import Engine

pytestmark = pytest.mark.docker


def _prebuilt(tmp_path: Path, reference: str) -> dict[str, str]:
    folder = tmp_path / "prebuilt" / "stub"
    folder.mkdir(parents=True)
    manifest = (STUBS / "stub" / "example.yaml").read_text()
    (folder / "example.yaml").write_text(f"{manifest}image: {reference}\n")
    return {"CVL_EXAMPLES": str(folder.parent)}


def test_a_prebuilt_image_is_pulled_at_the_first_run_and_not_again(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    tag = data_of(cvl("run", "stub", "build", "--json"))["images"][0]["tag"]
    (tmp_path / "registry").mkdir()
    with registry.serving(engine, tag, tmp_path / "registry") as reference:
        environment = _prebuilt(tmp_path, reference)
        try:
            first = cvl("run", "stub", "predict", "--seed", "4", env=environment)
            assert first.returncode == 0, first.stderr
            assert "stub: pull" in first.stderr
            again = cvl("run", "stub", "predict", "--seed", "5", "-o", "b.txt", env=environment)
            assert again.returncode == 0 and "stub: pull" not in again.stderr
        finally:
            engine.docker("rmi", reference, check=False)
    assert (tmp_path / "result.txt").read_text() == "ok 4\n"


def test_an_image_that_cannot_be_pulled_is_exit_3_with_its_name(cvl: Cvl, tmp_path: Path) -> None:
    reference = "127.0.0.1:1/example:latest"
    result = cvl("run", "stub", "predict", env=_prebuilt(tmp_path, reference))
    assert result.returncode == 3
    assert "127.0.0.1:1" in result.stderr and "hint: " in result.stderr
