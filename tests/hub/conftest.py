"""A stand-in for the hub that the tests of a module share; each uses repositories of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.pulling import pull_url
from tests.hub.weights import NEED, REPO, Place, exported, model
from tests.support.hub import Hub, tiny

WEIGHTS = tiny.weights(100_000)
FILES: tiny.Files = {"config.json": '{"a": 1}\n', "model.safetensors": WEIGHTS}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as started:
        yield started


@pytest.fixture
def own_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """One that no other test uses, with an environment for this process and its children."""
    with Hub(tmp_path / "hub") as started:
        for name, value in started.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CVL_HOME", str(tmp_path / "cvl"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield started


@pytest.fixture
def repo(hub: Hub, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own, with a text file and an LFS file."""
    name = f"org/{hashlib.sha1(request.node.name.encode()).hexdigest()[:12]}"
    hub.push(name, FILES)
    return name


@pytest.fixture(scope="module")
def pulled(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A machine that has org/tiny, for others to be copies of."""
    anew(hub)
    place = Place(tmp_path_factory.mktemp("pulled") / "here", hub)
    with pytest.MonkeyPatch.context() as monkeypatch:
        place.enter(monkeypatch).pull()
    return place


@pytest.fixture
def here(pulled: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The machine that the test is on: it has what the hub has."""
    anew(pulled.hub)
    shutil.copytree(pulled.folder, tmp_path / "here", symlinks=True)
    return Place(tmp_path / "here", pulled.hub).enter(monkeypatch)


@pytest.fixture
def bare(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The machine that the test is on: it has nothing."""
    anew(hub)
    return Place(tmp_path / "bare", hub).enter(monkeypatch)


def anew(hub: Hub) -> None:
    """org/tiny at its first commit, and no faults."""
    hub.clear()
    hub.create(REPO)
    hub.delete(REPO)
    hub.push(REPO, model())
    hub.forget()


@pytest.fixture(scope="module")
def url(hub: Hub) -> UrlNeed:
    release = hub.publish("v1/gfpgan.onnx", b"\x08\x07" + bytes(5000))
    return UrlNeed("gfpgan.onnx", release.url, release.sha256, release.size, "onnx")


@pytest.fixture(scope="module")
def good(pulled: Place, url: UrlNeed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a repo and a file from a URL."""
    place = Place(tmp_path_factory.mktemp("good") / "here", pulled.hub)
    shutil.copytree(pulled.folder, place.folder, symlinks=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        place.enter(monkeypatch)
        pull_url(place.session(), url)
        return exported(place, NEED, url)
