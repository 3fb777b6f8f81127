"""The voices of espeak-ng and flite, and the command line that speaks one sentence with each."""

from __future__ import annotations

import difflib
import importlib.util
import math
import re
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cvl_inside import InputError

# Each flite voice with the mean pitch, in hertz, that it was built with.
FLITE_PITCH = {"slt": 172.0, "awb": 132.0, "rms": 98.0, "kal16": 95.0}
# This voice has a pitch model of its own that takes no target.
_FIXED_PITCH = "rms"
ESPEAK_RATE = 22050
FLITE_RATE = 16000
_ESPEAK_WORDS_PER_MINUTE = 175
_ASCII = str.maketrans({
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": ", ", "…": "...", "ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O",
    "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L", "đ": "d", "ð": "th", "þ": "th",
    "€": " euros ", "£": " pounds ",
})  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """One voice with its pace: all that is needed to say a sentence."""

    name: str
    speed: float = 1.0
    pitch: float = 1.0

    @property
    def is_flite(self) -> bool:
        return self.name in FLITE_PITCH

    @property
    def rate(self) -> int:
        """Samples per second that the engine produces."""
        return FLITE_RATE if self.is_flite else ESPEAK_RATE

    @property
    def played_rate(self) -> int:
        """The rate at which those samples are to be taken. A voice of fixed pitch is spoken slower
        and played faster, or the other way round, which also moves its timbre."""
        return round(self.rate * self.pitch) if self.name == _FIXED_PITCH else self.rate

    def prepare(self, text: str) -> str:
        """The text as this engine has to be given it, so that it is read as plain text."""
        if self.is_flite:
            return to_ascii(text)
        # espeak-ng takes [[...]] as phoneme codes.
        return re.sub(r"\[(?=\[)", "[ ", text)

    def argv(self, text_file: str, wav_file: str) -> list[str]:
        """The command that reads `text_file` and writes `wav_file`."""
        if self.is_flite:
            stretch = self.played_rate / self.rate / self.speed
            return [
                "flite", "-voice", self.name, "-f", text_file, "-o", wav_file,
                "--setf", f"duration_stretch={stretch:.4f}",
                "--setf", f"int_f0_target_mean={FLITE_PITCH[self.name] * self.pitch:.2f}",
            ]  # fmt: skip
        return [*_espeak(), "-v", self.name,
                "-s", str(round(_ESPEAK_WORDS_PER_MINUTE * self.speed)),
                "-p", str(espeak_pitch(self.pitch)), "-f", text_file, "-w", wav_file]  # fmt: skip


def _espeak() -> list[str]:
    """espeak-ng as a library where its wheel is installed, which is the same everywhere; else the
    program. -z: no pause after the last word, the pauses are added when sentences are joined."""
    if importlib.util.find_spec("espeakng_loader"):
        return [sys.executable, str(Path(__file__).with_name("espeak.py"))]
    return ["espeak-ng", "-b", "1", "-z"]


def espeak_pitch(ratio: float) -> int:
    """espeak-ng's 0..99 scale doubles the pitch every 50 steps and has 50 in the middle."""
    return max(0, min(99, round(50 + 50 * math.log2(ratio))))


def to_ascii(text: str) -> str:
    """Text in the letters that flite knows: accents are dropped, what has no equivalent is lost."""
    flat = unicodedata.normalize("NFKD", text.translate(_ASCII))
    return "".join(c if ord(c) < 128 else " " for c in flat if not unicodedata.combining(c))


@dataclass(frozen=True)
class Language:
    code: str
    name: str
    aliases: tuple[str, ...] = ()


def parse_languages(listing: str) -> list[Language]:
    """The rows of `espeak-ng --voices`, or of espeak.py."""
    rows = []
    for line in listing.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 5:
            aliases = tuple(re.findall(r"\(([\w-]+) \d+\)", line))
            rows.append(Language(fields[1], fields[3].replace("_", " "), aliases))
    return rows


def installed_languages() -> list[Language]:
    """The languages of the espeak-ng that speaks here."""
    listing = subprocess.run([*_espeak(), "--voices"], capture_output=True, check=True, timeout=30)
    return parse_languages(listing.stdout.decode("utf-8", "replace"))


def find_language(wanted: str, known: list[Language]) -> str:
    """espeak-ng's code for `wanted` (a code, in either case), or an error with the nearest."""
    code = wanted.strip().lower().replace("_", "-")
    codes = {
        known_code.lower(): known_code
        for row in reversed(known)
        for known_code in (*row.aliases, row.code)
    }
    if code in codes:
        return codes[code]
    raise InputError(
        f"The language {wanted!r} is not known to espeak-ng.",
        hint=_nearest(code, known, sorted(codes)),
        code="unknown_language",
    )


def _nearest(code: str, known: list[Language], codes: list[str]) -> str:
    """A sentence with the codes, or the languages by name, that look most like `code`."""
    by_name = [row for row in known if len(code) > 2 and code in row.name.lower()]
    near = [row.code for row in by_name] or difflib.get_close_matches(code, codes, 3, 0.4)
    near = near or [c for c in codes if c[:1] == code[:1]][:3] or ["en-us", "de", "fr-fr"]
    names = {c: row.name for row in known for c in (*row.aliases, row.code)}
    shown = ", ".join(f"{c} ({names.get(c, c)})" for c in near[:3])
    return f"Nearest: {shown}."


def choose_voice(voice: str, language: str | None) -> str:
    """The engine's voice name, with espeak's language replaced when another was asked for."""
    if voice in FLITE_PITCH and shutil.which("flite") is None:
        raise InputError(
            f"The voice {voice} needs flite, which is not installed here.",
            hint="Take an espeak voice such as en-us+f3, install flite, or give --engine docker.",
            code="no_flite",
        )
    if not language:
        return voice
    if voice in FLITE_PITCH:
        if language.lower().startswith("en"):
            return voice
        raise InputError(
            f"The voice {voice} speaks only English.",
            hint="Leave language out, or take an espeak voice such as en-us+f3.",
            code="voice_language",
        )
    code = find_language(language, installed_languages())
    variant = voice.partition("+")[2]
    return f"{code}+{variant}" if variant else code
