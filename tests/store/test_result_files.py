"""Whose the files of the result store are: each counted once, and all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cvl.store.disk import tree_size
from cvl.store.result_files import Share, shares, unfinished
from cvl.store.results import Results
from tests.support.files import produced


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def keep(results: Results, key: str, data: bytes, example: str) -> None:
    output = produced(results.root.parent / "made", data)
    results.commit(key * 64, {"text": output}, "", example=example)


def total(results: Results) -> int:
    return sum(share.size for share in shares(results.root).values())


def test_an_empty_store_has_no_shares(results: Results) -> None:
    assert shares(results.root) == {}


def test_each_example_has_its_blobs_entries_and_key_documents(results: Results) -> None:
    keep(results, "a", b"a" * 1000, "tts")
    keep(results, "b", b"b" * 2000, "tts")
    keep(results, "c", b"c" * 4000, "portrait")
    results.remember("tts.voice", {"any": "thing"})
    found = shares(results.root)
    assert found.keys() == {"tts", "portrait"}
    assert (found["tts"].blobs, found["portrait"].blobs) == (2, 1)
    assert 3000 < found["tts"].size < 4000 < found["portrait"].size < 5000
    assert total(results) == tree_size(results.root)


def test_bytes_that_several_made_are_counted_once(results: Results) -> None:
    for key, example in (("a", "tts"), ("b", "portrait"), ("c", "portrait")):
        keep(results, key, b"x" * 1000, example)
    found = shares(results.root)
    assert found["portrait, tts"] == Share(1, 1000)
    assert found["tts"].blobs == found["portrait"].blobs == 0
    assert total(results) == tree_size(results.root)


def test_entries_of_an_older_cvl_and_blobs_without_one_are_of_nobody_known(
    results: Results,
) -> None:
    keep(results, "a", b"a" * 1000, "tts")
    keep(results, "b", b"a" * 1000, "other")
    keep(results, "c", b"c" * 500, "tts")
    for key in "bc":
        entry = results.root / "keys" / (key * 2) / f"{key * 64}.json"
        document = json.loads(entry.read_bytes())
        entry.write_text(json.dumps({k: v for k, v in document.items() if k != "example"}))
    (results.root / "keys" / "dd").mkdir()
    (results.root / "keys" / "dd" / f"{'d' * 64}.json").write_text("{")
    found = shares(results.root)
    assert found[""].blobs == 2 and found[""].size > 1500
    assert (found.keys(), found["tts"].blobs) == ({"", "tts"}, 0)
    assert total(results) == tree_size(results.root)


def test_temporary_files_are_unfinished_once_nobody_writes_to_them(results: Results) -> None:
    keep(results, "a", b"a", "tts")
    results.remember("tts.voice", {})
    folders = [*results.root.glob("keys/*"), *results.root.glob("sha256/*"), results.root / "last"]
    parts = [folder / ".part" for folder in folders]
    for part in parts:
        part.write_bytes(b"half")
        os.utime(part, (100, 100))
    assert unfinished(results.root, 100) == []
    assert sorted(unfinished(results.root, 101)) == sorted(parts)
    assert unfinished(results.root / "nowhere", 101) == []
