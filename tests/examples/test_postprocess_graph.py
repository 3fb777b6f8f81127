"""The postprocess example's record, commands, formats and numbers, without running ffmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.postprocess import (
    FOLDER,
    post_fixture,  # noqa: F401
)


def test_the_declared_inputs_are_the_ones_the_code_takes(post: Any) -> None:
    declared = yaml.safe_load((FOLDER / "example.yaml").read_text(encoding="utf-8"))["inputs"]
    fields = post.options.Options.__dataclass_fields__
    assert list(declared) == list(fields)
    for name, spec in declared.items():
        assert spec.get("default") == fields[name].default, name
    assert declared["watermark_position"]["choices"] == list(post.graph._PLACES)


def test_commands_force_a_demuxer_and_local_files(post: Any) -> None:
    args = post.ffmpeg.input_args(Path("/work dir/in0"), "mov", loop=True)
    assert args == [
        "-protocol_whitelist", "file", "-max_pixels", "35389440",
        "-stream_loop", "-1", "-f", "mov", "-i", "file:/work dir/in0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x20ftypisom", "mov"),
        (b"\x1aE\xdf\xa3", "matroska"),
        (b"fLaC", "flac"),
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0AVI ", "avi"),
        (b"OggS", "ogg"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"ID3\x04", "id3"),
        (b"GIF89a", "gif"),
        (b"#EXTM3U", None),
        (b"RIFF\0\0\0\0WEBP", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_formats_are_told_by_their_first_bytes(post: Any, head: bytes, kind: str | None) -> None:
    assert post.sniff.by_magic(head) == kind


def test_numbers_in_filters_are_plain(post: Any) -> None:
    plain = [post.graph.number(v) for v in (1, 0.5, 1e-7, Fraction(1, 3), -18.0)]
    assert plain == ["1", "0.5", "0", "0.333333", "-18"]
    assert post.timeline.exact_rate(23.976) == Fraction(24000, 1001)
    assert post.timeline.exact_rate(30) == 30 and post.timeline.exact_rate(12.5) == 12.5


@pytest.mark.parametrize(
    ("fit", "expected"), [("pad", (100, 75)), ("crop", (267, 200)), ("stretch", (100, 200))]
)
def test_the_picture_is_fitted_inside_around_or_exactly(
    post: Any, fit: str, expected: tuple[int, int]
) -> None:
    assert post.graph.fitted((320, 240), (100, 200), fit) == expected
