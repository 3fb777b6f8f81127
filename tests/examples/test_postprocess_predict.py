"""The postprocess example, run on this machine's ffmpeg with small generated media."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "postprocess"
MODULES = (
    "sniff",
    "ffmpeg",
    "probe",
    "options",
    "timeline",
    "graph",
    "encode",
    "loudness",
    "texts",
    "predict",
)
HOSTILE = "%{pts}:a='b',[c];\\d %d $(id) 100%"


@pytest.fixture(scope="module")
def post() -> Iterator[SimpleNamespace]:
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


def ffmpeg(*args: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *args], check=True)


def lavfi(*sources: str) -> list[str]:
    return [part for source in sources for part in ("-f", "lavfi", "-i", source)]


X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs: mute, odd-sided, turned, of uneven frame times, long, short, silent."""
    folder = tmp_path_factory.mktemp("media")
    clip, picture = str(FOLDER / "samples" / "clip.mp4"), "testsrc2=s=160x120:r=25:d=1"
    (folder / "clip.mp4").write_bytes(Path(clip).read_bytes())
    ffmpeg(*lavfi(picture), *X264, f"{folder}/mute.mp4")
    ffmpeg(
        *lavfi("testsrc=s=101x75:r=30:d=1", "sine=500:d=1"),
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv444p",
        "-ac",
        "2",
        f"{folder}/odd.mkv",
    )
    ffmpeg(
        "-i",
        f"{folder}/mute.mp4",
        "-c",
        "copy",
        "-metadata:s:v",
        "rotate=90",
        f"{folder}/turned.mp4",
    )
    ffmpeg(
        *lavfi(picture),
        "-vf",
        "select='not(eq(mod(n,5),2))'",
        "-vsync",
        "vfr",
        *X264,
        f"{folder}/uneven.mp4",
    )
    ffmpeg(*lavfi("sine=300:d=3,volume=0.5"), "-ac", "2", f"{folder}/long.wav")
    ffmpeg(*lavfi("sine=300:d=0.6"), "-b:a", "64k", f"{folder}/short.mp3")
    ffmpeg(*lavfi("anullsrc=d=1"), f"{folder}/silent.wav")
    clicks = "0.02*sin(400*2*PI*t)+0.9*lt(mod(t,1),0.003)*sin(3000*2*PI*t)"
    ffmpeg(*lavfi(f"aevalsrc='{clicks}':d=4:s=48000"), f"{folder}/clicks.wav")
    (folder / "lines.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nWWWWWW\n\n"
        "2\n00:00:01,200 --> 00:00:09,000\nSecond: it's, [x]\n"
    )
    return folder


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
    with pytest.raises(post.predict.InputError) as caught:
        make(post, outputs, **inputs)
    assert not [path for path in outputs.values() if path.exists()]
    return caught.value


