"""Weights that only other options than the defaults ask for: nothing takes them for nobody's, and
nobody misses them before somebody asked for them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminals import on_terminal
from tests.hub.homes import TINY, Home, age
from tests.hub.test_models_mending import flip
from tests.support.hub import Hub

ONE, TWO, SHARP = "unet/one.safetensors", "unet/two.safetensors", b"s" * 4000
SHA = hashlib.sha256(SHARP).hexdigest()
OLD = "1" * 40
OPTIONS = "--face-enhancer gfpgan"
MANIFEST = """\
name: face
summary: An option needs more
license: {{code: MIT, weights: Apache-2.0, commercial: true}}
resources: {{memory_limit_gb: 0.2}}
inputs:
  face_enhancer: {{type: choice, choices: ["no", gfpgan], default: "no"}}
  background: {{type: choice, choices: ["no", sharp], default: sharp}}
outputs: {{result: {{type: file, default: result.txt}}}}
weights:
  - {{repo: org/tiny, files: [config.json, {one}]}}
  - repo: org/tiny
    files: [config.json, {two}]
    when: {{face_enhancer: gfpgan}}
    license: {{weights: S-Lab}}
  - url: {url}
    sha256: {sha}
    size: 4000
    to: sharp.pth
    format: pickle
    when: {{face_enhancer: gfpgan, background: sharp}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Hub(tmp_path / "served") as hub:
        hub.push("org/tiny", TINY)
        place = tmp_path / "examples" / "face" / "example.yaml"
        place.parent.mkdir(parents=True)
        url = hub.publish("v1/sharp.pth", SHARP).url
        place.write_text(MANIFEST.format(one=ONE, two=TWO, url=url, sha=SHA))
        yield Home(tmp_path, hub)


def sharp(home: Home) -> Path:
    """Where the file from a URL belongs."""
    return home.folder / "home" / "cache" / "weights" / "sha256" / SHA[:2] / SHA


def weights(data: dict, *fields: str) -> list[tuple]:  # type: ignore[type-arg]
    return [tuple(row[field] for field in ("weights", *fields)) for row in data["weights"]]


def test_prune_and_df_know_whose_they_are(home: Home) -> None:
    sharp(home).parent.mkdir(parents=True)
    sharp(home).write_bytes(SHARP)
    commit = home.repo("org/old") / "snapshots" / OLD
    commit.mkdir(parents=True)
    (commit / "a.safetensors").write_bytes(b"a" * 500)
    (home.repo("org/old") / "refs").mkdir()
    age(commit)
    with (home.folder / "examples" / "face" / "example.yaml").open("a") as manifest:
        manifest.write(f'  - {{repo: org/old, revision: "{OLD}", when: {{background: "no"}}}}\n')
    assert home.data("prune", "--dry-run")["items"] == []
    found = json.loads(home.cvl("df", "--json").stdout)["data"]["usage"]
    rows = [(row["example"], row["count"]) for row in found if row["kind"] == "weights"]
    assert rows == [("face", 2)]


def test_pull_leaves_them_and_says_so_and_nobody_misses_them(home: Home) -> None:
    result = home.models("pull", "face")
    left = f"left out: org/tiny, sharp.pth (11 kB), needed only with {OPTIONS}"
    assert f"{left}; --optional fetches that too" in result.stderr.splitlines()
    assert home.hub.gets("org/tiny", TWO) == 0 and not sharp(home).exists()
    assert weights(home.data("verify", "face"), "sound") == [("org/tiny", True)]
    assert weights(home.data("status"), "state", "options") == [("org/tiny", "complete", None)]
    bundle = home.data("export", "face", "-o", str(home.folder / "bundle.tar"))
    assert weights(bundle, "files") == [("org/tiny", 2)]


def test_named_themselves_they_are_fetched_and_of_a_repo_what_defaults_need(home: Home) -> None:
    found = home.data("pull", "sharp.pth", "org/tiny")
    assert weights(found, "size", "fetched") == [
        ("sharp.pth", 4000, True),
        ("org/tiny", 5002, True),
    ]
    assert sharp(home).read_bytes() == SHARP


def test_list_shows_them_as_optional_within_80_columns(home: Home) -> None:
    sharp(home).parent.mkdir(parents=True)
    sharp(home).write_bytes(SHARP)
    command = [sys.executable, "-m", "cvl", "models", "list"]
    _, screen = on_terminal(command, home.environment, home.folder)
    lines = [line.split() for line in screen.splitlines()]
    assert [line[2] for line in lines if line[:1] == ["face"]] == [
        "missing",
        "optional",
        "complete",
    ]
    assert f"face, only with {OPTIONS}: org/tiny, sharp.pth" in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_fetched_they_are_verified_repaired_and_removed_with_the_rest(home: Home) -> None:
    found = home.data("pull", "face", "--optional")
    assert weights(found, "size", "options") == [
        ("org/tiny", 5002, None), ("org/tiny", 7002, OPTIONS), ("sharp.pth", 4000, OPTIONS),
    ]  # fmt: skip
    terms = {"example": "face", "code": "MIT", "weights": "Apache-2.0 and S-Lab"}
    assert found["weights"][1]["licenses"] == [{**terms, "commercial": False}]
    flip(sharp(home))
    flip(home.file("org/tiny", TWO))
    found = home.data("verify", "face", status=4)
    assert weights(found, "sound") == [
        ("org/tiny", True), ("org/tiny", False), ("sharp.pth", False),
    ]  # fmt: skip
    assert weights(home.data("list"), "state", "options") == [
        ("org/tiny", "complete", None), ("org/tiny", "partial", OPTIONS),
        ("sharp.pth", "partial", OPTIONS),
    ]  # fmt: skip
    assert weights(home.data("repair", "face"), "fetched", "sound") == [
        ("org/tiny", [], True), ("org/tiny", [TWO], True), ("sharp.pth", ["sharp.pth"], True),
    ]  # fmt: skip
    gone = home.data("rm", "face", "--yes")["items"]
    assert {(item["name"], item["removed"]) for item in gone} == {
        ("org/tiny", True), ("sharp.pth", True),
    }  # fmt: skip
    assert not sharp(home).exists() and not home.repo("org/tiny").exists()
