"""What examples on diffusers have in common, as far as it needs no torch."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvl.inside.cvl_inside.decoding import OutputError
from cvl.inside.cvl_inside.diffusion.calling import arguments
from cvl.inside.cvl_inside.diffusion.families import family_in
from cvl.inside.cvl_inside.diffusion.frames import finite_frames, write_video, write_wav
from cvl.inside.cvl_inside.diffusion.pictures import covering, open_picture, sized_like
from cvl.inside.cvl_inside.diffusion.sizes import Shape, legal_shape, parse_size
from cvl.inside.cvl_inside.predictor import InputError
from tests.examples.models import probe


class Pipe:
    """Says of itself what Wan's pipeline says."""

    vae_scale_factor_spatial = 8
    vae_scale_factor_temporal = 4
    transformer = SimpleNamespace(config=SimpleNamespace(patch_size=(1, 2, 2)))

    def __call__(self, prompt: str, num_frames: int = 81, generator: Any = None) -> None:
        raise AssertionError("nothing here computes")


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((832, 480, 81), (832, 480, 81)),
        ((833, 487, 80), (832, 480, 81)),
        ((1, 1, 1), (16, 16, 1)),
        ((40, 40, 7), (48, 48, 9)),
        ((None, None, None), (None, None, None)),
    ],
)
def test_the_nearest_size_and_length(asked: Any, made: Any) -> None:
    warnings: list[str] = []
    ctx: Any = SimpleNamespace(warning=warnings.append)
    assert legal_shape(ctx, Pipe(), Shape(*asked)) == Shape(*made)
    changed = (asked[:2] != made[:2]) + (asked[2] != made[2])
    assert len(warnings) == changed


@pytest.mark.parametrize("text", ["832", "x480", "832x", "wide", "832x480x3", "-8x8"])
def test_a_size_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="832x480"):
        parse_size(text)
    assert parse_size("832X480") == (832, 480) and parse_size(None) == (None, None)


def test_what_nobody_asked_for_is_not_passed_and_what_it_does_not_take_is_named() -> None:
    pipe = Pipe()
    assert arguments(pipe, {"prompt": "a fox", "num_frames": None}, {}) == {"prompt": "a fox"}
    with pytest.raises(InputError, match=r"Pipe takes no num_frame$") as caught:
        arguments(pipe, {"prompt": "a"}, {"num_frame": 5})
    assert caught.value.hint == "did you mean num_frames?"
    with pytest.raises(InputError, match="Pipe takes no generator"):
        arguments(pipe, {}, {"generator": 1})


def test_a_family_is_told_by_its_class_and_its_configuration() -> None:
    assert family_in("WanPipeline", {}).fps == 16
    five = family_in("WanPipeline", {"expand_timesteps": True})
    assert (five.fps, five.from_image) == (24, "WanImageToVideoPipeline")
    assert family_in("LTX2Pipeline", {}).sound and not family_in("LTXPipeline", {}).sound
    assert family_in("Unheard", {}).fps > 0


def test_a_picture_is_upright_opaque_and_cut_to_its_middle(tmp_path: Path) -> None:
    made = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    made.paste((255, 0, 0, 255), (10, 0, 30, 20))
    made.save(tmp_path / "a.png")
    opened = open_picture(str(tmp_path / "a.png"))
    assert (opened.mode, opened.getpixel((1, 1))) == ("RGB", (255, 255, 255))
    assert covering(opened, 16, 16).getpixel((8, 8)) == (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    opened.save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(str(tmp_path / "turned.jpg")).size == (20, 40)
    (tmp_path / "none.png").write_text("no picture")
    with pytest.raises(InputError, match="cannot be read"):
        open_picture(str(tmp_path / "none.png"))


def test_a_picture_of_16_bits_keeps_its_upper_8_and_a_colour_may_be_transparent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = np.array([[0, 255, 256, 0x8000, 0xFFFF]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    opened = open_picture(str(tmp_path / "deep.png"))
    assert np.asarray(opened)[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "key.png", transparency=(9, 8, 7))
    assert open_picture(str(tmp_path / "key.png")).getpixel((0, 0)) == (255, 255, 255)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(InputError, match="too large: more than 2 pixels"):
        open_picture(str(tmp_path / "key.png"))


def test_the_size_of_a_video_follows_its_picture() -> None:
    width, height = sized_like(Image.new("RGB", (900, 1600)), (832, 480))
    assert abs(width * height - 832 * 480) < 2000 and abs(height / width - 16 / 9) < 0.01


def test_frames_that_are_no_pictures_are_refused() -> None:
    good = np.full((1, 2, 4, 4, 3), 0.5, np.float32)
    assert finite_frames(good).shape == (2, 4, 4, 3) and finite_frames(good).max() == 128
    for bad in (np.full_like(good, np.nan), good[:, :0], good[..., :2]):
        with pytest.raises(OutputError):
            finite_frames(bad)


def test_frames_that_come_one_by_one_are_written_as_they_come(tmp_path: Path) -> None:
    """With the sound of a file; a failure between two of them leaves no ffmpeg behind."""
    frames = np.random.default_rng(1).integers(0, 255, (6, 16, 16, 3), np.uint8)
    sound = np.sin(np.linspace(0, 300, 12000))[None].astype(np.float32)
    write_wav(sound, 24000, tmp_path / "sound.wav")
    write_video(frames, 12, str(tmp_path / "a.mp4"), sound, 24000)
    write_video(iter(frames), 12, str(tmp_path / "b.mp4"), str(tmp_path / "sound.wav"))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()

    def failing() -> Iterator[object]:
        yield frames[0]
        raise MemoryError

    with pytest.raises(MemoryError):
        write_video(failing(), 12, str(tmp_path / "c.mp4"))
    assert subprocess.run(["pgrep", "-f", str(tmp_path / "c.mp4")], check=False).returncode == 1


def test_a_video_has_its_frames_rate_and_sound_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (6, 15, 17, 3), np.uint8)
    sound = np.sin(np.linspace(0, 300, 12000))[None].astype(np.float32)
    for name in ("a.mp4", "b.mp4"):
        write_video(frames, 12, str(tmp_path / name), sound, 24000)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    found = probe(tmp_path / "a.mp4")
    assert (found.frames, found.fps, found.width, found.height) == (6, 12.0, 18, 16)
    assert found.audio
    with pytest.raises(OutputError, match="sound"):
        write_video(frames, 12, str(tmp_path / "c.mp4"), sound * np.nan, 24000)
