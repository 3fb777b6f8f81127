"""What the postprocess example refuses, and that nothing of it is opened or written."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.postprocess import (
    media_fixture,  # noqa: F401
    post_fixture,  # noqa: F401
    recording,
    refused,
)

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{0}\n#EXT-X-ENDLIST\n",
    "dash": "<?xml version='1.0'?><MPD><Period><BaseURL>{0}</BaseURL></Period></MPD>",
    "ffconcat": "ffconcat version 1.0\nfile '{0}'\n",
    "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n",
    "bom": "\ufeff#EXTM3U\n{0}\n",
    "svg": "<svg xmlns='http://www.w3.org/2000/svg'><image href='{0}'/></svg>",
    "empty": "",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("where", ["video", "audio", "music", "clips", "subtitles"])
def test_a_playlist_in_disguise_is_refused_before_any_program_sees_it(
    post: Any, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_text(PLAYLISTS[kind].format(media / "clip.mp4"), encoding="utf-8")
    seen: list[str] = []
    monkeypatch.setattr(post.ffmpeg.subprocess, "run", recording(subprocess.run, seen))
    inputs: dict[str, Any] = {"video": media / "clip.mp4"} if where != "video" else {}
    inputs[where] = [str(fake)] if where == "clips" else fake
    error = refused(post, {"video": tmp_path / "o.mp4"}, **inputs)
    assert error.code in ("playlist", "unknown_format", "empty_file", "subtitles")
    assert "playlist" in error.message or kind in ("svg", "empty") or where == "subtitles"
    assert not [a for a in seen if "fake" in a] and seen.count("ffprobe") <= 1


def test_a_playlist_behind_the_first_bytes_of_an_mp4_opens_nothing(
    post: Any, media: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "fake.mp4"
    body = f"#EXTM3U\n#EXTINF:9,\n{media}/clip.mp4\n#EXT-X-ENDLIST\n".encode()
    for head in (
        b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00",
        b"ID3\x03\x00\x00\x00\x00\x00\x00",
        b"OggS",
        b"RIFF\x00\x00\x00\x00WAVE",
    ):
        fake.write_bytes(head + body)
        error = refused(post, {"audio": tmp_path / "o.wav"}, audio=fake)
        assert error.code in ("unreadable", "no_streams", "no_length", "no_sound")


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({}, "no_input"),
        ({"music": "short.mp3"}, "no_input"),
        ({"audio": "long.wav"}, "no_picture"),
        ({"video": "long.wav"}, "no_picture"),
        ({"video": "clip.mp4", "audio": "mute.mp4"}, "no_sound"),
        ({"video": "clip.mp4", "trim_start": 5.0}, "trim"),
        ({"video": "clip.mp4", "trim_start": 1.0, "trim_end": 1.0}, "trim"),
        ({"video": "clip.mp4", "trim_end": 1.0, "duration": 1.0}, "trim"),
        ({"video": "clip.mp4", "fade_in": 1.5, "fade_out": 1.0}, "fade"),
        ({"video": "clip.mp4", "crf": 60}, "crf"),
        ({"video": "clip.mp4", "length": "audio"}, "length"),
        ({"video": "mute.mp4", "loudness": -16.0}, "no_sound"),
        ({"video": "clip.mp4", "watermark": " \n\x01"}, "watermark"),
        ({"video": "clip.mp4", "subtitles": "clip.mp4"}, "subtitles"),
        ({"video": "clip.mp4", "width": 32, "height": 32, "video_codec": "av1"}, "too_small"),
    ],
)
def test_inputs_that_make_no_sense_together_are_refused(
    post: Any, media: Path, tmp_path: Path, inputs: dict[str, Any], code: str
) -> None:
    files = ("video", "audio", "music", "subtitles")
    given = {k: media / v if k in files else v for k, v in inputs.items()}
    assert refused(post, {"video": tmp_path / "o.mp4"}, **given).code == code


def test_outputs_that_cannot_be_made_are_refused(post: Any, media: Path, tmp_path: Path) -> None:
    mute = media / "mute.mp4"
    assert refused(post, {"audio": tmp_path / "o.wav"}, video=mute).code == "no_sound"
    late = refused(post, {"poster": tmp_path / "o.jpg"}, video=mute, poster_time=1.0)
    assert late.code == "poster_time"
    sound: dict[str, Any] = {"audio": media / "long.wav", "audio_codec": "flac"}
    assert refused(post, {"video": tmp_path / "o.mov"}, video=mute, **sound).code == "codec"


def test_a_failure_of_ffmpeg_is_told_in_its_own_words(post: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"code 1: .*No such file"):
        post.ffmpeg.run([*post.ffmpeg.BASE, "-i", "file:none.mp4", "-f", "null", "-"], tmp_path)
