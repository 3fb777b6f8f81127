"""The tts example, run on this machine's espeak-ng and flite."""

from __future__ import annotations

import hashlib
import importlib
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "tts"
MODULES = ("sentences", "voices", "synth", "predict")
HOSTILE = '-v --help "quoted" \'single\' <break time="9s"/> & $(id) `id` [[h@l0U]]\nnew line \\n %d'


@pytest.fixture(scope="module")
def tts() -> Iterator[SimpleNamespace]:
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


class Context:
    """What cvl gives a predictor, recording what it is told."""

    seed = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progressed: list[tuple[float, float, str]] = []
        self.metrics: dict[str, float] = {}
        self.warnings: list[str] = []

    def output(self, name: str) -> str:
        assert name == "audio"
        return str(self.path)

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        self.progressed.append((done, total, unit))

    def metric(self, name: str, value: float, unit: str = "") -> None:
        self.metrics[name] = value

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def speak(tts: Any, folder: Path, text: str, voice: str = "en-us", **options: Any) -> Context:
    ctx = Context(folder / "out.wav")
    returned = tts.predict.Tts().predict(ctx, text=text, voice=voice, **options)
    assert returned == {"audio": str(ctx.path)}
    return ctx


def refused(tts: Any, folder: Path, **inputs: Any) -> Any:
    with pytest.raises(tts.predict.InputError) as caught:
        speak(tts, folder, **inputs)
    assert not (folder / "out.wav").exists()
    return caught.value


def seconds(path: Path) -> float:
    with wave.open(str(path)) as sound:
        return sound.getnframes() / sound.getframerate()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- splitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met J. R. R. Tolkien.", ["Dr. Smith met J. R. R. Tolkien."]),
        ("Pi is 3.14 or so. Yes.", ["Pi is 3.14 or so.", "Yes."]),
        ("Fruit, e.g. Apples. Good", ["Fruit, e.g. Apples.", "Good"]),
        ("Am 3. Mai war es z.B. Kalt. Ja.", ["Am 3. Mai war es z.B. Kalt.", "Ja."]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("Well... maybe. No", ["Well... maybe.", "No"]),
        ("你好。再见！好吗？", ["你好。", "再见！", "好吗？"]),
        ("a line\nbreak and\n\na paragraph", ["a line break and", "a paragraph"]),
        ("नमस्ते। फिर", ["नमस्ते।", "फिर"]),
        ("one ... !!! \n\n two", ["one ...", "two"]),
    ],
)
def test_text_is_split_at_sentence_ends_only(tts: Any, text: str, expected: list[str]) -> None:
    assert tts.sentences.split(text) == expected


def test_over_long_sentences_are_cut_after_clauses_then_words_then_anywhere(tts: Any) -> None:
    clauses = "word " * 30 + "end, " + "word " * 60
    parts = tts.sentences.split(clauses, 200)
    assert parts[0].endswith("end,") and max(map(len, parts)) <= 200
    assert " ".join(parts).split() == clauses.split()
    solid = tts.sentences.split("x" * 950, 400)
    assert [len(part) for part in solid] == [400, 400, 150]


def test_control_characters_cannot_reach_an_engine(tts: Any) -> None:
    assert tts.sentences.clean("a\x01b\x00c\x1bd\r\ne") == "a b c d\ne"


@pytest.mark.parametrize("text", ["", "   \n", "😀🎉", "...!?", "—", "❤️ !", "\x01\x02"])
def test_text_without_a_word_is_refused(tts: Any, tmp_path: Path, text: str) -> None:
    error = refused(tts, tmp_path, text=text)
    assert error.code == "nothing_to_say" and error.hint


