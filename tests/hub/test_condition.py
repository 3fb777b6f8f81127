"""What the doctor reads of the model cache, and what it asks the hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cvl.core.doctor.facts import HubFacts, LibraryFact
from cvl.core.plain import to_plain
from cvl.machine.surroundings import read_model_cache
from cvl.ops.weights.condition import ask_hub, read_cache
from tests.hub.weights import Place
from tests.support.hub import BAD_TOKEN, GOOD_TOKEN, Hub


def asked(*, offline: bool = False) -> HubFacts:
    return ask_hub(os.environ, read_model_cache(os.environ), offline)


def test_a_token_that_the_hub_knows(hub: Hub, bare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    found = asked()
    assert found == HubFacts(hub.url, known=True)
    assert GOOD_TOKEN not in json.dumps(to_plain(found))


def test_a_token_that_it_does_not_know(
    hub: Hub, bare: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(os.environ["HF_HOME"]) / "token"
    place.parent.mkdir(parents=True)
    place.write_text(BAD_TOKEN)
    found = asked()
    assert found.problem is not None and found.problem.code == "bad_token"
    assert str(place) in found.problem.message
    assert BAD_TOKEN not in json.dumps(to_plain(found))


def test_without_a_token_it_is_enough_that_it_answers(hub: Hub, bare: Place) -> None:
    assert asked() == HubFacts(hub.url)
    assert [record.token for record in hub.log()] == ["none"]


def test_one_that_cannot_be_reached(bare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = asked()
    assert found.problem is not None and found.problem.code == "unreachable"


def test_offline_nothing_is_asked(hub: Hub, bare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(offline=True) == HubFacts()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert asked() == HubFacts()
    assert hub.log() == []


def test_what_lies_in_the_cache(here: Place) -> None:
    dirs = here.session().dirs
    found = read_cache(here.cache, dirs)
    assert (found.listed, found.unlisted, found.leftovers, found.shared) == (1, 0, 0, False)
    assert (found.folder.owner, found.folder.writable) == (os.getuid(), True)
    assert found.file_system and [library.place for library in found.libraries] == ["cvl"]

    (next(here.cache.glob("models--*/trees/*.json"))).unlink()
    blob = here.cache / "models--org--tiny" / "blobs" / f"{'a' * 64}.1234abcd.incomplete"
    blob.write_bytes(bytes(700))
    (here.cache / "blobs").mkdir()
    (here.cache / "blobs" / ".huggingface-shared-blobs").write_text("1")
    packages = dirs.envs / "tts-0123abcd" / "lib" / "python3.11" / "site-packages"
    (packages / "huggingface_hub-0.36.2.dist-info").mkdir(parents=True)
    found = read_cache(here.cache, dirs)
    assert (found.listed, found.unlisted, found.shared) == (0, 1, True)
    assert (found.leftovers, found.leftover_bytes) == (1, 700)
    assert found.libraries[1:] == (LibraryFact("tts", "0.36.2"),)


def test_a_cache_that_is_not_there_yet(bare: Place) -> None:
    found = read_cache(bare.cache, None)
    assert (found.leftovers, found.folder.path != found.folder.existing) == (0, True)
