"""A small checkpoint in the layout of the real one becomes the video that was asked for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hallo2_film import (
    PORTRAIT,
    InputError,
    OutputError,
    Studio,
    build,
    picture,
    predict,
    sound,
)
from PIL import Image

TONE = "sine=frequency=300:sample_rate=16000:duration={}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
    return Studio(build(predict.REPO, folder), folder)


@pytest.fixture(scope="module")
def short(studio: Studio) -> Path:
    return sound(studio.folder / "short.wav", TONE.format(0.5))


@pytest.fixture(scope="module")
def plain(studio: Studio, short: Path) -> bytes:
    """Without guidance."""
    return studio(short, cfg_scale=1).content


def test_three_windows_are_a_video_as_long_as_the_speech_without_a_seam(studio: Studio) -> None:
    film = studio(sound(studio.folder / "long.wav", TONE.format(1.51)))
    assert film.frames.shape == (38, 64, 64, 3) and film.fps == 25
    assert abs(film.seconds - 1.52) < 0.01 and abs(film.sound_s - 1.51) < 0.03
    assert film.ctx.done == [(1, 3), (2, 3), (3, 3)] and film.ctx.metrics["frames"] == 38
    assert film.frames.std() > 10
    steps = np.abs(np.diff(film.frames, axis=0)).mean(axis=(1, 2, 3))
    assert max(steps[15], steps[31]) <= 1.2 * np.median(steps)


def test_a_seed_says_what_comes_and_the_speech_changes_it(studio: Studio, short: Path) -> None:
    first = studio(short)
    assert len(first.frames) == 13
    assert studio(short).content == first.content
    assert np.abs(studio(short, seed=2).frames - first.frames).max() > 20
    other = sound(studio.folder / "other.mp3", "anoisesrc=r=48000:d=0.5:a=0.5:seed=3", "-ac", "2")
    assert np.abs(studio(other).frames - first.frames).max() > 10


@pytest.mark.parametrize("rung", ["model", "sequential"])
def test_a_rung_gives_the_same_bytes(studio: Studio, short: Path, plain: bytes, rung: str) -> None:
    assert studio(short, rung, cfg_scale=1).content == plain


WISHES = {
    "pose_weight": 0.0, "face_weight": 3.0, "lip_weight": 3.0, "face_expand_ratio": 2.0,
    "steps": 2, "separate_vocals": True, "vae_tiling": True, "crf": 35, "cfg_scale": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("name", WISHES)
def test_an_option_changes_the_video(studio: Studio, short: Path, plain: bytes, name: str) -> None:
    assert studio(short, **{"cfg_scale": 1, name: WISHES[name]}).content != plain


def test_halves_one_by_one_are_the_same_but_for_rounding(studio: Studio, short: Path) -> None:
    difference = np.abs(studio(short, halved=True).frames - studio(short).frames)
    assert difference.mean() < 1


def test_a_long_picture_is_cut_to_a_square_about_the_face(studio: Studio, short: Path) -> None:
    tall = studio.folder / "tall.png"
    Image.new("RGB", (300, 900), "olive").save(tall)
    assert studio(short, image=str(tall), cfg_scale=1).frames.shape[1:] == (64, 64, 3)


def test_a_film_is_restored_and_enlarged_where_that_is_asked_for(
    studio: Studio, short: Path, plain: bytes
) -> None:
    """As many frames, of 512 at least, with all of the networks' files of the checkpoint."""
    film = studio(short, cfg_scale=1, super_resolution="codeformer", bg_upsampler="realesrgan")
    assert film.frames.shape == (13, 512, 512, 3) and film.content != plain
    assert film.ctx.metrics["restored"] == 13 and film.ctx.done == [(1, 1)]


WITHOUT = {
    "no background to enlarge": {"face_upsample": True},
    "no faces to restore": {"bg_upsampler": "realesrgan"},
}


@pytest.mark.parametrize("name", WITHOUT)
def test_options_of_super_resolution_want_it(name: str, tmp_path: Path) -> None:
    empty = Studio(tmp_path / "none", tmp_path)
    with pytest.raises(InputError) as refused:
        empty(sound(tmp_path / "s.wav", TONE.format(1)), **WITHOUT[name])
    assert "--super-resolution codeformer" in refused.value.hint


def test_files_that_are_not_those_of_super_resolution_are_refused(
    studio: Studio, short: Path, tmp_path: Path
) -> None:
    """With a sentence, and no video."""
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(studio.weights[predict.REPO], checkpoint)
    (checkpoint / "facelib" / "parsing_parsenet.pth").write_bytes(b"<html>")
    broken = Studio(checkpoint, tmp_path)
    with pytest.raises(InputError, match=r"parsing_parsenet\.pth cannot be read"):
        broken(short, cfg_scale=1, super_resolution="codeformer")
    assert not (tmp_path / "made.mp4").exists()


REFUSED = {
    "silence": ("anullsrc=r=16000:d=1", "s.wav", {}, "silent"),
    "a tenth of a second": ("sine=duration=0.1", "s.wav", {}, "0.10 s long"),
    "two hours": ("sine=sample_rate=8000:duration=7210", "s.flac", {}, "longer than 120"),
    "a video without sound": ("testsrc=size=64x64:duration=0.2", "s.mp4", {}, "no sound track"),
    "no face": (TONE.format(1), "s.wav", {"image": "none", "face": "checked"}, "no face was found"),
    "a tiny picture": (TONE.format(1), "s.wav", {"image": "tiny", "face": "any"}, "too small"),
    "a huge one": (TONE.format(1), "s.wav", {"image": "huge"}, "too large"),
    "no picture": (TONE.format(1), "s.wav", {"image": __file__}, "cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_spoken_is_said_before_any_weights_are_loaded(
    name: str, tmp_path: Path
) -> None:
    source, file, wishes, told = REFUSED[name]
    if wishes.get("image") in ("none", "tiny", "huge"):
        wishes = {**wishes, "image": picture(tmp_path, wishes["image"], PORTRAIT)}
    empty = Studio(tmp_path / "none", tmp_path)
    with pytest.raises(InputError, match=told):
        empty(sound(tmp_path / file, source), **wishes)


def test_a_picture_in_which_the_models_own_detector_finds_no_face_is_refused(
    studio: Studio, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict.FaceReader, "largest", lambda *_: None)
    with pytest.raises(InputError, match="own detector"):
        studio(short)


def test_numbers_that_are_none_are_no_video(
    studio: Studio, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting = predict.sitting

    def nobody(*given: object) -> predict.Portrait:
        portrait = sitting(*given)
        return replace(portrait, embedding=portrait.embedding * float("nan"))

    monkeypatch.setattr(predict, "sitting", nobody)
    with pytest.raises(OutputError, match="none"):
        studio(short)


def test_several_faces_are_told(studio: Studio, short: Path, tmp_path: Path) -> None:
    made = studio(short, image=picture(tmp_path, "pair", PORTRAIT), face="checked", cfg_scale=1)
    assert any("2 faces were found" in told for told in made.ctx.warnings)
