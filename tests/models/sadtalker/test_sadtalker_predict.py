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
sys.path[:0] = [str(ROOT / "tests" / "support")]

from checkpoints import sadtalker as checkpoint  # noqa: E402
from cvl_inside import InputError, ffmpeg  # noqa: E402
from cvl_inside.programs import find_ffmpeg  # noqa: E402
from filming import picture  # noqa: E402


def loaded(name: str, path: Path) -> ModuleType:
    """A module of a file, by a name that no other example's has."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


predict = loaded("sadtalker_predict", small.EXAMPLE / "predict.py")
SAMPLES = ROOT / "examples" / "sadtalker" / "samples"
FRAMES = 7  # the fewest that are a quarter of a second
MODES = ["crop", "extcrop", "resize", "full", "extfull"]
DEFAULTS = {
    "size": "256", "preprocess": "resize", "still": False, "pose_style": 0,
    "expression_scale": 1.0, "ref_eyeblink": None, "ref_pose": None, "yaw": None, "pitch": None,
    "roll": None, "batch_size": 4, "face": "checked", "enhancer": "none",
    "background_enhancer": "none",
}  # fmt: skip


class Context:
    """What predict.py uses of cvl_inside's."""

    device, seed = "cpu", 3

    def __init__(self, folder: Path, path: Path) -> None:
        self.weights = {predict.REPO: str(folder / "repo")}
        names = (predict.DETECTOR, predict.LANDMARKS, predict.RESTORER, predict.PARSER)
        names += (predict.ENLARGER,)
        self.weights |= {name: str(folder / name) for name in names}
        self.path, self.done, self.scratch = path, 0.0, str(path.parent)
        self.warned: list[str] = []

    def output(self, name: str) -> str:
        assert name == "video"
        return str(self.path)

    def progress(self, done: float, total: float, unit: str) -> None:
        assert self.done < done <= total
        self.done = done

    def metric(self, name: str, value: float, unit: str) -> None:
        assert value > 0 and unit

    def preview(self, image: Image.Image) -> None:
        assert self.done == 0 and image.mode == "RGB"

    def warning(self, message: str) -> None:
        self.warned.append(message)


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
        height, width, _ = source.shape
        assert frames.shape[1:3] == (height + height % 2, width + width % 2)
        below = frames[0, height - 100 : height, :width].astype(int) - source[-100:]
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
    weights: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[np.ndarray] = []
    keep = lambda frames, *_: kept.append(np.stack(list(frames)).astype(int))  # noqa: E731
    monkeypatch.setattr(predict, "write_video", keep)
    for count in (1, 4):
        made(weights, tmp_path / "none.mp4", audio=speech, batch_size=count)
    assert len(kept[0]) == FRAMES and np.abs(kept[0] - kept[1]).max() <= 1


def test_faces_that_are_drawn_anew(weights: Path, speech: Path, tmp_path: Path) -> None:
    plain, enhanced = (
        decoded(made(weights, tmp_path / f"{name}.mp4", audio=speech, enhancer=name))
        for name in ("none", "gfpgan")
    )
    assert enhanced.shape[1:3] == (plain.shape[1] * 2, plain.shape[2] * 2)
    apart = np.abs(enhanced[:, ::2, ::2].astype(int) - plain).max((0, 3))
    assert apart.max() > 40 and enhanced.std() > 5


