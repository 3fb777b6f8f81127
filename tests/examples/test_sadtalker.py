"""sadtalker from its repo and its two files, in a container and in a virtual environment on the
CPU, with small checkpoints in the official layout."""

from __future__ import annotations

import re
import shutil
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.examples.hosted import environment_without_docker, python_of, use_torch_for_cpus
from tests.examples.models import (
    EXAMPLES,
    GONE,
    INSIDE,
    SAMPLE,
    SUPPORT,
    Models,
    built,
    pixels,
    probe,
    sound,
)
from tests.support.engine import Engine
from tests.support.hub import Hub

REPO = "vinthony/SadTalker-V002rc"
FILES = ("detection_Resnet50_Final.pth", "alignment_WFLW_4HG.pth")
OF_ENHANCERS = ("GFPGANv1.4.pth", "parsing_parsenet.pth", "RealESRGAN_x2plus.pth")
MAKE = ("-m", "checkpoints.sadtalker")
FRAMES = 10
SECONDS = FRAMES / 25
SMALL = ("--preprocess", "resize", "--gpus", "none", "--seed", "5")
BOTH = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
in_a_container = pytest.mark.parametrize("installed", BOTH[:1], indirect=True)
"""What has nothing to do with the engine is tried in one."""


@dataclass(frozen=True)
class Talker:
    """A cvl that has the example with the files of a hub of the tests' own, and an engine."""

    models: Models
    engine: str

    @property
    def folder(self) -> Path:
        return self.models.folder

    def film(self, name: str, audio: str, *words: str, **more: str) -> Path:
        """NAME.mp4; where words come twice, the later ones count."""
        given = {"--image": str(SAMPLE), **pairs(SMALL), **pairs(words)}
        flat = [word for pair in given.items() for word in pair if word]
        made = (*flat, "--audio", audio, "--engine", self.engine, "-o", f"{name}.mp4")
        self.models.run("sadtalker", *made, **more)
        return self.folder / f"{name}.mp4"

    def asked(self, since: int) -> set[str]:
        """Names of the files that the hub was asked for, without so many requests before."""
        log = self.models.hub.log()[since:]
        return {Path(request.file).name for request in log if request.file}

    def fails(self, *words: str) -> tuple[int, str, str]:
        """(exit code, message, hint)."""
        return self.models.fails("sadtalker", *words, "--engine", self.engine)


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """Options and their values; of a flag the value is empty."""
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word
            found[name] = ""
        else:
            found[name] = word
    return found


@pytest.fixture(scope="module", params=BOTH)
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Talker]:
    folder = tmp_path_factory.mktemp(f"sadtalker-{request.param}")
    example = folder / "examples" / "sadtalker"
    shutil.copytree(EXAMPLES / "sadtalker", example)
    if request.param == "docker":
        served: Models = request.getfixturevalue("served")
        engine: Engine = request.getfixturevalue("engine")
        make_in_image(engine, built("sadtalker", served.environment), folder / "made")
        models = Models({**served.environment, "CVL_EXAMPLES": str(example.parent)}, folder,
                        served.hub)  # fmt: skip
        publish(models.hub, folder / "made", example)
        yield Talker(models, request.param)
        return
    environment = {**environment_without_docker(folder), "CVL_EXAMPLES": str(example.parent)}
    use_torch_for_cpus(example, folder / "wheels")
    make = [python_of("sadtalker", environment), *MAKE, "--example", str(example)]
    subprocess.run([*make, "--output", str(folder / "made")], cwd=SUPPORT, check=True)
    with Hub(folder / "served") as hub:
        publish(hub, folder / "made", example)
        environment |= hub.environment(folder / "hf")
        yield Talker(Models(environment, folder, hub), request.param)


def make_in_image(engine: Engine, image: str, folder: Path) -> None:
    """Checkpoints, by the torch and the modules of the example's own image."""
    folder.mkdir()
    engine.docker(
        "run", "--rm", "--network", "none", "--entrypoint", "python",
        "--volume", f"{SUPPORT}:/tests/support:ro", "--volume", f"{INSIDE}:/cvl/inside:ro",
        "--volume", f"{folder}:/made", "--workdir", "/tests/support", image, *MAKE,
        "--example", "/app", "--output", "/made",
    )  # fmt: skip


