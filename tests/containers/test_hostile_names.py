"""Whatever a file or a folder is called, it is what is meant and nothing else: on a real engine,
held against the mounts that the engine reports."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.conftest import Cvl, data_of
from tests.support.engine import Engine
from tests.support.named import check_all
from tests.support.names import hostile_names

pytestmark = pytest.mark.docker
FULL = bool(os.environ.get("CVL_TEST_FULL"))


def test_every_name_works_as_input_output_working_folder_examples_folder_and_home(
    engine: Engine, cvl: Cvl, tmp_path: Path
) -> None:
    """And the mounts that the engine reports are those that were meant."""
    assert cvl("run", "stub", "build").returncode == 0
    names = hostile_names()
    assert len(names) >= 200
    check_all(engine, tmp_path, names if FULL else names[::2])


@pytest.mark.parametrize("name", ["é" * 127 + "a", "a" * 251 + ".txt", "b" * 247 + "{seed}.x"])
def test_a_name_of_255_bytes_has_room_for_variations_and_their_sidecars(
    name: str, cvl: Cvl, tmp_path: Path
) -> None:
    words = ("run", "stub", "predict", "--count", "2", "--seed", "2147483640", "--sidecar")
    data = data_of(cvl(*words, "--json", "-o", name))
    made = [Path(path) for run in data["runs"] for path in run["outputs"].values()]
    beside = [Path(path) for run in data["runs"] for path in run["sidecars"].values()]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        path.name for path in (*made, *beside)
    }  # fmt: skip
    assert len({*made, *beside}) == 4
    assert [path.read_text() for path in made] == ["ok 2147483640\n", "ok 2147483641\n"]
    for path in made:
        assert data_of(cvl("inspect", "--json", path.name))["provenance"]["seed"] in (
            2147483640, 2147483641,
        )  # fmt: skip


def test_two_ways_to_write_an_accent_are_two_files(cvl: Cvl, tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é\uac00.txt") for form in ("NFC", "NFD")]
    for name in names:
        (tmp_path / name).write_text(f"{len(name)}")
        copy = ("run", "stub", "predict", "--act", "copy", "--file", name)
        assert cvl(*copy, "--output", f"of-{name}").returncode == 0
    assert [(tmp_path / f"of-{name}").read_text() for name in names] == ["6", "8"]