def test_what_is_round_the_faces_is_drawn_anew(
    weights: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sadtalker.enhancing.five_points_of", lambda *_: np.zeros((0, 5, 2)))
    given = {"audio": speech, "enhancer": "gfpgan"}
    plain, enhanced = (
        decoded(made(weights, tmp_path / f"{name}.mp4", **given, background_enhancer=name))
        for name in ("none", "realesrgan")
    )
    assert enhanced.shape == plain.shape
    assert np.abs(enhanced.astype(int) - plain).mean() > 20 and enhanced.std() > 5


def test_the_background_alone_is_not_enhanced_and_on_a_cpu_it_is_slow(
    weights: Path, tmp_path: Path
) -> None:
    context = Context(weights, tmp_path / "made.mp4")
    with pytest.raises(InputError, match="faces that are drawn anew") as refused:
        predict.drawing_anew(context, "none", "realesrgan")
    assert "--enhancer gfpgan" in refused.value.hint and not context.warned
    assert predict.ENLARGER in predict.drawing_anew(context, "gfpgan", "realesrgan")
    assert len(context.warned) == 1 and "slow on a CPU" in context.warned[0]


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
    assert frames.shape[1:3] == (-(-(256 * height // width) // 2) * 2, 256)


def test_where_the_detector_is_sure_of_no_face_that_is_told(
    weights: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sadtalker.reading.find_face", lambda *_: None)
    with pytest.raises(InputError) as refused:
        made(weights, tmp_path / "made.mp4", audio=speech, preprocess="full")
    assert refused.value.code == "no_face" and "--preprocess resize" in refused.value.hint
    assert not (tmp_path / "made.mp4").exists()


def test_a_picture_without_a_face_is_refused_unless_any_is_asked_for(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    none = tmp_path / "none.png"
    Image.new("RGB", (300, 300), "olive").save(none)
    given = {"audio": speech, "image": none, "preprocess": "crop"}
    with pytest.raises(InputError, match="no face was found") as refused:
        made(tmp_path, tmp_path / "made.mp4", **given)  # there are no weights there
    assert "--face any" in refused.value.hint
    assert len(decoded(made(weights, tmp_path / "made.mp4", **given, face="any"))) == FRAMES


def test_of_several_faces_the_caller_is_told_and_one_speaks(
    weights: Path, speech: Path, tmp_path: Path
) -> None:
    context = Context(weights, tmp_path / "made.mp4")
    pair = picture(tmp_path, "pair", SAMPLES / "portrait.jpg")
    words = {**DEFAULTS, "audio": str(speech), "image": pair}
    predict.SadTalker().predict(context, **{**words, "preprocess": "full"})
    assert len(context.warned) == 1 and "2 faces" in context.warned[0]
    assert len(decoded(tmp_path / "made.mp4")) == FRAMES


def test_one_that_stays_loads_its_nets_once(
    weights: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []
    load = predict.load
    monkeypatch.setattr(predict, "load", lambda *given: loads.append(1) or load(*given))
    one = predict.SadTalker()
    words = {**DEFAULTS, "image": str(SAMPLES / "portrait.jpg"), "audio": str(speech)}
    contents = []
    for index, mode in enumerate(("crop", "crop", "full", "crop")):
        path = tmp_path / f"{index}.mp4"
        one.predict(Context(weights, path), **{**words, "preprocess": mode})
        contents.append(path.read_bytes())
    assert len(loads) == 3
    assert contents[0] == contents[1] == contents[3] != contents[2]


def sounding(path: Path, *source: str) -> Path:
    """What ffmpeg's own generators give."""
    subprocess.run([ffmpeg(), "-v", "error", *source, str(path)], check=True)
    return path


LAVFI = ("-f", "lavfi", "-i")
SPEECHES = {
    "STEREO.MP3": (*LAVFI, "anoisesrc=r=48000:d=0.4:a=0.5:seed=3", "-ac", "2"),
    "my.speech; $(rm -rf x).Mp4": (
        *LAVFI, "testsrc=size=64x64:duration=0.4", *LAVFI, "sine=duration=0.4"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPEECHES)
def test_speech_of_every_kind(weights: Path, tmp_path: Path, name: str) -> None:
    audio = sounding(tmp_path / name, *SPEECHES[name])
    frames = decoded(made(weights, tmp_path / "made.mp4", audio=audio))
    assert 10 <= len(frames) <= 13  # coders add what their frames need


REFUSED = {
    "a tenth of a second": ("short.wav", (*LAVFI, "sine=duration=0.1"), "at least 0.25 s"),
    "silence": ("silent.wav", (*LAVFI, "anullsrc=r=16000:d=1"), "silent"),
    "no sound": ("film.mp4", (*LAVFI, "testsrc=size=64x64:duration=1"), "no sound track"),
    "more than two hours": (
        "long.wav", (*LAVFI, "anullsrc=r=8000:cl=mono:d=7202"), "longer than 120 minutes"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_can_speak_is_refused_before_weights_are_loaded(
    name: str, tmp_path: Path
) -> None:
    file, source, told = REFUSED[name]
    with pytest.raises(InputError, match=told) as refused:
        made(tmp_path, tmp_path / "made.mp4", audio=sounding(tmp_path / file, *source))
    assert refused.value.code == "bad_audio" and refused.value.hint


@pytest.mark.parametrize(
    ("kind", "told"), [("tiny", "too small: 40x40"), ("huge", "too large: more than 178956970")]
)
def test_what_is_no_portrait_is_refused_before_weights_are_loaded(
    kind: str, told: str, speech: Path, tmp_path: Path
) -> None:
    image = picture(tmp_path, kind, SAMPLES / "portrait.jpg")
    with pytest.raises(InputError, match=told):
        made(tmp_path, tmp_path / "made.mp4", audio=speech, image=image)


def test_what_is_no_picture_at_all_is_refused(speech: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        made(tmp_path, tmp_path / "made.mp4", audio=speech, image=speech)


@pytest.mark.parametrize(
    "name",
    [
        "repo/SadTalker_V0.0.2_256.safetensors",
        "repo/mapping_00229-model.pth.tar",
        predict.DETECTOR,
        predict.RESTORER,
        predict.ENLARGER,
    ],
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
        all_nets = {"enhancer": "gfpgan", "background_enhancer": "realesrgan"}
        made(folder, tmp_path / "made.mp4", audio=speech, **all_nets)
    assert refused.value.code == "bad_weights" and "cvl models verify" in refused.value.hint
