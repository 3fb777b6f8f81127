"""Two users of one machine and one engine: images are shared, and nothing else is."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import STUBS, data_of, environment_for
from tests.support.engine import Engine
from tests.support.people import Person, as_user, elsewhere, needs_root
from tests.support.sleeping import SLEEP, until_it_works

pytestmark = pytest.mark.docker
LOOK = """
import json, os, sys
reached = []
for top in sys.argv[1:]:
    for root, folders, files in os.walk(top):
        for name in files:
            try:
                with open(os.path.join(root, name), "rb") as stream:
                    reached.append(os.path.join(root, name))
            except OSError:
                continue
print(json.dumps(reached))
"""


@dataclass(frozen=True)
class User:
    """A person with a home that others may enter, and cvl in it."""

    person: Person
    home: Path
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.home / "cvl"

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.person.command, "-m", "cvl", *words], env={**self.environment, **more},
            cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, umask=0o002,
        )  # fmt: skip

    def cvl(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        with self.start(*words, **more) as process:
            said = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, *said)

    def looks_into(self, *folders: Path) -> list[str]:
        """The files below that this user can read."""
        told = subprocess.run(
            [*self.person.command, "-c", LOOK, *map(str, folders)], env=self.environment,
            capture_output=True, text=True, check=True, cwd="/",
        )  # fmt: skip
        reached: list[str] = json.loads(told.stdout)
        return reached

    @contextmanager
    def sleeping_run(self, **more: str) -> Iterator[subprocess.Popen[str]]:
        """A run in the middle of its work."""
        process = self.start(*SLEEP, **more)
        try:
            until_it_works(process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@contextmanager
def _users(engine: Engine) -> Iterator[tuple[User, User]]:
    """Ann and Bob. Their homes are open, as on many machines; what cvl makes in them is not."""
    needs_root()
    with ExitStack() as homes:
        yield tuple(_user(engine, homes.enter_context(elsewhere()), uid) for uid in (1234, 4321))  # type: ignore[misc]


def _user(engine: Engine, home: Path, uid: int) -> User:
    person = as_user(engine, home, uid)
    home.chmod(0o755)
    values = {**environment_for(engine, home / "cvl"), **person.environment}
    return User(person, home, {**values, "CVL_EXAMPLES": str(STUBS)})


def _containers(engine: Engine, user: User) -> list[str]:
    mine = f"label=org.cvl.owner.uid={user.person.uid}"
    return engine.docker("ps", "--all", "--quiet", "--filter", mine).split()


def test_two_users_share_images_and_nothing_else(engine: Engine) -> None:
    run = ("run", "twostep", "predict", "--seed", "7", "-o", "out.txt", "--json")
    with _users(engine) as (ann, bob):
        made = data_of(ann.cvl(*run))
        again = ann.cvl("run", "stub", "build", "--json")
        found = data_of(bob.cvl("run", "stub", "build", "--json"))["images"]
        assert found == data_of(again)["images"] and found[0]["built"] is False
        theirs = data_of(bob.cvl(*run))
        cached = [step["cached"] for data in (made, theirs) for step in data["steps"].values()]
        assert cached == [False] * 4, "one took the other's result"
        _nothing_can_be_read(ann, bob)
        with ann.sleeping_run() as process:
            _is_left_alone(engine, ann, bob)
            _nothing_can_be_read(ann, bob)
            process.kill()
            process.wait()
            (ghost,) = _containers(engine, ann)
            assert bob.cvl(*run, "--no-cache", "--overwrite").returncode == 0
            assert bob.cvl("gc", "--yes").returncode == 0
            assert _containers(engine, ann) == [ghost], "a stranger's gc took a dead user's things"
            assert ann.cvl("gc", "--yes").returncode == 0
            assert _containers(engine, ann) == []
        used = bob.cvl("ps", CVL_HOME=str(ann.folder))
        assert used.returncode == 3 and "another user's (uid 1234)" in used.stderr
        assert {p.lstat().st_uid for p in ann.folder.rglob("*")} == {ann.person.uid}


def _nothing_can_be_read(ann: User, bob: User) -> None:
    for mine, other in ((ann, bob), (bob, ann)):
        assert list(other.folder.rglob("*.step.json"))
        assert mine.looks_into(other.folder, Path("/tmp") / other.folder.parent.parent.name) == []
        assert other.folder.stat().st_mode & 0o777 == 0o700


def _is_left_alone(engine: Engine, ann: User, bob: User) -> None:
    """Bob sees no run of Ann's and stops none, whatever he asks for."""
    (container,) = _containers(engine, ann)
    run = data_of(ann.cvl("ps", "--json"))["runs"][0]["id"]
    assert data_of(bob.cvl("ps", "--json"))["runs"] == []
    assert bob.cvl("stop", run).returncode == 2
    assert bob.cvl("logs", run).returncode == 2
    assert bob.cvl("gc", "--yes").returncode == 0
    assert _containers(engine, ann) == [container]
    state = engine.inspect(container)["State"]
    assert isinstance(state, dict) and state["Running"]
