"""A small checkpoint in the layout of the real ones becomes the video that was asked for."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve()
EXAMPLE = HERE.parents[3] / "examples" / "live_avatar"
REPOSITORY = HERE.parents[3]
PLACES = (EXAMPLE, HERE.parents[1], REPOSITORY / "cvl" / "inside", REPOSITORY / "tests" / "support")
sys.path[:0] = map(str, PLACES)

import predict  # noqa: E402
from checkpoints.families import build  # noqa: E402
from cvl_inside import InputError  # noqa: E402
from filming import Made, Told, made, picture, sound  # noqa: E402
from PIL import Image  # noqa: E402

TONE = "sine=frequency=300:sample_rate=16000:duration=1.3"
PORTRAIT = EXAMPLE / "samples" / "portrait.jpg"
WISHES = {
    "image": str(PORTRAIT), "prompt": "a person speaks",
    "size": "64*64", "sample_steps": 2, "infer_frames": 24, "num_clips": 100, "face": "checked",
    "compile": False, "graphs": False, "forcing": False,
}  # fmt: skip


class Room:
    """One predictor for each rung, which keeps what it loaded."""

    def __init__(self, folder: Path, weights: dict[str, str]) -> None:
        self.folder, self.weights = folder, weights
        self.predictors: dict[str, Any] = {}

    def told(self, offload: str = "none", seed: int = 1) -> Told:
        return Told(self.weights, str(self.folder / "made.mp4"), offload, seed)

    def __call__(self, audio: Path, offload: str = "none", seed: int = 1, **wishes: Any) -> Made:
        ctx = self.told(offload, seed)
        predictor = self.predictors.setdefault(offload, predict.LiveAvatar())
        predictor.predict(ctx, audio=str(audio), **{**WISHES, **wishes})
        return made(self.folder / "made.mp4", ctx)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("room")
    return Room(folder, {repo: str(build(repo, folder)) for repo in (predict.BASE, predict.LORA)})


@pytest.fixture(scope="module")
def tone(room: Room) -> Path:
    return sound(room.folder / "tone.wav", TONE)


def test_a_video_is_as_long_as_the_speech_and_a_seed_says_which(room: Room, tone: Path) -> None:
    first = room(tone)
    assert first.frames.shape == (33, 64, 64, 3)  # 1.3 s of 25 a second, the begun one too
    assert first.fps == 25 and abs(first.sound_s - 1.3) < 0.03 and abs(first.seconds - 1.32) < 0.01
    assert first.ctx.done == [(1, 3), (2, 3), (3, 3)]  # blocks: 9 frames, 12, and what is left
    assert first.frames.std() > 5
    assert room(tone).content == first.content
    assert np.abs(room(tone, seed=2).frames - first.frames).max() > 20


def test_another_speech_changes_the_frames(room: Room, tone: Path) -> None:
    other = sound(room.folder / "other.wav", "anoisesrc=r=16000:d=1.3:a=0.5:seed=3")
    assert np.abs(room(other).frames - room(tone).frames).max() > 10


def test_what_is_said_later_changes_no_earlier_frame(room: Room, tone: Path) -> None:
    """But for what wav2vec2 makes of it, which hears the whole: silence is put after its features
    are known."""
    whole = np.concatenate(list(filmed(room, tone)))
    short = np.concatenate(list(filmed(room, tone, num_clips=1)))
    assert len(short) == 21 and (short == whole[:21]).all()


def test_exact_rungs_give_the_same_bytes_and_fp8_is_near(room: Room, tone: Path) -> None:
    plain = room(tone)
    for rung in ("model", "group"):
        assert room(tone, rung).content == plain.content, rung
    near, other = room(tone, "fp8"), room(tone, seed=2)
    far = np.abs(other.frames - plain.frames).mean()
    assert 0 < np.abs(near.frames - plain.frames).mean() < far / 3


def test_a_clip_of_24_frames_shows_21_and_cuts_the_sound_as_well(room: Room, tone: Path) -> None:
    short = room(tone, num_clips=1)
    assert len(short.frames) == 21 and abs(short.sound_s - 21 / 25) < 0.03


def test_the_first_frames_come_before_the_last_block_is_computed(room: Room, tone: Path) -> None:
    """And each block is asked for only when its turn is there."""
    film = filmed(room, tone)
    counts = [len(frames) for frames in itertools.islice(film, 1)]
    film.close()
    assert counts == [9]


def filmed(room: Room, tone: Path, **wishes: Any) -> Generator[np.ndarray, None, None]:  # type: ignore[type-arg]
    """The frames of each block, as an encoder gets them."""
    room(tone)
    samples = predict.read_speech(str(tone), 10).samples
    portrait = predict.sized(Image.open(PORTRAIT).convert("RGB"), "64*64")
    plan = predict.planned(1.3, {**WISHES, **wishes})
    film: Generator[np.ndarray, None, None] = room.predictors["none"].studio.film(  # type: ignore[type-arg]
        portrait, "a person", samples, plan, 1
    )
    return film


REFUSED = {
    "silence": ("anullsrc=r=16000:d=1", "s.wav", {}, "silent"),
    "a tenth of a second": ("sine=duration=0.1", "s.wav", {}, "0.10 s long"),
    "more than two hours": ("sine=sample_rate=8000:duration=7260", "s.flac", {}, "120 minutes"),
    "a video without sound": ("testsrc=size=64x64:duration=0.2", "s.mp4", {}, "no sound track"),
    "no face": (TONE, "s.wav", {"image": "none"}, "no face was found"),
    "a tiny picture": (TONE, "s.wav", {"image": "tiny", "face": "any"}, "too small: 40x40"),
    "a huge one": (TONE, "s.wav", {"image": "huge"}, "too large: more than 178956970"),
    "a long and thin one": (TONE, "s.wav", {"image": "long", "face": "any"}, "long and thin"),
    "half a block": (TONE, "s.wav", {"infer_frames": 40}, "multiple of 12"),
    "too few GPUs": (TONE, "s.wav", {"forcing": True}, "--forcing takes 3 GPUs, .*; 0 given"),
    "forced layers that move": (TONE, "s.wav", {"forcing": True, "offload": "group"}, "neither"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_said_before_any_weights_are_loaded(
    name: str, tmp_path: Path
) -> None:
    source, file, wishes, told = REFUSED[name]
    if "image" in wishes:
        wishes = {**wishes, "image": picture(tmp_path, wishes["image"], PORTRAIT)}
    empty = Room(tmp_path, {repo: str(tmp_path / "none") for repo in (predict.BASE, predict.LORA)})
    with pytest.raises(InputError, match=told) as caught:
        empty(sound(tmp_path / file, source), **wishes)
    assert caught.value.hint


def test_several_faces_are_told(room: Room, tone: Path, tmp_path: Path) -> None:
    pair = picture(tmp_path, "pair", PORTRAIT)
    warnings = room(tone, image=pair, num_clips=1).ctx.warnings
    assert any("2 faces were found" in told for told in warnings)
    assert any("0.8 s of 1.3 s are shown" in told for told in warnings)