def inspect(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [
            "ffprobe",
            "-v",
            "error",
            "-count_frames",
            "-show_streams",
            "-show_format",
            "-of",
            "json",
            str(path),
        ],
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    found: dict[str, Any] = {s["codec_type"]: s for s in answer["streams"]}
    return {**found, "seconds": float(answer["format"].get("duration", 0))}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lufs(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak by ffmpeg's ebur128, not by the filter under test."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-hide_banner",
            "-nostats",
            "-i",
            str(path),
            "-af",
            "ebur128=peak=true",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    printed = done.stderr.decode()
    return (
        float(re.findall(r"I: +(\S+) LUFS", printed)[-1]),
        float(re.findall(r"Peak: +(\S+) dBFS", printed)[-1]),
    )


def grey(path: Path, seconds: float = 0.0, size: str = "64:48") -> bytes:
    """One frame, small and grey."""
    seek = ["-ss", str(seconds)] if seconds else []
    done = subprocess.run(
        [
            "ffmpeg",
            "-loglevel",
            "error",
            *seek,
            "-i",
            str(path),
            "-frames:v",
            "1",
            "-vf",
            f"scale={size},format=gray",
            "-f",
            "rawvideo",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    assert done.stdout
    return done.stdout


def brightness(path: Path, seconds: float) -> float:
    frame = grey(path, seconds)
    return sum(frame) / len(frame)


def atoms(path: Path) -> list[str]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        found.append(data[at + 4 : at + 8].decode("latin-1"))
        at += int.from_bytes(data[at : at + 4], "big") or len(data)
    return found


# --- nothing to change ----------------------------------------------------------------------------


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


# --- lengths --------------------------------------------------------------------------------------


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


def test_mixing_keeps_the_videos_length_and_both_sounds(
    post: Any, media: Path, tmp_path: Path
) -> None:
    make(
        post,
        {"video": tmp_path / "o.mp4", "audio": tmp_path / "o.wav"},
        video=media / "clip.mp4",
        audio=media / "long.wav",
        audio_mode="mix",
    )
    assert inspect(tmp_path / "o.mp4")["seconds"] == pytest.approx(2.0, abs=0.03)
    for hertz in (440, 300):
        assert band(tmp_path / "o.wav", hertz) > band(tmp_path / "o.wav", 1000) + 20


def band(path: Path, hertz: int) -> float:
    """Mean level in dB near one frequency."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-hide_banner",
            "-i",
            str(path),
            "-af",
            f"bandpass=f={hertz}:w=20:t=h,bandpass=f={hertz}:w=20:t=h,volumedetect",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    return float(re.findall(r"mean_volume: (\S+) dB", done.stderr.decode())[0])


def test_music_is_repeated_to_the_end_beneath_the_sound(
    post: Any, media: Path, tmp_path: Path
) -> None:
    make(
        post,
        {"audio": tmp_path / "o.wav"},
        audio=media / "silent.wav",
        music=media / "short.mp3",
        music_gain=-20.0,
    )
    quiet = band(tmp_path / "o.wav", 300)
    make(
        post,
        {"audio": tmp_path / "o2.wav"},
        audio=media / "silent.wav",
        music=media / "short.mp3",
        music_gain=0.0,
    )
    assert band(tmp_path / "o2.wav", 300) - quiet == pytest.approx(20, abs=1)
    assert inspect(tmp_path / "o.wav")["seconds"] == pytest.approx(1.0, abs=0.01)


# --- pictures -------------------------------------------------------------------------------------


def test_clips_of_all_kinds_are_joined_without_drift(
    post: Any, media: Path, tmp_path: Path
) -> None:
    names = ["mute.mp4", "odd.mkv", "turned.mp4", "uneven.mp4"]
    result = video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        fps=29.97,
        clips=[str(media / name) for name in names],
    )
    assert (result["video"]["width"], result["video"]["height"]) == (320, 240)
    assert result["video"]["r_frame_rate"] == "30000/1001"
    assert result["seconds"] == pytest.approx(6.0, abs=0.05)
    assert float(result["audio"]["duration"]) == pytest.approx(
        float(result["video"]["duration"]), abs=0.03
    )
    assert result["audio"]["channels"] == 2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": 100, "height": 100}, (100, 100)),
        ({"width": 200}, (200, 150)),
        ({"height": 61}, (82, 62)),
        ({"width": 64, "height": 100, "fit": "crop"}, (64, 100)),
        ({"width": 64, "height": 100, "fit": "stretch"}, (64, 100)),
        ({}, (160, 120)),
    ],
)
def test_a_picture_is_brought_to_size(
    post: Any, media: Path, tmp_path: Path, options: dict[str, Any], size: tuple[int, int]
) -> None:
    result = video(post, tmp_path, video=media / "mute.mp4", **options)
    assert (result["video"]["width"], result["video"]["height"]) == size
    assert result["video"].get("sample_aspect_ratio") in ("1:1", None)


def test_padding_adds_bars_and_cropping_does_not(post: Any, media: Path, tmp_path: Path) -> None:
    for fit, dark in (("pad", True), ("crop", False)):
        video(post, tmp_path, video=media / "mute.mp4", width=120, height=240, fit=fit)
        top = grey(tmp_path / "out.mp4", 0.5)[: 64 * 4]
        assert (max(top) < 24) is dark


def test_odd_sides_and_turned_pictures_come_out_upright_and_even(
    post: Any, media: Path, tmp_path: Path
) -> None:
    odd = video(post, tmp_path, video=media / "odd.mkv", crf=20)
    assert (odd["video"]["width"], odd["video"]["height"]) == (102, 76)
    turned = video(post, tmp_path, video=media / "turned.mp4", crf=20)
    assert (turned["video"]["width"], turned["video"]["height"]) == (120, 160)
    assert not turned["video"].get("side_data_list")


def test_fades_are_black_at_both_ends_of_the_kept_piece(
    post: Any, media: Path, tmp_path: Path
) -> None:
    result = video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        trim_start=0.4,
        trim_end=1.6,
        fade_in=0.4,
        fade_out=0.4,
    )
    assert int(result["video"]["nb_read_frames"]) == 30
    assert float(result["audio"]["duration"]) == pytest.approx(1.2, abs=0.03)
    first, middle, last = (brightness(tmp_path / "out.mp4", t) for t in (0, 0.6, 1.16))
    assert first < 20 and last < 40 and middle > 80


@pytest.mark.parametrize(
    ("codec", "name", "found"),
    [
        ("h264", "o.mp4", "h264"),
        ("h265", "o.mp4", "hevc"),
        ("av1", "o.mp4", "av1"),
        ("h264", "o.mov", "h264"),
        ("h265", "o.mkv", "hevc"),
    ],
)
def test_each_codec_writes_the_same_bytes_twice(
    post: Any, media: Path, tmp_path: Path, codec: str, name: str, found: str
) -> None:
    result = video(post, tmp_path, name, video=media / "clip.mp4", video_codec=codec, width=160)
    before = digest(tmp_path / name)
    assert result["video"]["codec_name"] == found and result["video"]["pix_fmt"] == "yuv420p"
    video(post, tmp_path, name, video=media / "clip.mp4", video_codec=codec, width=160)
    assert digest(tmp_path / name) == before


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("aac", "o.mp4"),
        ("mp3", "o.mp4"),
        ("flac", "o.mp4"),
        ("opus", "o.mp4"),
        ("opus", "o.mkv"),
        ("mp3", "o.mov"),
    ],
)
def test_each_sound_codec_goes_into_its_containers(
    post: Any, media: Path, tmp_path: Path, codec: str, name: str
) -> None:
    result = video(
        post, tmp_path, name, video=media / "mute.mp4", audio=media / "short.mp3", audio_codec=codec
    )
    assert result["audio"]["codec_name"] == codec


# --- sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("long.wav", -16.0),
        ("long.wav", -30.0),
        ("clip.mp4", -23.0),
        ("clicks.wav", -16.0),
        ("clicks.wav", -23.0),
    ],
)
def test_loudness_comes_within_one_lu_of_the_target(
    post: Any, media: Path, tmp_path: Path, source: str, target: float
) -> None:
    kind = "video" if source.endswith("mp4") else "audio"
    ctx = make(post, {"audio": tmp_path / "o.wav"}, **{kind: media / source}, loudness=target)
    loudness, peak = lufs(tmp_path / "o.wav")
    assert abs(loudness - target) < 1.0
    assert peak <= -1.0
    assert abs(ctx.metrics["loudness_after"] - loudness) < 0.5
    assert bool(ctx.warnings) is (source == "clicks.wav" and target == -16.0)


def test_silence_is_left_alone(post: Any, media: Path, tmp_path: Path) -> None:
    ctx = make(post, {"audio": tmp_path / "o.wav"}, audio=media / "silent.wav", loudness=-16.0)
    assert "silent" in ctx.warnings[0]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("o.wav", "pcm_s16le"), ("o.mp3", "mp3"), ("o.m4a", "aac"), ("o.flac", "flac")],
)
def test_sound_alone_is_written_in_each_format_and_repeats(
    post: Any, media: Path, tmp_path: Path, name: str, codec: str
) -> None:
    seen = []
    for _ in range(2):
        make(post, {"audio": tmp_path / name}, video=media / "clip.mp4", sample_rate=16000)
        seen.append(digest(tmp_path / name))
    result = inspect(tmp_path / name)
    assert seen[0] == seen[1] and "video" not in result
    assert (result["audio"]["codec_name"], result["audio"]["sample_rate"]) == (codec, "16000")
    assert result["seconds"] == pytest.approx(2.0, abs=0.15)


# --- poster, watermark, subtitles -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.jpg", "p.png"])
def test_a_poster_alone_is_the_frame_at_its_time(
    post: Any, media: Path, tmp_path: Path, name: str
) -> None:
    make(post, {"poster": tmp_path / name}, video=media / "clip.mp4", poster_time=1.5)
    poster, frame = grey(tmp_path / name), grey(media / "clip.mp4", 1.5)
    other = grey(media / "clip.mp4", 0.5)
    distance = sum(abs(a - b) for a, b in zip(poster, frame, strict=True))
    assert distance < 3 * len(frame) < sum(abs(a - b) for a, b in zip(poster, other, strict=True))


def test_a_hostile_watermark_is_drawn_letter_by_letter(
    post: Any, media: Path, tmp_path: Path
) -> None:
    """Compared with the same text given to ffmpeg in a filter string and escaped by its rules."""
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=640x360:d=0.2:r=10"), *X264, str(black))
    make(post, {"poster": tmp_path / "drawn.png"}, video=black, watermark=HOSTILE)
    escaped = HOSTILE
    for special in ("\\':", "\\'[],;"):
        escaped = "".join(f"\\{c}" if c in special else c for c in escaped)
    size = post.texts.write_watermark(HOSTILE, (640, 360), tmp_path)
    ffmpeg(
        "-i",
        str(black),
        "-vf",
        f"drawtext=fontfile={post.graph.FONT}:text={escaped}:"
        f"expansion=none:fontsize={size}:fontcolor=white@0.85:bordercolor=black@0.6:"
        f"borderw={size // 14}:x=w-tw-h/36:y=h/36",
        "-frames:v",
        "1",
        f"{tmp_path}/escaped.png",
    )
    frames = [grey(tmp_path / f"{name}.png", size="640:360") for name in ("drawn", "escaped")]
    assert frames[0] == frames[1]
    columns = [i % 640 for i, level in enumerate(frames[0]) if level > 100]
    assert max(columns) - min(columns) > 200


@pytest.mark.parametrize("position", ["top-left", "bottom-right", "center"])
def test_a_long_watermark_of_several_lines_fits_where_it_is_put(
    post: Any, media: Path, tmp_path: Path, position: str
) -> None:
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=320x240:d=0.2:r=10"), *X264, str(black))
    make(
        post,
        {"poster": tmp_path / "p.png"},
        video=black,
        watermark_position=position,
        watermark="A rather long line of text for a small picture\nand a second one",
    )
    frame = grey(tmp_path / "p.png", size="320:240")
    bright = [(i % 320, i // 320) for i, level in enumerate(frame) if level > 100]
    left, right = min(x for x, _ in bright), max(x for x, _ in bright)
    middle = sum(y for _, y in bright) / len(bright)
    assert left > 0 and right < 319
    assert {"top-left": middle < 60, "bottom-right": middle > 180, "center": 100 < middle < 140}[
        position
    ]


def test_no_text_of_the_user_stands_in_any_command(
    post: Any, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nasty = tmp_path / "-a:b'c%d,[x];\\ $(id).mp4"
    nasty.write_bytes((media / "clip.mp4").read_bytes())
    lines = tmp_path / "s'[1]:=.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:01,000\n" + HOSTILE + "\n")
    seen: list[str] = []
    module = post.ffmpeg.subprocess
    for name in ("run", "Popen"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, recording(real, seen))
    make(
        post,
        {"video": tmp_path / "out.mp4", "poster": tmp_path / "p.png"},
        video=nasty,
        watermark=HOSTILE,
        subtitles=lines,
    )
    assert len(seen) > 40
    assert not [a for a in seen if "$(id)" in a or "%" in a or "[x]" in a or "=.srt" in a]


def recording(real: Any, seen: list[str]) -> Any:
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


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:00,000 --> 00:00:00,500\nWWWWWW\n",
        "WEBVTT\n\n00:00.000 --> 00:00.500\nWWWWWW\n",
        "[Script Info]\nPlayResX: 320\nPlayResY: 240\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, Alignment\n"
        "Style: Default,DejaVu Sans,24,&H00FFFFFF,2\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Text\n"
        "Dialogue: 0,0:00:00.00,0:00:00.50,Default,WWWWWW\n",
    ],
)
def test_subtitles_of_each_kind_are_burned_at_their_time(
    post: Any, media: Path, tmp_path: Path, text: str
) -> None:
    black = tmp_path / "black.mp4"
    ffmpeg(*lavfi("color=black:s=320x240:d=1:r=10"), *X264, str(black))
    (tmp_path / "s").write_text(text, encoding="utf-16" if text[0] == "1" else "utf-8")
    video(post, tmp_path, video=black, subtitles=tmp_path / "s")
    shown, gone = (grey(tmp_path / "out.mp4", t) for t in (0.2, 0.8))
    assert max(shown[64 * 24 :]) > 60 and max(shown[: 64 * 24]) < 30 and max(gone) < 30


@pytest.mark.parametrize(
    ("name", "codec"), [("o.mp4", "mov_text"), ("o.mov", "mov_text"), ("o.mkv", "ass")]
)
def test_soft_subtitles_become_a_track_and_leave_the_picture_alone(
    post: Any, media: Path, tmp_path: Path, name: str, codec: str
) -> None:
    result = video(
        post,
        tmp_path,
        name,
        video=media / "clip.mp4",
        subtitles=media / "lines.srt",
        subtitle_mode="soft",
    )
    assert result["subtitle"]["codec_name"] == codec
    assert result["seconds"] == pytest.approx(2.0, abs=0.06)
    assert grey(tmp_path / name, 0.51) == grey(media / "clip.mp4", 0.51)


def test_soft_subtitles_move_with_the_cut(post: Any, media: Path, tmp_path: Path) -> None:
    video(
        post,
        tmp_path,
        video=media / "clip.mp4",
        subtitles=media / "lines.srt",
        subtitle_mode="soft",
        trim_start=1.0,
        crf=40,
    )
    done = subprocess.run(
        [
            "ffmpeg",
            "-loglevel",
            "error",
            "-i",
            str(tmp_path / "out.mp4"),
            "-map",
            "0:s",
            "-f",
            "srt",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    text = done.stdout.decode()
    assert "Second: it's, [x]" in text and "WWW" not in text
    assert "00:00:00,200 --> 00:00:01,000" in text


# --- refusals -------------------------------------------------------------------------------------


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
    assert (
        refused(post, {"poster": tmp_path / "o.jpg"}, video=mute, poster_time=1.0).code
        == "poster_time"
    )
    assert (
        refused(
            post,
            {"video": tmp_path / "o.mov"},
            video=mute,
            audio=media / "long.wav",
            audio_codec="flac",
        ).code
        == "codec"
    )


def test_a_failure_of_ffmpeg_is_told_in_its_own_words(post: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"code 1: .*No such file"):
        post.ffmpeg.run([*post.ffmpeg.BASE, "-i", "file:none.mp4", "-f", "null", "-"], tmp_path)


# --- the record and its graphs --------------------------------------------------------------------


def test_the_declared_inputs_are_the_ones_the_code_takes(post: Any) -> None:
    declared = yaml.safe_load((FOLDER / "example.yaml").read_text(encoding="utf-8"))["inputs"]
    fields = post.options.Options.__dataclass_fields__
    assert list(declared) == list(fields)
    for name, spec in declared.items():
        assert spec.get("default") == fields[name].default, name
    assert declared["watermark_position"]["choices"] == list(post.graph._PLACES)


def test_commands_force_a_demuxer_and_local_files(post: Any) -> None:
    args = post.ffmpeg.input_args(Path("/work dir/in0"), "mov", loop=True)
    assert args == [
        "-protocol_whitelist",
        "file",
        "-max_pixels",
        "35389440",
        "-stream_loop",
        "-1",
        "-f",
        "mov",
        "-i",
        "file:/work dir/in0",
    ]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x20ftypisom", "mov"),
        (b"\x1aE\xdf\xa3", "matroska"),
        (b"fLaC", "flac"),
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0AVI ", "avi"),
        (b"OggS", "ogg"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"ID3\x04", "id3"),
        (b"GIF89a", "gif"),
        (b"#EXTM3U", None),
        (b"RIFF\0\0\0\0WEBP", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_formats_are_told_by_their_first_bytes(post: Any, head: bytes, kind: str | None) -> None:
    assert post.sniff.by_magic(head) == kind


def test_numbers_in_filters_are_plain(post: Any) -> None:
    assert [post.graph.number(v) for v in (1, 0.5, 1e-7, Fraction(1, 3), -18.0)] == [
        "1",
        "0.5",
        "0",
        "0.333333",
        "-18",
    ]
    assert post.timeline.exact_rate(23.976) == Fraction(24000, 1001)
    assert post.timeline.exact_rate(30) == 30 and post.timeline.exact_rate(12.5) == 12.5


@pytest.mark.parametrize(
    ("fit", "expected"), [("pad", (100, 75)), ("crop", (267, 200)), ("stretch", (100, 200))]
)
def test_the_picture_is_fitted_inside_around_or_exactly(
    post: Any, fit: str, expected: tuple[int, int]
) -> None:
    assert post.graph.fitted((320, 240), (100, 200), fit) == expected


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
