"""Locks: what is noted of weights without fetching them, and a pin in a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvl.core.manifest_edit import NoPlace, with_revision
from cvl.errors import WeightsError
from cvl.ops.weights.locking import lock
from tests.hub.weights import NEED, REPO, Place, model
from tests.support.hub import Hub

MANIFEST = """\
name: heavy
summary: Has weights   # and comments
license: {code: Apache-2.0}
weights:
  # the pin of this one is written
  - {repo: org/tiny, revision: main, files: ["*.json", "*.safetensors"], size_gb: 0.1}  # kept
  - repo: org/other
    revision: "v1.0"  # not of this one
    size_gb: 0.001
inputs: {text: {type: string, default: "revision: main"}}
outputs: {result: {type: file, default: result.txt}}
"""


def test_a_lock_says_what_every_file_is_and_fetches_none(hub: Hub, bare: Place) -> None:
    found = lock(bare.session(), NEED)
    assert found.new and sorted(found.files) == [
        "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert found.unknown == ("config.json", "tokenizer.json")  # git knows small files by sha1
    assert bare.session().pins.of(REPO).pins["main"].commit == found.commit
    assert [r.file for r in hub.log() if not r.file.startswith("api:")] == []
    assert not bare.cache.exists()


def test_what_was_read_is_known_and_stays_known(here: Place) -> None:
    assert lock(here.session(), NEED).unknown == ()


def test_a_pin_stays_when_the_hub_goes_on(hub: Hub, here: Place) -> None:
    before = lock(here.session(), NEED).commit
    hub.push(REPO, model(1))
    found = lock(here.session(), NEED)
    assert (found.commit, found.new) == (before, False)


def test_offline_it_says_what_is_known(hub: Hub, here: Place, bare: Place) -> None:
    hub.forget()
    with pytest.raises(WeightsError, match="offline"):
        lock(bare.session(offline=True), NEED)
    assert hub.log() == []


def test_the_pin_is_written_into_one_word_of_the_manifest(bare: Place) -> None:
    path = bare.example(MANIFEST)
    path.chmod(0o640)
    commit = lock(bare.session(), NEED).commit
    done = bare.cvl("models", "lock", "org/tiny", "--write", "--json")
    data = json.loads(done.stdout)["data"]
    assert (done.returncode, data["weights"][0]["commit"]) == (0, commit)
    assert data["written"] == [
        {"weights": "org/tiny", "example": "heavy", "commit": commit, "problem": None}
    ]
    expected = MANIFEST.replace("org/tiny, revision: main", f"org/tiny, revision: {commit}")
    assert path.read_text() == expected and path.stat().st_mode & 0o777 == 0o640


def test_a_manifest_without_that_line_is_left_alone(bare: Place) -> None:
    text = MANIFEST.replace(" revision: main,", "")
    path = bare.example(text)
    done = bare.cvl("models", "lock", "org/tiny", "--write")
    assert done.returncode == 0 and path.read_text() == text
    assert "it has no revision: line; write revision: " in done.stderr


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "entry", ["revision: main", "revision: 'main'", 'revision: "a b"', "revision:   main  # x"]
)
def test_only_that_word_changes(entry: str) -> None:
    text = f"# é\nname: x\nweights:\n- repo: a/b\n  {entry}\n  files: [x]\n"
    found = with_revision(text, "a/b", COMMIT)
    assert f"revision: {COMMIT}" in " ".join(found.split())
    rest = [line for line in text.splitlines() if "revision" not in line]
    assert [line for line in found.splitlines() if "revision" not in line] == rest


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "weights: 3", "weights: [{repo: c/d, revision: main}]", "weights: [{repo: a/b}]",
     "weights: [{repo: a/b, revision: [main]}]", "- weights"],
)  # fmt: skip
def test_what_has_no_place_for_it_is_told(text: str) -> None:
    with pytest.raises(NoPlace, match="into its entry of a/b"):
        with_revision(text, "a/b", COMMIT)


def test_examples_that_came_with_cvl_are_not_written(bare: Place, tmp_path: Path) -> None:
    from cvl.ops.examples import Example
    from cvl.ops.weights.locking import write_pin

    path = bare.example(MANIFEST)
    done = write_pin(Example("heavy", path.parent, "cvl"), NEED, COMMIT)
    assert "came with cvl" in done.problem and path.read_text() == MANIFEST