def publish(hub: Hub, made: Path, example: Path) -> None:
    """The repo, and the files at URLs, which the example's manifest then names."""
    hub.push(REPO, made / "repo")
    manifest = example / "example.yaml"
    text = manifest.read_text()
    for name in FILES + OF_ENHANCERS:
        file = hub.publish(f"v0.1.0/{name}", made / name)
        said = rf"url: \S+/{name}\n( +)sha256: \w+\n +size: \d+\n"
        now = rf"url: {file.url}\n\1sha256: {file.sha256}\n\1size: {file.size}\n"
        text, count = re.subn(said, now, text)
        assert count == 1
    manifest.write_text(text)


@pytest.fixture
def talker(installed: Talker, tmp_path: Path) -> Talker:
    return Talker(installed.models.at(tmp_path), installed.engine)


@pytest.fixture
def tone(tmp_path: Path) -> str:
    return sound(tmp_path, "tone.wav", f"sine=frequency=300:duration={SECONDS}")


def test_a_video_is_as_long_as_the_speech_and_a_seed_says_what_comes(
    talker: Talker, tone: str, tmp_path: Path
) -> None:
    before = len(talker.models.hub.log())
    first = talker.film("first", tone, "--preprocess", "crop")
    found = probe(first)
    assert (found.frames, found.fps, found.width, found.audio) == (FRAMES, 25, 256, True)
    asked = talker.asked(before)
    assert asked >= {*FILES, "SadTalker_V0.0.2_256.safetensors"}
    assert not asked & {*OF_ENHANCERS}
    again = talker.film(
        "again", tone, "--preprocess", "crop", "--no-cache", "--offline", HF_ENDPOINT=GONE
    )
    assert again.read_bytes() == first.read_bytes()
    other = sound(tmp_path, "other.wav", f"anoisesrc=r=16000:d={SECONDS}:a=0.5:seed=3")
    changed = talker.film("other", other, "--preprocess", "crop")
    assert np.abs(pixels(changed) - pixels(first)).max() > 0.02


@in_a_container
def test_the_whole_picture_with_the_face_of_512_pixels_pasted_back(
    talker: Talker, tone: str
) -> None:
    made = probe(talker.film("full", tone, "--preprocess", "full", "--size", "512", "--still"))
    with Image.open(SAMPLE) as picture:
        width, height = picture.size
    assert (made.width, made.height) == (width + width % 2, height + height % 2)
    assert made.frames == FRAMES


@in_a_container
def test_faces_and_what_is_round_them_are_drawn_anew_by_weights_that_are_fetched_then(
    talker: Talker, tmp_path: Path
) -> None:
    short = sound(tmp_path, "short.wav", "sine=frequency=300:duration=0.28")
    finest = ("--preprocess", "crop", "--background-enhancer", "realesrgan", "--enhancer")
    before = len(talker.models.hub.log())
    made = probe(talker.film("fine", short, *finest, "gfpgan"))
    assert (made.frames, made.width) == (7, 512)
    assert talker.asked(before) >= {*OF_ENHANCERS}


@in_a_container
def test_a_video_whose_head_and_eyes_are_followed_changes_the_frames(
    talker: Talker, tone: str
) -> None:
    turned = talker.film("turned", tone, "--yaw", "-30", "--pitch", "10")
    followed = ("--ref-pose", str(turned), "--ref-eyeblink", str(turned))
    again = talker.film("followed", tone, *followed)
    assert np.abs(pixels(again) - pixels(turned)).max() > 0.02


def test_the_pipeline_takes_it_as_its_avatar(talker: Talker, tone: str) -> None:
    own = talker.models.environment["CVL_EXAMPLES"]
    words = ("--audio", tone, "--image", str(SAMPLE), "--avatar", "sadtalker", "--gpus", "none")
    words += ("--talk.preprocess", "full", "--engine", talker.engine, "-o", "talking.mp4")
    data = talker.models.run("avatar_video", *words, CVL_EXAMPLES=f"{own}:{EXAMPLES}")
    assert set(data["steps"]) == {"talk", "final"} and not data["degraded"]
    made = probe(talker.folder / "talking.mp4")
    assert made.audio and made.frames == FRAMES


def stereo(folder: Path) -> str:
    return sound(folder, "STEREO.MP3", f"anoisesrc=r=48000:d={SECONDS}:a=0.5:seed=3", "-ac", "2")


