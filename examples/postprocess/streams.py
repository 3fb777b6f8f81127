"""What ffprobe would say of a file, read with the av wheel where there is no ffprobe: it holds the
same libraries."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

INSTALLED = importlib.util.find_spec("av") is not None


def read(path: Path, kind: str, most: int) -> dict[str, Any]:
    """Streams and format in ffprobe's own words, as far as probe.py reads them.

    Raises ValueError, with a reason, when the file cannot be read as a `kind`.
    """
    import av

    limits = {"protocol_whitelist": "file", "max_streams": str(most)}
    try:
        with av.open(f"file:{path}", format=kind, options=limits) as container:
            found = [_stream(stream, container) for stream in container.streams]
            seconds = container.duration / av.time_base if container.duration else None
            return {"streams": found, "format": {"duration": seconds}}
    except (av.FFmpegError, OSError) as error:
        raise ValueError(getattr(error, "strerror", None) or str(error)) from None


def _stream(stream: Any, container: Any) -> dict[str, Any]:
    codec = stream.codec_context
    told: dict[str, Any] = {
        "index": stream.index,
        "codec_type": stream.type,
        "codec_name": codec.codec.canonical_name if codec else "unknown",
        "tags": dict(stream.metadata),
        "duration": _seconds(stream),
        "disposition": {"attached_pic": int(_is_cover(stream))},
    }
    if stream.type == "video":
        told.update(_picture(stream, codec, container, told["disposition"]["attached_pic"]))
    elif stream.type == "audio":
        told.update(channels=codec.channels, sample_rate=codec.sample_rate, bit_rate=codec.bit_rate)
    return told


def _picture(stream: Any, codec: Any, container: Any, cover: int) -> dict[str, Any]:
    aspect = stream.sample_aspect_ratio or codec.sample_aspect_ratio
    turned = 0 if cover or not codec.width else _rotation(stream, container)
    return {
        "width": codec.width,
        "height": codec.height,
        "sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}" if aspect else "0:1",
        "avg_frame_rate": _ratio(stream.average_rate),
        "r_frame_rate": _ratio(stream.base_rate),
        "side_data_list": [{"rotation": turned}] if turned else [],
    }


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in (getattr(stream.disposition, "name", None) or "")


def _rotation(stream: Any, container: Any) -> int:
    """Degrees by which the picture is to be turned; it is told with the first frame alone."""
    import av

    with contextlib.suppress(av.FFmpegError, OSError):
        for frame in container.decode(stream):
            return int(frame.rotation)
    return 0


def _seconds(stream: Any) -> float | None:
    if stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _ratio(value: Any) -> str:
    return f"{value.numerator}/{value.denominator}" if value else "0/0"
