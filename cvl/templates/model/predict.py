"""The model. It runs in a container without a network, as you, with a read-only root: inputs are in
/cvl/inputs, what it may write is in /cvl/out (outputs), ctx.scratch and /tmp. Of cvl it sees
`cvl_inside` and nothing else; `python predict.py --audio x.wav` works in the image as well."""

from __future__ import annotations

import array
import random
import wave
from typing import Any

from cvl_inside import InputError, Predictor, run


class Model(Predictor):
    def setup(self, ctx: Any) -> None:
        """Called once, before the first predict: load weights here, onto ctx.device, in ctx.dtype,
        the way ctx.offload says."""

    def predict(self, ctx: Any, *, audio: str, echoes: int, delay: float) -> dict[str, str]:
        """One argument for each input of example.yaml; files are paths, values are checked."""
        rate, sound = read(audio)
        # ctx.seed is the only source of chance: the same seed and inputs give the same bytes.
        chance = random.Random(ctx.seed)
        mixed = sound + array.array("h", bytes(2 * int(rate * delay * echoes * 1.1)))
        for echo in range(1, echoes + 1):
            late = int(rate * delay * echo * chance.uniform(0.9, 1.1))
            add(mixed, sound, late, 0.6**echo)
            ctx.progress(echo, echoes, "echoes")
        # Where the output goes, with the extension that was asked for.
        output: str = ctx.output("audio")
        with wave.open(output, "wb") as stream:
            stream.setparams((1, 2, rate, 0, "NONE", "not compressed"))
            stream.writeframes(mixed.tobytes())
        ctx.metric("audio_seconds", round(len(mixed) / rate, 3))
        return {"audio": output}


def read(path: str) -> tuple[int, array.array[int]]:
    """(samples per second, samples of the first channel) of a 16-bit WAV file. An InputError is
    told as a sentence and a hint; any other exception is a fault of the model, with a log."""
    try:
        with wave.open(path) as stream:
            if stream.getsampwidth() != 2:
                raise wave.Error("not 16 bits")
            samples = array.array("h", stream.readframes(stream.getnframes()))
            return stream.getframerate(), samples[:: stream.getnchannels()]
    except (wave.Error, EOFError) as error:
        raise InputError(
            f"the audio is not a WAV file of 16 bits: {error}",
            hint="convert it: ffmpeg -i FILE -c:a pcm_s16le sound.wav",
        ) from None


def add(target: array.array[int], sound: array.array[int], start: int, gain: float) -> None:
    """Mix `sound` into `target` from sample `start` on."""
    for index, value in enumerate(sound, start):
        target[index] = max(-32768, min(32767, target[index] + int(value * gain)))


if __name__ == "__main__":
    run(Model)
