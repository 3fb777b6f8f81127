"""Runs whose files and folders all have one hostile name, on a real engine, and what the engine
says that it mounted for them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jsonschema

from cvl.core import owner as labels
from cvl.core.output_names import with_seed
from cvl.engine.api import Api
from cvl.engine.endpoint import Endpoint
from cvl.ops.session import inside_folder
from tests.conftest import STUBS, data_of, environment_for
from tests.support.created import home_id
from tests.support.engine import Engine
from tests.support.warm import Warm, warm

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "run.json").read_text())
AT_ONCE = 3


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


def check_all(engine: Engine, folder: Path, names: list[str]) -> None:
    """`check_named` with each, several at a time."""

    def check(one: Warm, item: tuple[int, str]) -> None:
        number, name = item
        check_named(one, Named(folder / str(number), name, engine))

    with warm(AT_ONCE) as each:
        each(check, list(enumerate(names)))
