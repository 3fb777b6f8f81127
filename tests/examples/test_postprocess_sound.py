"""Sound that the postprocess example mixes, levels and encodes, measured by ffmpeg."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.postprocess import (
    digest,
    inspect,
    make,
    media_fixture,  # noqa: F401
    post_fixture,  # noqa: F401
    video,
)


def lufs(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak by ffmpeg's ebur128, not by the filter under test."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=True)
    printed = done.stderr.decode()
    return (
        float(re.findall(r"I: +(\S+) LUFS", printed)[-1]),
        float(re.findall(r"Peak: +(\S+) dBFS", printed)[-1]),
    )


def band(path: Path, hertz: int) -> float:
    """Mean level in dB near one frequency."""
    narrow = f"bandpass=f={hertz}:w=20:t=h"
    command = ["ffmpeg", "-hide_banner", "-i", str(path), "-af", f"{narrow},{narrow},volumedetect"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=True)
    return float(re.findall(r"mean_volume: (\S+) dB", done.stderr.decode())[0])


def test_mixing_keeps_the_videos_length_and_both_sounds(
    post: Any, media: Path, tmp_path: Path
) -> None:
    make(
        post,
        {"video": tmp_path / "o.mp4", "audio": tmp_path / "o.wav"},
        video=media / "clip.mp4",
        audio=media / "long.wav",
        audio_mode="mix",
    )
    assert inspect(tmp_path / "o.mp4")["seconds"] == pytest.approx(2.0, abs=0.03)
    for hertz in (440, 300):
        assert band(tmp_path / "o.wav", hertz) > band(tmp_path / "o.wav", 1000) + 20


def test_music_is_repeated_to_the_end_beneath_the_sound(
    post: Any, media: Path, tmp_path: Path
) -> None:
    make(
        post,
        {"audio": tmp_path / "o.wav"},
        audio=media / "silent.wav",
        music=media / "short.mp3",
        music_gain=-20.0,
    )
    quiet = band(tmp_path / "o.wav", 300)
    make(
        post,
        {"audio": tmp_path / "o2.wav"},
        audio=media / "silent.wav",
        music=media / "short.mp3",
        music_gain=0.0,
    )
    assert band(tmp_path / "o2.wav", 300) - quiet == pytest.approx(20, abs=1)
    assert inspect(tmp_path / "o.wav")["seconds"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("aac", "o.mp4"),
        ("mp3", "o.mp4"),
        ("flac", "o.mp4"),
        ("opus", "o.mp4"),
        ("opus", "o.mkv"),
        ("mp3", "o.mov"),
    ],
)
def test_each_sound_codec_goes_into_its_containers(
    post: Any, media: Path, tmp_path: Path, codec: str, name: str
) -> None:
    result = video(
        post, tmp_path, name, video=media / "mute.mp4", audio=media / "short.mp3", audio_codec=codec
    )
    assert result["audio"]["codec_name"] == codec


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("long.wav", -16.0),
        ("long.wav", -30.0),
        ("clip.mp4", -23.0),
        ("clicks.wav", -16.0),
        ("clicks.wav", -23.0),
    ],
)
def test_loudness_comes_within_one_lu_of_the_target(
    post: Any, media: Path, tmp_path: Path, source: str, target: float
) -> None:
    kind = "video" if source.endswith("mp4") else "audio"
    ctx = make(post, {"audio": tmp_path / "o.wav"}, **{kind: media / source}, loudness=target)
    loudness, peak = lufs(tmp_path / "o.wav")
    assert abs(loudness - target) < 1.0
    assert peak <= -1.0
    assert abs(ctx.metrics["loudness_after"] - loudness) < 0.5
    limited = source == "clicks.wav" and target == -16.0
    assert (bool(ctx.metrics["peaks_limited"]), ctx.warnings) == (limited, [])


def test_silence_is_left_alone(post: Any, media: Path, tmp_path: Path) -> None:
    ctx = make(post, {"audio": tmp_path / "o.wav"}, audio=media / "silent.wav", loudness=-16.0)
    assert "silent" in ctx.warnings[0]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("o.wav", "pcm_s16le"), ("o.mp3", "mp3"), ("o.m4a", "aac"), ("o.flac", "flac")],
)
def test_sound_alone_is_written_in_each_format_and_repeats(
    post: Any, media: Path, tmp_path: Path, name: str, codec: str
) -> None:
    seen = []
    for _ in range(2):
        make(post, {"audio": tmp_path / name}, video=media / "clip.mp4", sample_rate=16000)
        seen.append(digest(tmp_path / name))
    result = inspect(tmp_path / name)
    assert seen[0] == seen[1] and "video" not in result
    assert (result["audio"]["codec_name"], result["audio"]["sample_rate"]) == (codec, "16000")
    assert result["seconds"] == pytest.approx(2.0, abs=0.15)
