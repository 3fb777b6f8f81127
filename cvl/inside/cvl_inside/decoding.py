"""Proof that an output decodes with the streams it should have, by whichever decoder the image
has."""

import json
import subprocess
import wave
from pathlib import Path
from typing import Any, Dict, List, Mapping

from .programs import find_ffmpeg

MEDIA = ("audio", "video", "image")


class OutputError(Exception):
    """An output is missing, empty, or does not decode as declared."""


def check(name: str, path: str, declared: Mapping[str, Any]) -> None:
    """Raise OutputError unless the file at `path` is what output `name` was declared to be."""
    file = Path(path)
    if not file.exists():
        raise OutputError(f"output {name!r} was not written")
    kind = declared["type"]
    if file.is_file() and file.stat().st_size == 0:
        raise OutputError(f"output {name!r} is empty")
    if kind == "json":
        _check_json(name, file)
    elif kind in MEDIA:
        _check_media(name, file, kind, declared.get("expect") or {})


def _check_json(name: str, file: Path) -> None:
    try:
        json.loads(file.read_text())
    except ValueError as error:
        raise OutputError(f"output {name!r} is not JSON: {error}") from None


def _check_media(name: str, file: Path, kind: str, expect: Mapping[str, Any]) -> None:
    ffmpeg = find_ffmpeg()
    if ffmpeg is not None:
        _decode(name, file, ffmpeg, expect)
    elif kind == "audio" and file.suffix == ".wav":
        _read_wav(name, file)
    elif kind == "image":
        _read_image(name, file)
    else:
        raise OutputError(f"output {name!r} cannot be checked: this image has no ffmpeg")


def _decode(name: str, file: Path, ffmpeg: str, expect: Mapping[str, Any]) -> None:
    """Decode every stream once. A stream that should be there is mapped without `?`, so that its
    absence is an error; one that should not be there is refused by mapping it as an error of
    ours."""
    maps: List[str] = []
    for stream, letter in (("video", "v"), ("audio", "a")):
        if expect.get(stream) is True:
            maps += ["-map", f"0:{letter}:0"]
        elif expect.get(stream) is None:
            maps += ["-map", f"0:{letter}?"]
    if not maps:
        maps = ["-map", "0"]
    command = [ffmpeg, "-v", "error", "-nostdin", "-xerror", "-protocol_whitelist", "file,pipe"]
    command += ["-i", f"file:{file.resolve()}", *maps, "-f", "null", "-"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode != 0:
        last = result.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise OutputError(f"output {name!r} does not decode: {last[0]}")


def _read_wav(name: str, file: Path) -> None:
    try:
        with wave.open(str(file), "rb") as stream:
            frames = stream.getnframes()
            if frames == 0 or not stream.readframes(frames):
                raise OutputError(f"output {name!r} has no samples")
    except (wave.Error, EOFError) as error:
        raise OutputError(f"output {name!r} is not a WAV file: {error}") from None


def _read_image(name: str, file: Path) -> None:
    try:
        from PIL import Image
    except ImportError:
        raise OutputError(
            f"output {name!r} cannot be checked: this image has neither ffmpeg nor Pillow"
        ) from None
    try:
        with Image.open(str(file)) as image:
            image.load()
    except Exception as error:
        raise OutputError(f"output {name!r} does not decode: {error}") from None


def check_all(written: Mapping[str, str], request: Dict[str, Any]) -> None:
    """Check every output of a request; `written` is what predict() returned."""
    for name, path in request["outputs"].items():
        if name not in written:
            raise OutputError(f"predict() returned no {name!r}")
        if Path(written[name]).resolve() != Path(path).resolve():
            raise OutputError(f"predict() wrote {name!r} to {written[name]}, not to ctx.output()")
        check(name, path, request.get("expect", {}).get(name, {"type": "file"}))
