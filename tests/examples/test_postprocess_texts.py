"""Watermarks and subtitles of the postprocess example, hostile ones among them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.postprocess import (
    HOSTILE,
    X264,
    ffmpeg,
    grey,
    lavfi,
    make,
    media_fixture,  # noqa: F401
    post_fixture,  # noqa: F401
    recording,
    video,
)


def test_a_hostile_watermark_is_drawn_letter_by_letter(
    post: Any, media: Path, tmp_path: Path
) -> None:
    """Compared with the same text given to ffmpeg in a filter string and escaped by its rules."""
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=640x360:d=0.2:r=10"), *X264, str(black))
    make(post, {"poster": tmp_path / "drawn.png"}, video=black, watermark=HOSTILE)
    escaped = HOSTILE
    for special in ("\\':", "\\'[],;"):
        escaped = "".join(f"\\{c}" if c in special else c for c in escaped)
    size = post.texts.write_watermark(HOSTILE, (640, 360), tmp_path)
    drawn = (
        f"drawtext=fontfile={post.graph.FONTS / post.graph.FONT}:text={escaped}:"
        f"expansion=none:fontsize={size}:fontcolor=white@0.85:bordercolor=black@0.6:"
        f"borderw={size // 14}:x=w-tw-h/36:y=h/36"
    )
    ffmpeg("-i", str(black), "-vf", drawn, "-frames:v", "1", f"{tmp_path}/escaped.png")
    frames = [grey(tmp_path / f"{name}.png", size="640:360") for name in ("drawn", "escaped")]
    assert frames[0] == frames[1]
    columns = [i % 640 for i, level in enumerate(frames[0]) if level > 100]
    assert max(columns) - min(columns) > 200


@pytest.mark.parametrize("position", ["top-left", "bottom-right", "center"])
def test_a_long_watermark_of_several_lines_fits_where_it_is_put(
    post: Any, media: Path, tmp_path: Path, position: str
) -> None:
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=320x240:d=0.2:r=10"), *X264, str(black))
    make(
        post,
        {"poster": tmp_path / "p.png"},
        video=black,
        watermark_position=position,
        watermark="A rather long line of text for a small picture\nand a second one",
    )
    frame = grey(tmp_path / "p.png", size="320:240")
    bright = [(i % 320, i // 320) for i, level in enumerate(frame) if level > 100]
    left, right = min(x for x, _ in bright), max(x for x, _ in bright)
    middle = sum(y for _, y in bright) / len(bright)
    assert left > 0 and right < 319
    assert {"top-left": middle < 60, "bottom-right": middle > 180, "center": 100 < middle < 140}[
        position
    ]


def test_no_text_of_the_user_stands_in_any_command(
    post: Any, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nasty = tmp_path / "-a:b'c%d,[x];\\ $(id).mp4"
    nasty.write_bytes((media / "clip.mp4").read_bytes())
    lines = tmp_path / "s'[1]:=.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:01,000\n" + HOSTILE + "\n")
    seen: list[str] = []
    module = post.ffmpeg.subprocess
    for name in ("run", "Popen"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, recording(real, seen))
    make(
        post,
        {"video": tmp_path / "out.mp4", "poster": tmp_path / "p.png"},
        video=nasty,
        watermark=HOSTILE,
        subtitles=lines,
    )
    assert len(seen) > 40
    assert not [a for a in seen if "$(id)" in a or "%" in a or "[x]" in a or "=.srt" in a]


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:00,000 --> 00:00:00,500\nWWWWWW\n",
        "WEBVTT\n\n00:00.000 --> 00:00.500\nWWWWWW\n",
        "[Script Info]\nPlayResX: 320\nPlayResY: 240\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, Alignment\n"
        "Style: Default,DejaVu Sans,24,&H00FFFFFF,2\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Text\n"
        "Dialogue: 0,0:00:00.00,0:00:00.50,Default,WWWWWW\n",
    ],
)
def test_subtitles_of_each_kind_are_burned_at_their_time(
    post: Any, media: Path, tmp_path: Path, text: str
) -> None:
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=320x240:d=1:r=10"), *X264, str(black))
    (tmp_path / "s").write_text(text, encoding="utf-16" if text[0] == "1" else "utf-8")
    video(post, tmp_path, video=black, subtitles=tmp_path / "s")
    shown, gone = (grey(tmp_path / "out.mp4", t) for t in (0.2, 0.8))
    assert max(shown[64 * 24 :]) > 60 and max(shown[: 64 * 24]) < 30 and max(gone) < 30


@pytest.mark.parametrize(
    ("name", "codec"), [("o.mp4", "mov_text"), ("o.mov", "mov_text"), ("o.mkv", "ass")]
)
def test_soft_subtitles_become_a_track_and_leave_the_picture_alone(
    post: Any, media: Path, tmp_path: Path, name: str, codec: str
) -> None:
    result = video(
        post,
        tmp_path,
        name,
        video=media / "clip.mp4",
        subtitles=media / "lines.srt",
        subtitle_mode="soft",
    )
    assert result["subtitle"]["codec_name"] == codec
    assert result["seconds"] == pytest.approx(2.0, abs=0.06)
    assert grey(tmp_path / name, 0.51) == grey(media / "clip.mp4", 0.51)


def test_soft_subtitles_move_with_the_cut(post: Any, media: Path, tmp_path: Path) -> None:
    video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        subtitles=media / "lines.srt",
        subtitle_mode="soft",
        trim_start=1.0,
        crf=40,
    )
    command = ["ffmpeg", "-loglevel", "error", "-i", str(tmp_path / "out.mp4"), "-map", "0:s"]
    done = subprocess.run([*command, "-f", "srt", "-"], capture_output=True, check=True)
    text = done.stdout.decode()
    assert "Second: it's, [x]" in text and "WWW" not in text
    assert "00:00:00,200 --> 00:00:01,000" in text
