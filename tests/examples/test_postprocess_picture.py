"""Pictures that the postprocess example joins, fits, fades, encodes and takes a poster of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.postprocess import (
    digest,
    grey,
    make,
    media_fixture,  # noqa: F401
    post_fixture,  # noqa: F401
    video,
)


def brightness(path: Path, seconds: float) -> float:
    frame = grey(path, seconds)
    return sum(frame) / len(frame)


def test_clips_of_all_kinds_are_joined_without_drift(
    post: Any, media: Path, tmp_path: Path
) -> None:
    names = ["mute.mp4", "odd.mkv", "turned.mp4", "uneven.mp4"]
    result = video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        fps=29.97,
        clips=[str(media / name) for name in names],
    )
    assert (result["video"]["width"], result["video"]["height"]) == (320, 240)
    assert result["video"]["r_frame_rate"] == "30000/1001"
    assert result["seconds"] == pytest.approx(6.0, abs=0.05)
    assert float(result["audio"]["duration"]) == pytest.approx(
        float(result["video"]["duration"]), abs=0.03
    )
    assert result["audio"]["channels"] == 2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": 100, "height": 100}, (100, 100)),
        ({"width": 200}, (200, 150)),
        ({"height": 61}, (82, 62)),
        ({"width": 64, "height": 100, "fit": "crop"}, (64, 100)),
        ({"width": 64, "height": 100, "fit": "stretch"}, (64, 100)),
        ({}, (160, 120)),
    ],
)
def test_a_picture_is_brought_to_size(
    post: Any, media: Path, tmp_path: Path, options: dict[str, Any], size: tuple[int, int]
) -> None:
    result = video(post, tmp_path, video=media / "mute.mp4", **options)
    assert (result["video"]["width"], result["video"]["height"]) == size
    assert result["video"].get("sample_aspect_ratio") in ("1:1", None)


def test_padding_adds_bars_and_cropping_does_not(post: Any, media: Path, tmp_path: Path) -> None:
    for fit, dark in (("pad", True), ("crop", False)):
        video(post, tmp_path, video=media / "mute.mp4", width=120, height=240, fit=fit)
        top = grey(tmp_path / "out.mp4", 0.5)[: 64 * 4]
        assert (max(top) < 24) is dark


def test_odd_sides_and_turned_pictures_come_out_upright_and_even(
    post: Any, media: Path, tmp_path: Path
) -> None:
    odd = video(post, tmp_path, video=media / "odd.mkv", crf=20)
    assert (odd["video"]["width"], odd["video"]["height"]) == (102, 76)
    turned = video(post, tmp_path, video=media / "turned.mp4", crf=20)
    assert (turned["video"]["width"], turned["video"]["height"]) == (120, 160)
    assert not turned["video"].get("side_data_list")


def test_fades_are_black_at_both_ends_of_the_kept_piece(
    post: Any, media: Path, tmp_path: Path
) -> None:
    result = video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        trim_start=0.4,
        trim_end=1.6,
        fade_in=0.4,
        fade_out=0.4,
    )
    assert int(result["video"]["nb_read_frames"]) == 30
    assert float(result["audio"]["duration"]) == pytest.approx(1.2, abs=0.03)
    first, middle, last = (brightness(tmp_path / "out.mp4", t) for t in (0, 0.6, 1.16))
    assert first < 20 and last < 40 and middle > 80


@pytest.mark.parametrize(
    ("codec", "name", "found"),
    [
        ("h264", "o.mp4", "h264"),
        ("h265", "o.mp4", "hevc"),
        ("av1", "o.mp4", "av1"),
        ("h264", "o.mov", "h264"),
        ("h265", "o.mkv", "hevc"),
    ],
)
def test_each_codec_writes_the_same_bytes_twice(
    post: Any, media: Path, tmp_path: Path, codec: str, name: str, found: str
) -> None:
    result = video(post, tmp_path, name, video=media / "clip.mp4", video_codec=codec, width=160)
    before = digest(tmp_path / name)
    assert result["video"]["codec_name"] == found and result["video"]["pix_fmt"] == "yuv420p"
    video(post, tmp_path, name, video=media / "clip.mp4", video_codec=codec, width=160)
    assert digest(tmp_path / name) == before


@pytest.mark.parametrize("name", ["p.jpg", "p.png"])
def test_a_poster_alone_is_the_frame_at_its_time(
    post: Any, media: Path, tmp_path: Path, name: str
) -> None:
    make(post, {"poster": tmp_path / name}, video=media / "clip.mp4", poster_time=1.5)
    poster, frame = grey(tmp_path / name), grey(media / "clip.mp4", 1.5)
    other = grey(media / "clip.mp4", 0.5)
    distance = sum(abs(a - b) for a, b in zip(poster, frame, strict=True))
    assert distance < 3 * len(frame) < sum(abs(a - b) for a, b in zip(poster, other, strict=True))
