"""cvl inspect and cvl rerun, without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cvl.core.licensing import Terms
from cvl.core.provenance import FileRef, Origin, encode
from cvl.store.patching import copy_patched, patch_of
from tests.cli.conftest import Run, envelope_of
from tests.support.files import wav
from tests.support.statements import statement

TERMS = Terms("MIT", "CC-BY-NC-4.0", commercial=False)
ORIGIN = Origin("stub", "aa" * 32, "sha256:" + "bb" * 32, (), 5, "cpu", "", TERMS)


def mark(folder: Path, **changes: Any) -> Path:
    """A WAV that says that `stub` made it from a file."""
    fields = {
        "example": "stub",
        "output": "result",
        "arguments": {"act": "ok"},
        "files": {"file": (FileRef("cc" * 32, 3, "txt"),)},
        "steps": {"stub": ORIGIN},
    }
    plain = wav(folder / "plain.wav")
    patch = patch_of(plain, encode(statement(**{**fields, **changes})))
    assert patch is not None
    copy_patched(plain, folder / "made.wav", 0o644, patch)
    return folder / "made.wav"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return mark(tmp_path)


def test_shows_what_a_file_says(bare: Run, made: Path) -> None:
    text = bare("inspect", "made.wav").stdout
    for wanted in (
        "made.wav: wav audio, 0.10 s", "result of stub, seed 5, cvl 1.0", "--act ok",
        "--file (sha256 cccccccc", "stub: the code here is another by now", "cvl rerun made.wav",
        "  licence: code MIT, weights CC-BY-NC-4.0, no commercial use",
    ):  # fmt: skip
        assert wanted in text, text
    data = envelope_of(bare("inspect", "made.wav", "--json"), "inspect")["data"]
    assert (data["place"], data["provenance"]["seed"]) == ("file", 5)
    assert data["code"] == [{"step": "stub", "example": "stub", "state": "changed"}]


@pytest.mark.parametrize("content", [b"plain text\n", b"RIFF", b"", b"\x89PNG\r\n\x1a\n"])
def test_a_foreign_file_is_told_kindly(bare: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.dat").write_bytes(content)
    result = bare("inspect", "foreign.dat")
    assert result.returncode == 0, result.stderr
    assert "It does not say how it was made" in result.stdout
    data = envelope_of(bare("inspect", "foreign.dat", "--json"), "inspect")["data"]
    assert (data["place"], data["provenance"]) == ("none", None)
    refused = envelope_of(bare("rerun", "foreign.dat", "--json"), "rerun", 2)
    assert refused["error"]["code"] == "no_provenance"


def test_what_is_not_a_file_is_bad_input(bare: Run) -> None:
    for path in ("nothing.mp4", "/dev/zero"):
        for command in ("inspect", "rerun"):
            assert envelope_of(bare(command, path, "--json"), command, 2)["error"]["message"]


def test_a_file_that_is_needed_is_asked_for_by_its_option(bare: Run, made: Path) -> None:
    result = bare("rerun", "made.wav", "--output", "again.txt")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "error: a file is needed that cvl does not keep:",
        f"  --file: sha256 {'cc' * 32}, 3 bytes",
        "hint: give --file PATH",
    ]
    (made.parent / "other").write_text("abc")
    refused = bare("rerun", "made.wav", "--file", "other", "--json")
    assert envelope_of(refused, "rerun", 2)["error"]["code"] == "other_file"
    dry = bare("rerun", "made.wav", "--file", "other", "--changed", "--dry-run", "--json")
    planned = envelope_of(dry, "rerun")["data"]
    assert planned["steps"][0]["inputs"]["act"] == "ok"
    assert planned["outputs"] == {"result": str(made.parent / "result.txt")}
    assert "has changed since" in dry.stderr
    assert "--file FILE" in bare("rerun", "made.wav", "--help").stdout


def test_a_statement_about_an_example_that_is_not_here(bare: Run, made: Path) -> None:
    made.write_bytes(made.read_bytes().replace(b'"example":"stub"', b'"example":"stab"'))
    assert "stub (stab): the example is not here" in bare("inspect", "made.wav").stdout
    result = envelope_of(bare("rerun", "made.wav", "--json"), "rerun", 2)
    assert result["error"]["code"] == "unknown_example"


def test_what_a_file_says_does_not_reach_the_terminal_raw(bare: Run, tmp_path: Path) -> None:
    mark(tmp_path, arguments={"act": "\x1b[2J\x07"}, cvl="\x1b]0;x\x07")
    result = bare("inspect", "made.wav")
    assert "--act ?" in result.stdout
    assert not {"\x1b", "\x07"} & set(result.stdout + result.stderr)
    json.loads(bare("inspect", "made.wav", "--json").stdout)
