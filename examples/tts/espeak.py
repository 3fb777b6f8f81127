"""Speak with the espeak-ng library of the espeakng-loader wheel: the options of the espeak-ng
program, as far as this example uses them.

A program of its own, so that what a sentence does to the library ends with it:
`python espeak.py -v VOICE -s WORDS_PER_MINUTE -p PITCH -f TEXT -w WAV`, or `--voices`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import wave
from pathlib import Path
from typing import Any

import espeakng_loader

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_UTF8, _PHONEMES = 1, 0x100
_RATE, _PITCH = 1, 3
_CHARACTERS = 1
_BUFFER_MS = 200
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def load() -> tuple[Any, int]:
    """The library, initialised, and the rate of its samples."""
    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    # It keeps the path of its data in 160 bytes, and an environment may lie deeper than that.
    os.chdir(Path(espeakng_loader.get_data_path()).parent)
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
    if rate <= 0:
        raise RuntimeError("espeak-ng cannot read its own data")
    # Some voices hold noise, and its seed is the time unless it is given.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return library, rate


def say(voice: str, speed: int, pitch: int, text: bytes, target: str) -> None:
    """Write `text` (UTF-8) as spoken by `voice` to a WAV file."""
    library, rate = load()
    if library.espeak_SetVoiceByName(voice.encode()):
        raise RuntimeError(f"espeak-ng voice does not exist: {voice}")
    library.espeak_SetParameter(_RATE, speed, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)

        def take(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                sound.writeframes(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _Callback(take)
        library.espeak_SetSynthCallback(callback)
        # No flag for a pause at the end: the pauses are added when sentences are joined.
        flags = _UTF8 | _PHONEMES
        failed = library.espeak_Synth(
            text, ctypes.c_size_t(len(text) + 1), 0, _CHARACTERS, 0, flags, None, None
        )
        if failed or library.espeak_Synchronize():
            raise RuntimeError("espeak-ng could not speak the sentence")


def list_voices() -> None:
    """The languages, in the columns of `espeak-ng --voices`."""
    library, _ = load()
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    voices = library.espeak_ListVoices(None)
    print("Pty Language Age/Gender VoiceName File Other Languages")
    index = 0
    while voices[index]:
        voice = voices[index].contents
        first, *others = _languages(voice.languages)
        name = (voice.name or b"?").decode().replace(" ", "_")
        aliases = " ".join(f"({code} {priority})" for priority, code in others)
        print(first[0], first[1], "--/M", name, (voice.identifier or b"?").decode(), aliases)
        index += 1


def _languages(address: int) -> list[tuple[int, str]]:
    """(priority, code) of each: a byte and a string that ends with a zero, until a zero byte."""
    found = []
    while priority := ctypes.c_ubyte.from_address(address).value:
        code = ctypes.string_at(address + 1)
        found.append((priority, code.decode()))
        address += len(code) + 2
    return found or [(5, "variant")]


def main(argv: list[str]) -> None:
    if argv == ["--voices"]:
        list_voices()
        return
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-v", dest="voice", required=True)
    parser.add_argument("-s", dest="speed", type=int, required=True)
    parser.add_argument("-p", dest="pitch", type=int, required=True)
    parser.add_argument("-f", dest="text", type=Path, required=True)
    parser.add_argument("-w", dest="wav", required=True)
    told = parser.parse_args(argv)
    text = told.text.read_bytes()
    say(told.voice, told.speed, told.pitch, text, os.path.abspath(told.wav))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RuntimeError as error:
        sys.exit(str(error))
