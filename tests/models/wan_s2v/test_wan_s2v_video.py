"""A small checkpoint in the layout of the real one becomes the video that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from film import PORTRAIT, InputError, Studio, build, picture, predict, sound

TONE = "sine=frequency=300:sample_rate=16000:duration=0.6"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
    return Studio(build(predict.REPO, folder), folder)


@pytest.fixture(scope="module")
def tone(studio: Studio) -> Path:
    return sound(studio.folder / "tone.wav", TONE)


def test_two_clips_are_a_video_as_long_as_the_speech_and_a_seed_says_which(
    studio: Studio, tone: Path
) -> None:
    first = studio(tone)
    assert first.frames.shape == (10, 64, 64, 3)  # 0.6 s of 16 a second, begun ones too
    assert first.fps == 16 and abs(first.sound_s - 0.6) < 0.03 and abs(first.seconds - 0.6) < 0.07
    assert first.ctx.metrics["clips"] == 2
    assert first.ctx.done == [(1, 2), (2, 2)]
    assert first.frames.std() > 5
    assert studio(tone).content == first.content
    assert np.abs(studio(tone, seed=2).frames - first.frames).max() > 20


def test_another_speech_changes_the_frames(studio: Studio, tone: Path) -> None:
    other = sound(studio.folder / "other.wav", "anoisesrc=r=16000:d=0.6:a=0.5:seed=3")
    assert np.abs(studio(other).frames - studio(tone).frames).max() > 10


def test_an_exact_rung_gives_the_same_bytes_and_fp8_is_near(studio: Studio, tone: Path) -> None:
    plain = studio(tone, num_clips=1)
    for rung in ("model", "group", "sequential"):
        assert studio(tone, rung, num_clips=1).content == plain.content, rung
        assert studio.predictors[rung].pipe.dit.vram_management_enabled
    near = studio(tone, "fp8", num_clips=1)
    assert 0 < np.abs(near.frames - plain.frames).mean() < 10


def test_the_first_clip_alone_cuts_the_sound_as_well(studio: Studio, tone: Path) -> None:
    """Of its eight frames the first three are not shown, unless it begins with the picture."""
    short = studio(tone, num_clips=1)
    assert len(short.frames) == 5 and abs(short.sound_s - 5 / 16) < 0.03
    assert len(studio(tone, num_clips=1, start_from_ref=True).frames) == 8


def test_a_stereo_mp3_of_48_khz_is_converted_and_keeps_its_channels(studio: Studio) -> None:
    source = "sine=frequency=300:sample_rate=48000:duration=0.6"
    made = studio(sound(studio.folder / "stereo.mp3", source, "-ac", "2"), num_clips=1)
    assert len(made.frames) == 5


def test_poses_change_the_frames_and_may_end_before_the_speech(studio: Studio, tone: Path) -> None:
    poses = sound(studio.folder / "poses.mp4", "testsrc=size=96x64:rate=25:duration=0.2")
    posed, plain = studio(tone, pose_video=str(poses)), studio(tone)
    assert posed.frames.shape == plain.frames.shape
    assert np.abs(posed.frames - plain.frames).max() > 5


REFUSED = {
    "silence": ("anullsrc=r=16000:d=1", "s.wav", {}, "silent"),
    "a tenth of a second": ("sine=duration=0.1", "s.wav", {}, "0.10 s long"),
    "two hours": ("sine=sample_rate=8000:duration=7200", "s.flac", {}, "longer than 30 minutes"),
    "a video without sound": ("testsrc=size=64x64:duration=0.2", "s.mp4", {}, "no sound track"),
    "no face": (TONE, "s.wav", {"image": "none"}, "no face was found"),
    "a tiny picture": (TONE, "s.wav", {"image": "tiny", "face": "any"}, "too small: 40x40"),
    "a huge one": (TONE, "s.wav", {"image": "huge"}, "too large: more than 178956970"),
    "a long and thin one": (TONE, "s.wav", {"image": "long", "face": "any"}, "long and thin"),
    "81 frames": (TONE, "s.wav", {"infer_frames": 81}, "multiple of 4"),
    "no size": (TONE, "s.wav", {"size": "big"}, "--size"),
    "poses without pictures": (TONE, "s.wav", {"pose_video": __file__}, "no pictures"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_spoken_is_said_before_any_weights_are_loaded(
    name: str, tmp_path: Path
) -> None:
    source, file, wishes, told = REFUSED[name]
    if "image" in wishes:
        wishes = {**wishes, "image": picture(tmp_path, wishes["image"], PORTRAIT)}
    empty = Studio(tmp_path / "none", tmp_path)
    with pytest.raises(InputError, match=told):
        empty(sound(tmp_path / file, source), **wishes)


def test_several_faces_are_told(studio: Studio, tone: Path, tmp_path: Path) -> None:
    made = studio(tone, image=picture(tmp_path, "pair", PORTRAIT), num_clips=1)
    assert len(made.ctx.warnings) == 1 and "2 faces were found" in made.ctx.warnings[0]


def test_any_picture_is_taken_where_that_is_asked_for(
    studio: Studio, tone: Path, tmp_path: Path
) -> None:
    olive = picture(tmp_path, "none", PORTRAIT)
    assert len(studio(tone, image=olive, face="any", num_clips=1).frames) == 5
