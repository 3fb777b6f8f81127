"""Whatever a file or a folder is called, it is what is meant and nothing else: on a real engine,
held against the mounts that the engine reports."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jsonschema
import pytest

from cvl.core import owner as labels
from cvl.core.output_names import with_seed
from cvl.engine.api import Api
from cvl.engine.endpoint import Endpoint
from cvl.ops.session import inside_folder
from tests.conftest import STUBS, Cvl, data_of, environment_for
from tests.support.created import home_id
from tests.support.engine import Engine
from tests.support.names import hostile_names
from tests.support.warm import Warm, warm

pytestmark = pytest.mark.docker
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "run.json").read_text())
AT_ONCE = 3
FULL = bool(os.environ.get("CVL_TEST_FULL"))


@dataclass(frozen=True)
class Named:
    """A run whose files and folders are all called `name`, apart from each other below `root`."""

    root: Path
    name: str
    engine: Engine

    @property
    def content(self) -> bytes:
        return f"of {self.name}".encode()

    @cached_property
    def cwd(self) -> Path:
        folder = self.root / "cwd" / self.name
        (folder / self.name).parent.mkdir(parents=True)
        (folder / self.name).write_bytes(self.content)
        return folder

    @cached_property
    def bare(self) -> Path:
        """Where the output is named without any folder before it."""
        folder = self.root / "bare"
        (folder / self.name).parent.mkdir(parents=True)
        return folder

    @cached_property
    def home(self) -> Path:
        folder = self.root / "home" / self.name
        folder.mkdir(parents=True)
        return folder

    @cached_property
    def examples(self) -> Path:
        folder = self.root / "examples" / self.name
        shutil.copytree(STUBS / "stub", folder / "stub")
        return folder

    @cached_property
    def output(self) -> Path:
        path = self.cwd / with_seed(self.written, 7, several=False)
        path.parent.mkdir(parents=True)
        return path

    @property
    def written(self) -> str:
        return f"out/{self.name}"

    def run(self, one: Warm, stopped: Callable[[], None]) -> CompletedProcess[str]:
        """Copy the file, with every folder called so."""
        fault = {"CVL_FAULT": "created:SIGSTOP"}
        assert not self.output.exists()
        return one.run(
            self.cwd, {**environment_for(self.engine, self.home), **fault},
            "run", "stub", "predict", "--act=copy", f"--file={self.name}", "--seed=7", "--json",
            f"--output={self.written}", "--sidecar",
            f"--examples={os.path.relpath(self.examples, self.cwd)}", stopped=stopped,
        )  # fmt: skip

    def again(self, one: Warm, output: str) -> CompletedProcess[str]:
        """The same result, from elsewhere, with an output that is a bare name."""
        return one.run(
            self.bare, environment_for(self.engine, self.home),
            "run", "stub", "predict", "--act=copy", f"--file={self.cwd / self.name}", "--seed=7",
            "--json", output, "--examples", str(self.examples),
        )  # fmt: skip


def container_of(engine: Engine, home: Path) -> dict[str, Any]:
    """What the engine reports of the one container of a CVL_HOME."""
    api = Api(Endpoint(engine.host, "test"), 10)
    mine = {"label": [f"{labels.PREFIX}owner.home={home_id(home)}"]}
    found = api.call("GET", "/containers/json", {"all": True, "filters": mine})
    assert len(found) == 1
    reported: dict[str, Any] = api.call("GET", f"/containers/{found[0]['Id']}/json")
    return reported


def mounts_meant(home: Path, run: str) -> dict[str, tuple[str, bool]]:
    """Where in the container -> (where on the host, may it be written to)."""
    work = Path(os.path.realpath(home)) / "cache" / "work" / run / "stub"
    (jit,) = (Path(os.path.realpath(home)) / "cache" / "jit").iterdir()
    return {
        "/cvl/inputs": (f"{work}/inputs", False),
        "/cvl/out": (f"{work}/out", True),
        "/cvl/control": (f"{work}/control", True),
        "/cvl/scratch": (f"{work}/scratch", True),
        "/etc/passwd": (f"{work}/passwd", False),
        "/etc/group": (f"{work}/group", False),
        "/cvl/jit": (str(jit), True),
        "/app/cvl_inside": (str(inside_folder()), False),
    }


def check_mounts(engine: Engine, home: Path) -> None:
    """The engine mounts what is meant, from where it really is, and nothing else."""
    reported = container_of(engine, home)
    mounts = {m["Destination"]: (m["Source"], m["RW"]) for m in reported["Mounts"]}
    assert mounts == mounts_meant(home, reported["Config"]["Labels"][labels.RUN])
    for source, _ in mounts.values():
        assert os.path.realpath(source) == source and os.path.exists(source)


def check_named(one: Warm, named: Named) -> None:
    """A real run and a look at its mounts, then its result once more under a bare name."""
    seen: list[Path] = []

    def look() -> None:
        check_mounts(named.engine, named.home)
        seen.append(named.home)

    result = named.run(one, look)
    data = data_of(result)
    jsonschema.validate(json.loads(result.stdout), SCHEMA)
    assert seen == [named.home]
    assert data["outputs"] == {"result": str(named.output)}
    assert named.output.read_bytes() == named.content
    sidecar = Path(data["sidecars"]["result"])
    assert {path.name for path in named.output.parent.iterdir()} == {
        named.output.name, sidecar.name,
    }  # fmt: skip
    told = one.run(named.cwd, environment_for(named.engine, named.home),
                   "inspect", "--json", str(named.output))  # fmt: skip
    assert data_of(told)["place"] == "sidecar"
    option = "-o" if named.name.startswith(("-", "=")) else "--output"
    again = data_of(named.again(one, f"{option}={named.name}"))
    assert again["steps"]["stub"]["cached"]
    bare = named.bare / with_seed(named.name, 7, several=False)
    assert again["outputs"] == {"result": str(bare)} and bare.read_bytes() == named.content


def test_every_name_works_as_input_output_working_folder_examples_folder_and_home(
    engine: Engine, cvl: Cvl, tmp_path: Path
) -> None:
    """And the mounts that the engine reports are those that were meant."""
    assert cvl("run", "stub", "build").returncode == 0
    items = list(enumerate(hostile_names()))
    assert len(items) >= 200

    def check(one: Warm, item: tuple[int, str]) -> None:
        number, name = item
        check_named(one, Named(tmp_path / str(number), name, engine))

    with warm(AT_ONCE) as each:
        each(check, items)


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
