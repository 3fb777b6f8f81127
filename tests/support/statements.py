"""Statements of how something was made, and small media to put them into."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cvl.core.licensing import Terms
from cvl.core.provenance import FileRef, Origin, Provenance

FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi"]
PICTURE = "testsrc=size=64x48:rate=10:duration=0.4"
TONE = "sine=frequency=440:sample_rate=16000:duration=0.4"
TERMS = Terms("MIT", "CC-BY-NC-4.0", commercial=False)
ORIGIN = Origin("say", "aa" * 32, "sha256:" + "bb" * 32, (), 5, "cpu", "", TERMS)


def statement(**changes: Any) -> Provenance:
    """What a run of `say` says."""
    fields: dict[str, Any] = {
        "schema": "cvl-provenance/1",
        "cvl": "1.0",
        "example": "say",
        "graph": "",
        "output": "result",
        "outputs": {"result": "txt"},
        "seed": 5,
        "arguments": {"text": "hi \u4e2d", "speed": 1.5},
        "files": {"file": (FileRef("cc" * 32, 3, "txt"),)},
        "steps": {"say": ORIGIN},
    }
    return Provenance(**{**fields, **changes})


def media(folder: Path, name: str) -> Path:
    """A small file of the kind that its extension says."""
    path = folder / name
    video = ["-i", PICTURE, "-f", "lavfi", "-i", TONE, "-c:v", "mpeg4", "-c:a", "aac"]
    video += ["-movflags", "+faststart", "-fflags", "+bitexact"]
    arguments = {
        "mp4": video,
        "mov": video,
        "m4a": ["-i", TONE, "-c:a", "aac"],
        "wav": ["-i", TONE],
        "png": ["-i", PICTURE, "-frames:v", "1", "-update", "1"],
    }[path.suffix[1:]]
    subprocess.run([*FFMPEG, *arguments, str(path)], check=True, capture_output=True)
    return path


def decoded(path: Path) -> tuple[str, str]:
    """(digest of every decoded picture and sample, what ffmpeg had to say of it)."""
    command = ["ffmpeg", "-nostdin", "-v", "warning", "-i", str(path), "-map", "0"]
    result = subprocess.run(
        [*command, "-f", "md5", "-"], capture_output=True, text=True, check=True
    )
    return result.stdout, result.stderr
