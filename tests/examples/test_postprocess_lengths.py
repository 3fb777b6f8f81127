"""What the postprocess example copies, how long its results are, and what it reads."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.postprocess import (
    ffmpeg,
    grey,
    inspect,
    lavfi,
    make,
    media_fixture,  # noqa: F401
    post_fixture,  # noqa: F401
    video,
)


def atoms(path: Path) -> list[str]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        found.append(data[at + 4 : at + 8].decode("latin-1"))
        at += int.from_bytes(data[at : at + 4], "big") or len(data)
    return found


def test_an_unchanged_video_is_copied_with_its_index_first(
    post: Any, media: Path, tmp_path: Path
) -> None:
    ffmpeg(
        "-i", f"{media}/clip.mp4", "-c", "copy", "-movflags", "-faststart", f"{tmp_path}/slow.mp4"
    )
    video(post, tmp_path, video=tmp_path / "slow.mp4")
    order = atoms(tmp_path / "out.mp4")
    assert order.index("moov") < order.index("mdat")
    packets = [
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-i", str(p), "-c", "copy", "-f", "streamhash", "-"],
            capture_output=True,
            check=True,
        ).stdout
        for p in (tmp_path / "slow.mp4", tmp_path / "out.mp4")
    ]
    assert packets[0] == packets[1]


def test_new_sound_of_the_same_length_leaves_the_picture_copied(
    post: Any, media: Path, tmp_path: Path
) -> None:
    ffmpeg("-i", f"{media}/long.wav", "-t", "1.97", f"{tmp_path}/fits.wav")
    result = video(post, tmp_path, video=media / "clip.mp4", audio=tmp_path / "fits.wav")
    assert inspect(media / "clip.mp4")["video"]["bit_rate"] == result["video"]["bit_rate"]
    assert result["audio"]["channels"] == 2


@pytest.mark.parametrize(
    ("audio", "length", "seconds"),
    [
        ("long.wav", "auto", 3.0),
        ("long.wav", "video", 2.0),
        ("short.mp3", "auto", 0.6),
        ("short.mp3", "video", 2.0),
        ("short.mp3", "audio", 0.6),
    ],
)
def test_the_result_lasts_as_long_as_the_new_sound_unless_told_otherwise(
    post: Any, media: Path, tmp_path: Path, audio: str, length: str, seconds: float
) -> None:
    result = video(post, tmp_path, video=media / "clip.mp4", audio=media / audio, length=length)
    assert abs(float(result["video"]["duration"]) - seconds) <= 0.05
    assert int(result["video"]["nb_read_frames"]) == round(25 * float(result["video"]["duration"]))
    assert abs(result["seconds"] - seconds) <= 0.06


@pytest.mark.parametrize("name", ["guess.mp3", "guess.aac"])
def test_the_length_of_sound_is_measured_where_a_file_does_not_state_it(
    post: Any, media: Path, tmp_path: Path, name: str
) -> None:
    source = "aevalsrc='if(gt(t,1),random(0)-0.5,0)':d=4:s=44100"
    ffmpeg(*lavfi(source), "-write_xing", "0", "-q:a", "2", f"{tmp_path}/{name}")
    result = video(post, tmp_path, video=media / "mute.mp4", audio=tmp_path / name)
    assert result["seconds"] == pytest.approx(4.0, abs=0.15)


def test_a_longer_sound_is_cut_with_an_encoded_picture_even_when_it_is_copied(
    post: Any, media: Path, tmp_path: Path
) -> None:
    ffmpeg("-i", f"{media}/long.wav", f"{tmp_path}/long.mp3")
    result = video(
        post,
        tmp_path,
        video=media / "mute.mp4",
        audio=tmp_path / "long.mp3",
        length="video",
        crf=30,
    )
    assert result["audio"]["codec_name"] == "mp3"
    assert result["seconds"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["in.avi", "in.ts", "in.webm", "in.flv", "in.gif", "in.mpg"])
def test_other_containers_are_read(post: Any, media: Path, tmp_path: Path, name: str) -> None:
    codec = ["-c:v", "libvpx", "-c:a", "libvorbis"] if name == "in.webm" else []
    ffmpeg("-i", f"{media}/clip.mp4", "-t", "1", "-ar", "44100", *codec, f"{tmp_path}/{name}")
    result = video(post, tmp_path, video=tmp_path / name)
    assert (result["video"]["codec_name"], result["video"]["width"]) == ("h264", 320)
    assert result["seconds"] == pytest.approx(1.0, abs=0.1)
    assert ("audio" in result) is (name != "in.gif")


def test_the_last_picture_is_held_under_longer_sound(
    post: Any, media: Path, tmp_path: Path
) -> None:
    video(post, tmp_path, video=media / "mute.mp4", audio=media / "long.wav", crf=10)
    held, last = grey(tmp_path / "out.mp4", 2.8), grey(media / "mute.mp4", 0.96)
    assert sum(abs(a - b) for a, b in zip(held, last, strict=True)) / len(held) < 4


def test_progress_rises_to_the_end_over_all_outputs(post: Any, media: Path, tmp_path: Path) -> None:
    ctx = make(
        post,
        {"video": tmp_path / "o.mp4", "audio": tmp_path / "o.wav"},
        video=media / "clip.mp4",
        loudness=-20.0,
    )
    done = [d for d, _, _ in ctx.progressed]
    assert done == sorted(done) and ctx.progressed[-1][0] == pytest.approx(6.0, abs=0.2)
    assert {(total, unit) for _, total, unit in ctx.progressed} == {(6.0, "seconds")}
