"""The postprocess example as modules, small generated media, and what finished files hold."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "postprocess"
MODULES = (
    "sniff", "ffmpeg", "streams", "probe", "options", "timeline",
    "graph", "encode", "loudness", "texts", "predict",
)  # fmt: skip
HOSTILE = "%{pts}:a='b',[c];\\d %d $(id) 100%"
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


@pytest.fixture(scope="module", name="post")
def post_fixture() -> Iterator[SimpleNamespace]:
    """The example's modules, imported from its folder and forgotten afterwards."""
    added = [str(FOLDER), str(ROOT / "cvl" / "inside")]
    sys.path[:0] = added
    for name in MODULES:
        sys.modules.pop(name, None)
    modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name)
    del sys.path[: len(added)]
    yield SimpleNamespace(**modules)


@pytest.fixture(scope="module", name="media")
def media_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs: mute, odd-sided, turned, of uneven frame times, long, short, silent."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "clip.mp4").write_bytes((FOLDER / "samples" / "clip.mp4").read_bytes())
    _write_pictures(folder)
    _write_sounds(folder)
    (folder / "lines.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nWWWWWW\n\n"
        "2\n00:00:01,200 --> 00:00:09,000\nSecond: it's, [x]\n"
    )
    return folder


def _write_pictures(folder: Path) -> None:
    picture = "testsrc2=s=160x120:r=25:d=1"
    ffmpeg(*lavfi(picture), *X264, f"{folder}/mute.mp4")
    odd = lavfi("testsrc=s=101x75:r=30:d=1", "sine=500:d=1")
    ffmpeg(*odd, "-c:v", "libx264", "-pix_fmt", "yuv444p", "-ac", "2", f"{folder}/odd.mkv")
    turn = ["-c", "copy", "-metadata:s:v", "rotate=90"]
    ffmpeg("-i", f"{folder}/mute.mp4", *turn, f"{folder}/turned.mp4")
    drop = ["-vf", "select='not(eq(mod(n,5),2))'", "-vsync", "vfr"]
    ffmpeg(*lavfi(picture), *drop, *X264, f"{folder}/uneven.mp4")


def _write_sounds(folder: Path) -> None:
    ffmpeg(*lavfi("sine=300:d=3,volume=0.5"), "-ac", "2", f"{folder}/long.wav")
    ffmpeg(*lavfi("sine=300:d=0.6"), "-b:a", "64k", f"{folder}/short.mp3")
    ffmpeg(*lavfi("anullsrc=d=1"), f"{folder}/silent.wav")
    clicks = "0.02*sin(400*2*PI*t)+0.9*lt(mod(t,1),0.003)*sin(3000*2*PI*t)"
    ffmpeg(*lavfi(f"aevalsrc='{clicks}':d=4:s=48000"), f"{folder}/clicks.wav")


def ffmpeg(*args: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *args], check=True)


def lavfi(*sources: str) -> list[str]:
    return [part for source in sources for part in ("-f", "lavfi", "-i", source)]


class Context:
    """What cvl gives a predictor, recording what it is told."""

    seed = 0

    def __init__(self, outputs: dict[str, Path]) -> None:
        self.outputs = outputs
        self.progressed: list[tuple[float, float, str]] = []
        self.metrics: dict[str, float] = {}
        self.warnings: list[str] = []

    def wants(self, name: str) -> bool:
        return name in self.outputs

    def output(self, name: str) -> str:
        return str(self.outputs[name])

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        self.progressed.append((done, total, unit))

    def metric(self, name: str, value: float, unit: str = "") -> None:
        self.metrics[name] = value

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def make(post: Any, outputs: dict[str, Path], **inputs: Any) -> Context:
    """Make the outputs; returns what the predictor told of them."""
    ctx = Context(outputs)
    paths = {k: str(v) if isinstance(v, Path) else v for k, v in inputs.items()}
    returned = post.predict.Postprocess().predict(ctx, **paths)
    assert returned == {name: str(path) for name, path in outputs.items()}
    return ctx


def video(post: Any, folder: Path, name: str = "out.mp4", **inputs: Any) -> dict[str, Any]:
    """Make a video; returns what is in it."""
    make(post, {"video": folder / name}, **inputs)
    return inspect(folder / name)


def refused(post: Any, outputs: dict[str, Path], **inputs: Any) -> Any:
    """The error for inputs that must be refused, with nothing written."""
    with pytest.raises(post.predict.InputError) as caught:
        make(post, outputs, **inputs)
    assert not [path for path in outputs.values() if path.exists()]
    return caught.value


def inspect(path: Path) -> dict[str, Any]:
    """ffprobe's streams by kind, with their frames counted, and the length in seconds."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format"]
    done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True)
    answer = json.loads(done.stdout)
    found: dict[str, Any] = {s["codec_type"]: s for s in answer["streams"]}
    return {**found, "seconds": float(answer["format"].get("duration", 0))}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def grey(path: Path, seconds: float = 0.0, size: str = "64:48") -> bytes:
    """One frame, small and grey."""
    seek = ["-ss", str(seconds)] if seconds else []
    command = ["ffmpeg", "-loglevel", "error", *seek, "-i", str(path), "-frames:v", "1"]
    command += ["-vf", f"scale={size},format=gray", "-f", "rawvideo", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout
    return done.stdout


def recording(real: Any, seen: list[str]) -> Any:
    """`subprocess.run` or `Popen` that also adds every argument to `seen`."""

    def call(argv: list[str], *args: Any, **more: Any) -> Any:
        seen.extend(argv)
        return real(argv, *args, **more)

    return call if not isinstance(real, type) else _recording_class(real, seen)


def _recording_class(real: Any, seen: list[str]) -> Any:
    class Recording(real):  # type: ignore[misc]
        def __init__(self, argv: list[str], *args: Any, **more: Any) -> None:
            seen.extend(argv)
            super().__init__(argv, *args, **more)

    return Recording