def pictured(folder: Path) -> str:
    """A video whose sound is the speech."""
    film = ("-f", "lavfi", "-i", f"testsrc=size=64x64:duration={SECONDS}")
    return sound(folder, "my.film; $(id).Mp4", f"sine=duration={SECONDS}", *film)


@in_a_container
@pytest.mark.parametrize("speech", [stereo, pictured])
def test_speech_of_every_kind(talker: Talker, tmp_path: Path, speech: Any) -> None:
    made = probe(talker.film("made", speech(tmp_path)))
    assert FRAMES <= made.frames <= FRAMES + 3  # coders add what their frames need
    assert made.audio


def portraits(folder: Path) -> Iterator[Path]:
    """Of every kind, 120 pixels wide and 160 high when they are seen."""
    with Image.open(SAMPLE) as opened:
        source = opened.convert("RGB").resize((120, 160))
    source.convert("L").save(folder / "GREY.JPG")
    yield folder / "GREY.JPG"
    source.convert("RGBA").save(folder / "clear.v1.2.PNG")
    yield folder / "clear.v1.2.PNG"
    deep = np.asarray(source.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep; rm -rf $HOME.Png")
    yield folder / "deep; rm -rf $HOME.Png"
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side
    source.transpose(Image.Transpose.ROTATE_90).save(folder / "-turned.jpg", exif=exif)
    yield folder / "-turned.jpg"


@in_a_container
def test_pictures_of_every_kind(talker: Talker, tone: str, tmp_path: Path) -> None:
    for number, portrait in enumerate(portraits(tmp_path)):
        made = probe(talker.film(f"{number}", tone, "--image", str(portrait)))
        assert (made.width, made.height) == (256, 342), portrait.name


def blank(folder: Path, *size: int) -> str:
    path = folder / f"blank{size[0]}.png"
    Image.new("RGB", size, "olive").save(path)
    return str(path)


def pair(folder: Path) -> str:
    """Two that look at the camera."""
    with Image.open(SAMPLE) as opened:
        both = Image.new("RGB", (opened.width * 2, opened.height))
        for left in (0, opened.width):
            both.paste(opened, (left, 0))
    both.save(folder / "pair.png")
    return str(folder / "pair.png")


@in_a_container
def test_of_several_faces_the_caller_is_told(talker: Talker, tone: str, tmp_path: Path) -> None:
    words = ("--audio", tone, "--image", pair(tmp_path), "--gpus", "none", "-o", "pair.mp4")
    data = talker.models.run("sadtalker", *words, "--engine", talker.engine)
    assert any("2 faces were found" in warning for warning in data["warnings"])


REFUSED = {
    "silence": (("s.wav", "anullsrc=r=16000:d=1"), None, "silent"),
    "a tenth of a second": (("s.wav", "sine=duration=0.1"), None, "at least 0.25 s"),
    "no face": (None, (400, 400), "no face was found"),
    "a tiny picture": (None, (40, 40), "too small: 40x40"),
}


@in_a_container
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_speak_is_refused(name: str, talker: Talker, tone: str, tmp_path: Path) -> None:
    speech, size, told = REFUSED[name]
    audio = sound(tmp_path, *speech) if speech else tone
    image = blank(tmp_path, *size) if size else str(SAMPLE)
    words = ("--audio", audio, "--image", image, "--gpus", "none", "--seed", "5")
    code, message, hint = talker.fails(*words)
    assert code == 2 and told in message and hint, message


def hours(path: Path) -> str:
    """A minute more than two."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(1)
        stream.setframerate(8000)
        stream.writeframes(bytes(7260 * 8000))
    return str(path)


@in_a_container
def test_what_the_manifest_does_not_allow_is_refused_before_anything_starts(
    talker: Talker, tone: str, tmp_path: Path
) -> None:
    mute = sound(tmp_path, "mute.mp4", "testsrc=size=64x64:duration=1")
    huge = sound(tmp_path, "huge.png", "color=size=12000x10000", "-frames:v", "1")
    image = str(SAMPLE)
    for audio, picture, told in (
        (mute, image, "is not audio"),
        (hours(tmp_path / "long.wav"), image, "lasts 7260"),
        (tone, huge, "12000x10000 pixels"),
    ):
        words = ("--audio", audio, "--image", picture, "--gpus", "none")
        code, message, hint = talker.fails(*words)
        assert code == 2 and told in message and hint, message
