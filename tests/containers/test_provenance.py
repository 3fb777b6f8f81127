"""Published files on a real engine: the same for another user in another folder, and made again
from what they say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cvl.core.media import inspect
from tests.conftest import STUBS, Cvl, data_of, environment_for, run_cvl
from tests.support.engine import Engine
from tests.support.people import as_user, elsewhere, needs_root
from tests.support.statements import decoded, media

pytestmark = pytest.mark.docker
OUTPUTS = {"mp4": "--output-video", "wav": "--output-sound", "png": "--output-picture"}


@pytest.mark.parametrize("kind", list(OUTPUTS))
def test_the_same_seed_gives_the_same_file_in_another_home_and_folder(
    kind: str, cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    source = media(tmp_path, f"source.{kind}")
    published = []
    for person in ("ann", "bob"):
        folder = tmp_path / f"canary-{person}"
        folder.mkdir()
        given = folder / f"{person}.{kind}"
        given.write_bytes(source.read_bytes())
        environment = environment_for(engine, tmp_path / "home" / person)
        environment.update(USER=f"canary-{person}", COPIER_SECRET="canary-secret")
        words = ("run", "copier", "predict", "--source", str(given), "--seed", "5")
        data_of(
            run_cvl(environment, folder, *words, OUTPUTS[kind], f"{person}-out.{kind}", "--json")
        )
        published.append(folder / f"{person}-out.{kind}")
    first, second = (path.read_bytes() for path in published)
    assert first == second != source.read_bytes()
    assert b"canary" not in first and os.fsencode(tmp_path) not in first
    assert decoded(published[0]) == decoded(source)
    if kind == "mp4":
        with published[0].open("rb") as stream:
            assert inspect(stream, len(first)).faststart is True


def test_the_same_seed_gives_the_same_file_to_a_second_user_of_the_machine(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    needs_root()
    source = media(tmp_path, "source.mp4")
    words = ("run", "copier", "predict", "--source", "source.mp4", "--seed", "5", "--json")
    mine = data_of(cvl(*words, "-o", "mine.mp4"))
    with elsewhere() as private:
        user = as_user(engine, private)
        (private / "source.mp4").write_bytes(source.read_bytes())
        environment = {**environment_for(engine, private / "home"), **user.environment}
        result = subprocess.run(
            [*user.command, "-m", "cvl", *words, "-o", "theirs.mp4"],
            env={**environment, "CVL_EXAMPLES": str(STUBS)},
            cwd=private,
            capture_output=True,
            text=True,
            check=False,
        )
        theirs = data_of(result)
        assert (private / "theirs.mp4").stat().st_uid == user.uid != os.getuid()
        assert (private / "theirs.mp4").read_bytes() == (tmp_path / "mine.mp4").read_bytes()
    # Neither found the other's result: both made it.
    assert [data["steps"]["copier"]["cached"] for data in (mine, theirs)] == [False, False]


def test_a_file_is_made_again_from_what_it_says(cvl: Cvl, tmp_path: Path) -> None:
    media(tmp_path, "source.mp4")
    words = ("run", "copier", "predict", "--source", "source.mp4", "--words", "Grüße")
    data_of(cvl(*words, "--output", "one.mp4", "--json"))
    told = cvl("inspect", "one.mp4").stdout
    assert "--words Grüße" in told and "copier: the code is what is here" in told
    rerun = ("rerun", "one.mp4", "--source", "source.mp4", "--output")
    again = data_of(cvl(*rerun, "two.mp4", "--no-cache", "--json"))
    assert again["steps"]["copier"]["cached"] is False
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    assert data_of(cvl(*rerun, "one.mp4", "--json"))["unchanged"] == ["video"]
