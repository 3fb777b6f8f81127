"""Watermark and subtitles as files with fixed names, which is how filters read them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from xml.sax.saxutils import escape

from cvl_inside import InputError
from encode import SOFT_SUBTITLES
from ffmpeg import BASE, FONT_SETTINGS, run_quiet, tail
from graph import FONTS, FONTS_LINK, SUBTITLE_FILE, WATERMARK_FILE

_MAX_SUBTITLE_BYTES = 5_000_000
_DIALOGUE = re.compile(r"(Dialogue:[^,]*,)\s*([\d:.]+)\s*,\s*([\d:.]+)\s*,(.*)")
_TIMING = re.compile(r"^\s*(\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}\s*-->", re.MULTILINE)
# Mean width of a letter of the font, in font sizes; wide scripts take a whole one.
_LETTER = 0.6


def lay_out_fonts(folder: Path) -> None:
    """The one font that this example brings, as the only one that filters find: the system's differ
    from machine to machine."""
    (folder / FONTS_LINK).symlink_to(FONTS)
    folders = f"<dir>{escape(str(FONTS))}</dir><cachedir>{escape(str(folder))}/cache</cachedir>"
    (folder / FONT_SETTINGS).write_text(f"<fontconfig>{folders}</fontconfig>\n")


def write_watermark(text: str, size: tuple[int, int], folder: Path) -> int:
    """Write the text as it is to be drawn; returns the font size at which it fits."""
    lines = [printable(line) for line in text.splitlines()]
    drawn = "\n".join(lines).strip("\n")
    if not drawn.strip():
        raise InputError("The watermark has no visible text.", code="watermark")
    (folder / WATERMARK_FILE).write_text(drawn, encoding="utf-8")
    width, height = size
    longest = max(_width(line) for line in drawn.split("\n"))
    by_width = 0.9 * width / longest
    by_height = 0.9 * height / (1.2 * (drawn.count("\n") + 1))
    return max(6, int(min(height / 18, by_width, by_height)))


def printable(line: str) -> str:
    """Without control characters, which the font would show as boxes."""
    return "".join(
        " " if c == "\t" else c
        for c in line
        if c == "\t" or unicodedata.category(c) not in ("Cc", "Cs")
    )


def _width(line: str) -> float:
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else _LETTER for c in line) or 1.0


def write_subtitles(path: Path, folder: Path, start: float, seconds: float) -> None:
    """Turn the user's subtitles into .ass files of ours: all of them for burning, and for muxing
    those of the piece that is kept, which begins at `start`."""
    text = decode(path)
    kind = subtitle_format(text, path.name)
    source = folder / f"subtitles_in.{kind}"
    source.write_text(text, encoding="utf-8")
    if kind == "ass":
        (folder / SUBTITLE_FILE).write_text(text, encoding="utf-8")
    else:
        _convert(source.name, kind, folder)
    whole = (folder / SUBTITLE_FILE).read_text(encoding="utf-8")
    (folder / SOFT_SUBTITLES).write_text(cut_ass(whole, start, seconds), encoding="utf-8")


def cut_ass(text: str, start: float, seconds: float) -> str:
    """An .ass script whose lines are moved to begin at `start` and end after `seconds`."""
    kept = []
    for line in text.splitlines():
        found = _DIALOGUE.fullmatch(line)
        if found:
            first, last = (ass_seconds(found[i]) - start for i in (2, 3))
            if last <= 0 or first >= seconds:
                continue
            times = f"{ass_time(max(0.0, first))},{ass_time(min(last, seconds))}"
            line = f"{found[1]}{times},{found[4]}"
        kept.append(line)
    return "\n".join(kept) + "\n"


def ass_seconds(text: str) -> float:
    """Seconds of a time such as 0:01:02.50; 0 for what is not one."""
    parts = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3]) if parts else 0.0


def ass_time(seconds: float) -> str:
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def decode(path: Path) -> str:
    """The file's text; Western single-byte text is accepted when it is not Unicode."""
    if path.stat().st_size > _MAX_SUBTITLE_BYTES:
        raise InputError("The subtitle file is larger than 5 MB.", code="subtitles")
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def subtitle_format(text: str, name: str) -> str:
    """srt, webvtt or ass, told by the content."""
    start = text.lstrip()[:4096]
    if start.startswith("WEBVTT"):
        return "webvtt"
    if start.startswith("[Script Info]"):
        return "ass"
    if start[:1].isdigit() and _TIMING.search(start):
        return "srt"
    raise InputError(
        f"{name} is not a subtitle file that can be read.",
        hint="Known: SubRip (.srt), WebVTT (.vtt), Advanced SubStation (.ass).",
        code="subtitles",
    )


def _convert(source: str, kind: str, folder: Path) -> None:
    argv = [*BASE, "-protocol_whitelist", "file", "-f", kind, "-i", f"file:{source}",
            "-fflags", "+bitexact", "-f", "ass", f"file:{SUBTITLE_FILE}"]  # fmt: skip
    done = run_quiet(argv, 60, cwd=folder)
    if done.returncode:
        raise InputError(f"The subtitles cannot be read: {tail(done.stderr)}", code="subtitles")
    if "Dialogue:" not in (folder / SUBTITLE_FILE).read_text(encoding="utf-8"):
        raise InputError("The subtitle file holds no line with a time.", code="subtitles")
