"""A stand-in for the hub that the tests of a module share; each uses repositories of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.support.hub import Hub, tiny

WEIGHTS = tiny.weights(100_000)
FILES: tiny.Files = {"config.json": '{"a": 1}\n', "model.safetensors": WEIGHTS}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as started:
        yield started


@pytest.fixture
def repo(hub: Hub, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own, with a text file and an LFS file."""
    name = f"org/{hashlib.sha1(request.node.name.encode()).hexdigest()[:12]}"
    hub.push(name, FILES)
    return name
