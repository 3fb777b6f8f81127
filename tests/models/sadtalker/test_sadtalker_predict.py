"""predict.py with small weights in the official layout, on this machine's CPU."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sadtalker_small as small
from PIL import Image

ROOT = small.HERE.parents[2]
sys.path[:0] = [str(ROOT / "cvl" / "inside")]

from cvl_inside import InputError, ffmpeg  # noqa: E402
from cvl_inside.programs import find_ffmpeg  # noqa: E402


def loaded(name: str, path: Path) -> ModuleType:
    """A module of a file, by a name that no other example's has."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


predict = loaded("sadtalker_predict", small.EXAMPLE / "predict.py")
CHECKPOINTS = ROOT / "tests" / "support" / "checkpoints"
checkpoint = loaded("sadtalker_checkpoint", CHECKPOINTS / "sadtalker.py")
SAMPLES = ROOT / "examples" / "sadtalker" / "samples"
FRAMES = 6
MODES = ["crop", "extcrop", "resize", "full", "extfull"]
DEFAULTS = {
    "size": "256", "preprocess": "resize", "still": False, "pose_style": 0,
    "expression_scale": 1.0, "ref_eyeblink": None, "ref_pose": None, "yaw": None, "pitch": None,
    "roll": None, "batch_size": 4, "crf": 18,
}  # fmt: skip


class Context:
    """What predict.py uses of cvl_inside's."""

    device, seed = "cpu", 3

    def __init__(self, folder: Path, path: Path) -> None:
        self.weights = {predict.REPO: str(folder / "repo")}
        self.weights |= {n: str(folder / n) for n in (predict.DETECTOR, predict.LANDMARKS)}
        self.path, self.done = path, 0.0

    def output(self, name: str) -> str:
        assert name == "video"
        return str(self.path)

    def progress(self, done: float, total: float, unit: str) -> None:
        assert self.done < done <= total
        self.done = done

    def metric(self, name: str, value: float) -> None:
        assert value > 0


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sadtalker")
    checkpoint.build(small.EXAMPLE, folder)
    return folder


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return spoken(tmp_path / "Speech $(x).1.WAV", small.wave()[: 640 * FRAMES + 100])


def spoken(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path


def made(weights: Path, path: Path, **given: Any) -> Path:
    context = Context(weights, path)
    given.setdefault("image", SAMPLES / "portrait.jpg")
    words = {name: str(v) if isinstance(v, Path) else v for name, v in given.items()}
    predict.SadTalker().predict(context, **{**DEFAULTS, **words})
    return path


def decoded(path: Path) -> np.ndarray:
    """(T, H, W, 3)."""
    probe = subprocess.run([str(find_ffmpeg()), "-i", str(path)], capture_output=True, text=True)
    size = next(
        word for line in probe.stderr.splitlines() if " Video: " in line
        for word in line.replace(",", " ").split() if word.count("x") == 1 and word[0].isdigit()
        and not word.startswith("0x")
    )  # fmt: skip
    assert " Audio: aac" in probe.stderr and " 25 fps" in probe.stderr
    width, height = map(int, size.split("x"))
    command = [ffmpeg(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("mode", MODES)
def test_every_way_to_cut_and_paste(weights: Path, speech: Path, tmp_path: Path, mode: str) -> None:
    frames = decoded(made(weights, tmp_path / "made.mp4", audio=speech, preprocess=mode))
    source = np.asarray(Image.open(SAMPLES / "portrait.jpg").convert("RGB")).astype(int)
    assert len(frames) == FRAMES and frames.std() > 5
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 8
    if "full" in mode:
        even = source[: source.shape[0] // 2 * 2, : source.shape[1] // 2 * 2]
        assert frames.shape[1:] == even.shape
        below = frames[0, -100:].astype(int) - even[-100:]
        assert np.abs(below).mean() < 4  # the rest is the picture
    else:
        assert frames.shape[2] == 256


def test_the_same_seed_gives_the_same_bytes_and_other_speech_other_frames(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    one, two = (made(weights, tmp_path / f"{n}.mp4", audio=speech) for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    other = spoken(tmp_path / "other.wav", small.wave()[20000 : 20000 + 640 * FRAMES])
    three = made(weights, tmp_path / "c.mp4", audio=other)
    assert (decoded(one) != decoded(three)).any()


def test_more_frames_at_a_time_give_the_same_frames(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    one, four = (
        decoded(made(weights, tmp_path / f"{n}.mp4", audio=speech, batch_size=n, crf=0))
        for n in (1, 4)
    )
    apart = np.abs(one.astype(int) - four)  # a step of 255, and what the video makes of it
    assert apart.max() <= 6 and apart.mean() < 0.05


def test_a_video_that_is_followed_changes_the_frames(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    plain = made(weights, tmp_path / "plain.mp4", audio=speech)
    turned = made(weights, tmp_path / "turned.mp4", audio=speech, yaw=[-30.0, 30.0])
    again = made(
        weights, tmp_path / "again.mp4", audio=speech, ref_pose=turned, ref_eyeblink=turned
    )
    assert len({path.read_bytes() for path in (plain, turned, again)}) == 3


@pytest.mark.parametrize("kind", ["grey", "alpha", "deep", "turned"])
def test_pictures_of_every_kind(weights: Path, speech: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "My Picture; rm -rf.PNG"
    with Image.open(SAMPLES / "portrait.jpg") as opened:
        source = opened.convert("RGB").resize((160, 200))
    if kind == "deep":
        deep = np.asarray(source.convert("L")).astype(np.uint16) * 257
        Image.fromarray(deep).save(path)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        source.save(path, exif=exif)
    else:
        source.convert({"grey": "L", "alpha": "RGBA"}[kind]).save(path)
    frames = decoded(made(weights, tmp_path / "made.mp4", audio=speech, image=path))
    width, height = (200, 160) if kind == "turned" else (160, 200)
    assert frames.shape[1:3] == (256 * height // width // 2 * 2, 256)


def test_a_picture_without_a_face_is_refused(
    weights: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sadtalker.face_detector.SURE", 1.0)
    with pytest.raises(InputError) as refused:
        made(weights, tmp_path / "made.mp4", audio=speech, preprocess="full")
    assert refused.value.code == "no_face" and "--preprocess resize" in refused.value.hint
    assert not (tmp_path / "made.mp4").exists()


def test_speech_without_a_frame_and_files_of_another_kind_are_refused(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    short = spoken(tmp_path / "short.wav", small.wave()[:600])
    text = tmp_path / "notes.txt"
    text.write_text("no picture, no sound")
    for given in ({"audio": short}, {"audio": text}, {"audio": speech, "image": text}):
        with pytest.raises(InputError) as refused:
            made(weights, tmp_path / "made.mp4", **given)
        assert refused.value.code in ("bad_audio", "bad_image") and refused.value.hint


@pytest.mark.parametrize(
    "name",
    ["repo/SadTalker_V0.0.2_256.safetensors", "repo/mapping_00229-model.pth.tar", predict.DETECTOR],
)
@pytest.mark.parametrize("damage", ["gone", "cut", "of another net"])
def test_weights_that_are_not_what_they_should_be_are_told(
    weights: Path, speech: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights, folder)
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "of another net":
        other = folder / ("repo/mapping_00109-model.pth.tar", predict.LANDMARKS)["00229" in name]
        path.write_bytes(other.read_bytes())
    with pytest.raises(InputError) as refused:
        made(folder, tmp_path / "made.mp4", audio=speech)
    assert refused.value.code == "bad_weights" and "cvl models verify" in refused.value.hint
