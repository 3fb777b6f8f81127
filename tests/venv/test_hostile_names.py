"""A virtual environment, and what runs in it, in folders of any name."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import data_of
from tests.support.names import hostile_names
from tests.support.venvs import write_example
from tests.support.warm import Warm, warm
from tests.venv.conftest import leftovers

FULL = bool(os.environ.get("CVL_TEST_FULL"))


def test_every_name_works_without_containers(environment: dict[str, str], tmp_path: Path) -> None:
    """As output, working folder, examples folder and CVL_HOME: the step sees these paths itself."""

    def check(one: Warm, item: tuple[int, str]) -> None:
        number, name = item
        root = tmp_path / str(number)
        cwd, home = root / "cwd" / name, root / "at" / name / "home"
        (cwd / name).parent.mkdir(parents=True)
        act = "import sys; text += ctx.scratch + sys.prefix"
        write_example(root / "examples" / name / "acts", act=act)
        result = one.run(
            cwd, {**environment, "CVL_HOME": str(home)},
            "run", "acts", "predict", f"--output={name}", "--json", "--engine=venv", "--seed=7",
            f"--examples={root / 'examples' / name}",
        )  # fmt: skip
        data = data_of(result)
        written = Path(data["outputs"]["result"]).read_bytes()
        work = home / "cache" / "work" / data["run"] / "acts" / "scratch"
        assert written.startswith(b"hi" + os.fsencode(work) + os.fsencode(home))
        assert leftovers(home.parent) == []

    with warm(2) as each:
        each(check, list(enumerate(hostile_names()))[:: 1 if FULL else 9])
