"""Text to speech with espeak-ng and flite: no weights, no network, the same bytes every time."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from cvl_inside import InputError, Predictor, run
from sentences import speakable, split
from synth import resample, speak_all, write_wav
from voices import Voice, choose_voice


class Tts(Predictor):
    def predict(
        self,
        ctx: Any,
        *,
        text: str,
        voice: str,
        language: str | None = None,
        speed: float = 1.0,
        pitch: float = 1.0,
        sample_rate: int = 22050,
        pause: float = 0.3,
    ) -> dict[str, str]:
        chosen = Voice(choose_voice(voice, language), speed, pitch)
        sentences = _sentences(ctx, chosen, text)
        started = time.monotonic()
        output: str = ctx.output("audio")
        with tempfile.TemporaryDirectory(prefix="tts-") as folder:
            raw = speak_all(
                chosen,
                sentences,
                pause,
                Path(folder),
                lambda done: ctx.progress(done, len(sentences), "sentences"),
            )
            raw = resample(raw, chosen.played_rate, sample_rate)
            seconds = write_wav(raw, sample_rate, output)
        ctx.metric("sentences", len(sentences))
        ctx.metric("audio_seconds", round(seconds, 3))
        ctx.metric("realtime_factor", round((time.monotonic() - started) / seconds, 4))
        return {"audio": output}


def _sentences(ctx: Any, voice: Voice, text: str) -> list[str]:
    """The sentences to say, after refusing text that holds nothing to say."""
    sentences = split(text)
    if not sentences:
        raise InputError(
            "The text has no letters or digits, so there is nothing to say.",
            hint="Give at least one word.",
            code="nothing_to_say",
        )
    heard = [s for s in sentences if speakable(voice.prepare(s))]
    if not heard:
        raise InputError(
            f"The voice {voice.name} reads only Latin letters and digits.",
            hint="Take an espeak voice of the text's language, e.g. voice ja.",
            code="nothing_to_say",
        )
    if len(heard) < len(sentences):
        ctx.warning(
            f"The voice {voice.name} reads only Latin letters: "
            f"{len(sentences) - len(heard)} sentences were left out."
        )
    return heard


if __name__ == "__main__":
    run(Tts)
