"""`cvl models list` and `status`: what is here, who uses it, without a network and without a
write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.hub.homes import ROOT, TINY, Home
from tests.support.hub import GOOD_TOKEN, Hub


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Hub(tmp_path / "served") as hub:
        hub.push("org/tiny", TINY)
        home = Home(tmp_path, hub)
        home.example("mine")
        yield home


def only(data: dict, **wanted: object) -> dict:  # type: ignore[type-arg]
    """The one row with these values."""
    rows = [row for row in data["weights"] if wanted.items() <= row.items()]
    assert len(rows) == 1, data
    return dict(rows[0])


def test_what_was_never_fetched_is_missing_and_as_large_as_its_manifest_says(home: Home) -> None:
    row = only(home.data("list"))
    assert (row["state"], row["size"], row["needed"], row["known"]) == (
        "missing", 0, 1_000_000, False,
    )  # fmt: skip
    assert "mine     org/tiny  missing  0 B      ~1.0 MB  -" in home.models("list").stdout
    assert home.hub.log() == []
    assert not (home.folder / "home" / "state" / "weights").exists()


def test_states_sizes_and_users(home: Home) -> None:
    home.example("other", '{repo: org/tiny, files: ["*.bin"], format: pickle}')
    home.example("third", "{repo: Org/Tiny2}, {repo: org/tiny, files: ['*.json', '*.safetensors']}")
    home.data("pull", "mine")
    home.hub.forget()
    found = home.data("list")
    mine = only(found, example="mine")
    assert (mine["state"], mine["size"], mine["needed"]) == ("complete", 12002, 12002)
    assert mine["also_used_by"] == ["third"]
    other = only(found, example="other")
    assert (other["state"], other["size"], other["needed"]) == ("missing", 0, 3000)
    home.file("org/tiny", "unet/one.safetensors").unlink()
    mine = only(home.data("list"), example="mine")
    assert (mine["state"], mine["size"]) == ("partial", 7002)
    assert home.hub.log() == []


def test_repos_of_other_programs_and_leftovers(home: Home) -> None:
    home.hub.push("org/strange", {"a.safetensors": b"x" * 2000})
    home.data("pull", "org/strange")
    (home.repo("org/strange") / "blobs" / "abc.12345678.incomplete").write_bytes(b"y" * 500)
    found = home.data("list")
    assert found["others"] == [
        {"repo": "org/strange", "kind": "model", "files": 1, "size": found["others"][0]["size"]}
    ]
    assert 2500 <= found["others"][0]["size"] < 3500
    left = found["leftovers"]
    name = "models--org--strange/blobs/abc.12345678.incomplete"
    assert [(item["name"], item["size"]) for item in left] == [(name, 500)]
    assert "1 unfinished downloads, 500 B" in home.models("list").stderr


def test_a_broken_example_spoils_nothing(home: Home) -> None:
    home.example("worse")
    (home.folder / "examples" / "worse" / "example.yaml").write_text("name: [\n")
    found = home.data("list")
    assert (found["broken"], only(found)["example"]) == (["worse"], "mine")


def test_status_says_everything_of_every_file(home: Home) -> None:
    home.hub.create("org/tiny", gated="auto", granted=[GOOD_TOKEN])
    home.more = {"HF_TOKEN": GOOD_TOKEN}
    home.example("other", "{repo: org/tiny, files: ['*.bin', '*.json'], gated: true}")
    home.data("pull", "--all")
    one = home.file("org/tiny", "unet/one.safetensors")
    one.write_bytes(b"1" * 10)
    home.file("org/tiny", "unet/two.safetensors").unlink()
    home.hub.forget()
    found = home.data("status", "mine")
    row = only(found)
    assert len(row["commit"]) == 40 and row["since"] > 1e9 and row["gated"] is False
    assert {f["path"]: (f["state"], f["verified"]) for f in row["files"]} == {
        "config.json": ("present", True),
        "unet/one.safetensors": ("wrong_size", False),
        "unet/two.safetensors": ("missing", False),
    }
    other = only(home.data("status", "other"))
    assert (other["gated"], other["pickle"]) == (True, True)
    home.file("org/tiny", "extra.bin").write_bytes(b"4" * 3000)
    other = only(home.data("status", "other"))
    states = {f["path"]: (f["state"], f["verified"]) for f in other["files"]}
    assert states["extra.bin"] == ("present", False)
    text = home.models("status", "other").stdout
    assert "gated" in text and "main is " in text and "used by other" in text
    assert home.hub.log() == []


def test_another_programs_files_are_not_verified_until_we_read_them(home: Home) -> None:
    home.data("pull", "mine")
    for path in (home.folder / "home").rglob("*.json"):
        path.unlink()
    row = only(home.data("status", "mine"))
    assert row["state"] == "complete" and not any(file["verified"] for file in row["files"])
    home.data("verify", "mine")
    row = only(home.data("status", "mine"))
    assert all(file["verified"] for file in row["files"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["mine"], {"org/tiny"}),
        (["ORG/Tiny"], {"org/tiny"}),
        (["tiny"], {"org/tiny"}),
        (["bark"], {"suno/bark", "suno/bark-small"}),
        (["text-to-speech"], {"suno/bark", "suno/bark-small"}),
        (["suno/bark"], {"suno/bark"}),
        (["voice", "mine"], {"org/tiny", "suno/bark", "suno/bark-small"}),
        (["GFPGANv1.4.pth"], {"GFPGANv1.4.pth"}),
        ([], {"org/tiny", "suno/bark", "suno/bark-small", "GFPGANv1.4.pth"}),
    ],
    ids=str,
)
def test_selections(home: Home, words: list[str], found: set[str]) -> None:
    home.example("voice", "{repo: suno/bark}, {repo: suno/bark-small}", "text-to-speech")
    home.example("face", f"{{url: 'https://x.org/G.pth', sha256: {'a' * 64}, size: 9, "
                 "to: GFPGANv1.4.pth, format: pickle}")  # fmt: skip
    assert {row["weights"] for row in home.data("status", *words)["weights"]} == found


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("mien", "did you mean mine?"),
        ("org/tniy", "did you mean org/tiny?"),
        ("tniy", "did you mean org/tiny?"),
        ("x", "cvl models list shows what there is"),
    ],
)
def test_unknown_words(home: Home, word: str, hint: str) -> None:
    result = home.models("status", word)
    assert (result.returncode, result.stdout) == (2, "")
    lines = [f"error: nothing here is called {word!r}", f"hint: {hint}"]
    assert result.stderr.splitlines() == lines


def test_a_dry_run_says_what_of_the_weights_is_here_without_asking_the_hub(home: Home) -> None:
    def planned(*words: str) -> tuple[list[Any], str]:
        words = ("run", "mine", "predict", "--dry-run", *words)
        envelope = json.loads(home.cvl(*words, "--json").stdout)
        schema = json.loads((ROOT / "schemas" / "run.json").read_text())
        jsonschema.validate(envelope, schema, cls=jsonschema.Draft202012Validator)
        (step,) = envelope["data"]["steps"]
        return [tuple(row.values()) for row in step["weights"]], home.cvl(*words).stdout

    rows, told = planned()
    assert rows == [("org/tiny", "missing", 0, 1_000_000, False)]
    assert "    weights org/tiny: missing, about 1.0 MB to fetch\n" in told
    assert home.hub.log() == []
    home.data("pull", "mine")
    home.hub.forget()
    rows, told = planned()
    assert rows == [("org/tiny", "complete", 12002, 12002, True)]
    assert "    weights org/tiny: here, 12 kB\n" in told
    home.file("org/tiny", "unet/one.safetensors").unlink()
    assert planned()[0] == [("org/tiny", "partial", 7002, 12002, True)]
    (home.folder / "own").mkdir()
    rows, told = planned("--weights", f"org/tiny={home.folder}/own")
    assert rows[0][:2] == ("org/tiny", "own")
    assert "    weights org/tiny: your own\n" in told
    assert home.hub.log() == []
