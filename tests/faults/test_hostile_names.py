"""More hostile names, and builds from folders that are called so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Cvl, data_of, environment_for
from tests.support.engine import Engine
from tests.support.named import AT_ONCE, Named, check_all
from tests.support.names import drawn, hostile_names
from tests.support.warm import Warm, warm

pytestmark = pytest.mark.docker
FULL = bool(os.environ.get("CVL_TEST_FULL"))


def test_an_image_is_built_from_any_folder(engine: Engine, tmp_path: Path) -> None:
    """BuildKit's client gets the context from below a CVL_HOME that is called so."""
    names = hostile_names()

    def check(one: Warm, item: tuple[int, str]) -> None:
        number, name = item
        named = Named(tmp_path / str(number), name, engine)
        (named.examples / "stub" / "mark.py").write_text(f"# {os.getpid()} {number}\n")
        words = ("run", "stub", "build", "--json", "--examples", str(named.examples))
        built = data_of(one.run(named.cwd, environment_for(engine, named.home), *words))
        (image,) = built["images"]
        assert image["built"]
        engine.docker("rmi", image["tag"])

    with warm(AT_ONCE) as each:
        each(check, list(enumerate(names))[:: 1 if FULL else 8])


def test_names_that_nobody_thought_of_work_too(engine: Engine, cvl: Cvl, tmp_path: Path) -> None:
    assert cvl("run", "stub", "build").returncode == 0
    names = drawn(100 if FULL else 3, seed=1)
    assert not {*names} & {*hostile_names()}
    check_all(engine, tmp_path, names)