# --- speech ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["en-us", "de+f3", "cmn", "slt", "awb", "rms", "kal16"])
def test_each_engine_writes_the_same_true_wav_twice(tts: Any, tmp_path: Path, voice: str) -> None:
    first = speak(tts, tmp_path, "Hello there. Number two.", voice)
    before = digest(first.path)
    speak(tts, tmp_path, "Hello there. Number two.", voice)
    assert digest(first.path) == before
    with wave.open(str(first.path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 22050)
        samples = sound.readframes(sound.getnframes())
        assert first.path.stat().st_size == 44 + len(samples) == 44 + 2 * sound.getnframes()
    assert max(memoryview(samples).cast("h")) > 3000
    assert first.progressed == [(1, 2, "sentences"), (2, 2, "sentences")]


@pytest.mark.parametrize("voice", ["en-us", "slt"])
def test_text_like_options_markup_or_phoneme_codes_is_only_spoken(
    tts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: str
) -> None:
    seen: list[list[str]] = []
    real = tts.synth.subprocess.run
    monkeypatch.setattr(
        tts.synth.subprocess, "run", lambda argv, **more: seen.append(argv) or real(argv, **more)
    )
    ctx = speak(tts, tmp_path, HOSTILE, voice)
    assert 2.0 < seconds(ctx.path) < 20.0
    assert not [a for argv in seen for a in argv if "quoted" in a or "help" in a or "break" in a]


def test_phoneme_brackets_sound_as_they_are_read(tts: Any) -> None:
    assert tts.voices.Voice("en-us").prepare("[[[h@l0U]]") == "[ [ [h@l0U]]"
    assert tts.voices.Voice("slt").prepare("“Zoë” – naïve…") == '"Zoe" - naive...'


def test_speed_pitch_and_pause_do_what_they_say(tts: Any, tmp_path: Path) -> None:
    def length(**options: Any) -> float:
        return seconds(speak(tts, tmp_path, "First sentence here. Second one.", **options).path)

    for voice in ("en-us", "slt"):
        normal = length(voice=voice)
        assert length(voice=voice, speed=2.0) < 0.75 * normal
        assert length(voice=voice, speed=0.5) > 1.4 * normal
        assert abs(length(voice=voice, pause=2.3) - normal - 2.0) < 0.01
        assert abs(length(voice=voice, pause=0.0) - normal + 0.3) < 0.01


@pytest.mark.parametrize("voice", ["en-us", "slt", "awb", "rms", "kal16"])
def test_pitch_moves_the_voice_up_and_down(tts: Any, tmp_path: Path, voice: str) -> None:
    def hertz(ratio: float) -> float:
        ctx = speak(tts, tmp_path, "All are aware of our wide yellow area", voice, pitch=ratio)
        return median_pitch(ctx.path)

    low, middle, high = hertz(0.75), hertz(1.0), hertz(1.4)
    assert 0.62 < low / middle < 0.88
    assert 1.2 < high / middle < 1.6


def median_pitch(path: Path) -> float:
    """Median over windows of the strongest autocorrelation lag, at a quarter of the rate."""
    with wave.open(str(path)) as sound:
        rate = sound.getframerate() / 4
        data = list(memoryview(sound.readframes(sound.getnframes())).cast("h"))
    data = [sum(data[i : i + 4]) for i in range(0, len(data) - 4, 4)]
    window, lags = int(rate * 0.03), range(int(rate / 380), int(rate / 60))
    found = []
    for start in range(0, len(data) - window - lags[-1], window * 3):
        here = data[start : start + window]
        power = sum(s * s for s in here)
        scores = [
            sum(a * b for a, b in zip(here, data[start + lag :], strict=False)) for lag in lags
        ]
        best = max(scores)
        if power > window * 4e6 and best > 0.5 * power:
            near = next(i for i, s in enumerate(scores) if s > 0.9 * best and _is_peak(scores, i))
            found.append(rate / lags[near])
    assert len(found) >= 5
    return sorted(found)[len(found) // 2]


def _is_peak(scores: list[int], i: int) -> bool:
    return scores[i] >= max(scores[max(0, i - 1) : i + 2])


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_any_sample_rate_keeps_the_length(tts: Any, tmp_path: Path, rate: int) -> None:
    native = seconds(speak(tts, tmp_path, "A short test.").path)
    ctx = speak(tts, tmp_path, "A short test.", sample_rate=rate)
    with wave.open(str(ctx.path)) as sound:
        assert sound.getframerate() == rate
    assert abs(seconds(ctx.path) - native) < 0.002


# --- voices and languages -------------------------------------------------------------------------


def test_every_declared_voice_exists(tts: Any) -> None:
    declared = yaml.safe_load((FOLDER / "example.yaml").read_text(encoding="utf-8"))["inputs"]
    known = tts.voices.installed_languages()
    for voice in declared["voice"]["choices"]:
        if voice not in tts.voices.FLITE_PITCH:
            # espeak-ng takes a language without its country: fr for fr-fr.
            code = voice.partition("+")[0]
            codes = [c for row in known for c in (row.code, *row.aliases)]
            assert any(c == code or c.startswith(f"{code}-") for c in codes), voice


def test_a_language_replaces_the_one_of_the_voice_and_keeps_its_variant(tts: Any) -> None:
    assert tts.voices.choose_voice("en-us+f3", "DE") == "de+f3"
    assert tts.voices.choose_voice("en-us", "pt_br") == "pt-br"
    assert tts.voices.choose_voice("en-us", "zh-yue") == "zh-yue"
    assert tts.voices.choose_voice("slt", "en-gb") == "slt"
    assert tts.voices.choose_voice("en-us", None) == "en-us"


@pytest.mark.parametrize(
    ("language", "nearest"),
    [
        ("german", "de (German)"),
        ("en-uss", "en-us ("),
        ("Portuguese", "pt-br"),
        ("../x", "en-us"),
    ],
)
def test_an_unknown_language_is_refused_with_the_nearest(
    tts: Any, tmp_path: Path, language: str, nearest: str
) -> None:
    error = refused(tts, tmp_path, text="x", language=language)
    assert error.code == "unknown_language" and nearest in error.hint


def test_an_english_only_voice_refuses_other_languages_and_scripts(
    tts: Any, tmp_path: Path
) -> None:
    assert refused(tts, tmp_path, text="x", voice="slt", language="de").code == "voice_language"
    assert refused(tts, tmp_path, text="你好", voice="slt").code == "nothing_to_say"
    ctx = speak(tts, tmp_path, "Hello. 你好。", "slt")
    assert len(ctx.warnings) == 1 and ctx.metrics["sentences"] == 1


def test_a_failing_engine_is_reported_with_its_words(tts: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="espeak-ng voice does not exist"):
        tts.synth.speak(tts.voices.Voice("xx-none"), "Hello", tmp_path)
