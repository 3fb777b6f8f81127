"""Where a video is made: the networks in their places, and one film after the other.

studio = Studio(Files(base, lora), Setting(device="cuda", dtype=torch.bfloat16))
for frames in studio.film(portrait, prompt, samples, plan, seed=42):
    ...  # uint8 [frames, rows, columns, 3], as they come
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from live_avatar.compiled import compile_parts
from live_avatar.dit import AvatarTransformer
from live_avatar.generation import STEPS, Conditions, generate
from live_avatar.loading import load_transformer
from live_avatar.pictures import pixels
from live_avatar.speech import Speech
from live_avatar.text import Prompts, TextEncoder, encode_prompt, load_text_encoder
from live_avatar.timeline import BLOCK_FRAMES, DROPPED_FRAMES, FPS, audio_blocks, blocks_for
from live_avatar.vae import VideoAutoencoder, VideoDecoding, load_vae

MOTION_FRAMES = 73
"""Frames before the first that the model sees: the portrait, standing still."""
PRIMING = 7
"""Latents of these that the decoder sees before the first block, so that it begins in motion."""
TEXT, VAE = "models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth"
TOKENIZER, SPEECH = "google/umt5-xxl", "wav2vec2-large-xlsr-53-english"


@dataclass(frozen=True)
class Files:
    """`base`: the folder of Wan2.2-S2V-14B; `lora`: LiveAvatar's file."""

    base: Path
    lora: Path


@dataclass(frozen=True)
class Setting:
    """Where and how the networks compute. `keep`: all of them stay on the device, and not only
    those that every block needs; `streamed`: the transformer's layers come there one by one.
    `float8`, `compiled` and `graphs`: of the transformer."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    keep: bool = False
    streamed: bool = False
    float8: bool = False
    compiled: bool = False
    graphs: bool = False


@dataclass(frozen=True)
class Plan:
    """How long, in steps of what. frames: that are shown; clip_blocks: that attention sees."""

    frames: int
    clip_blocks: int
    steps: int = STEPS

    @property
    def seconds(self) -> float:
        """Of what is shown."""
        return self.frames / FPS

    @property
    def blocks(self) -> int:
        """Blocks of 12 frames to be made, the first frames of which are not shown."""
        return blocks_for(self.frames + DROPPED_FRAMES)


def plan_for(seconds: float, infer_frames: int, num_clips: int, steps: int) -> Plan:
    """All of a speech, or as much of it as `num_clips` clips of `infer_frames` hold."""
    most = num_clips * infer_frames - DROPPED_FRAMES
    return Plan(min(math.ceil(round(seconds * FPS, 3)), most), infer_frames // BLOCK_FRAMES, steps)


def ready_transformer(files: Files, setting: Setting) -> AvatarTransformer:
    """The network that makes latents, as it will compute. Raises CheckpointError."""
    transformer = load_transformer(
        files.base, files.lora, dtype=setting.dtype, device=setting.device,
        float8=setting.float8, streamed=setting.streamed,
    )  # fmt: skip
    if setting.compiled:
        compile_parts(transformer)
    return transformer


class Studio:
    """Networks are loaded when they are first needed."""

    def __init__(self, files: Files, setting: Setting) -> None:
        self._files, self._setting = files, setting
        self._vae = self._load_vae()
        self._text: tuple[Prompts, TextEncoder] | None = None
        self._speech: Speech | None = None
        self._said: tuple[str, Tensor] | None = None
        if setting.keep:
            self._text, self._speech = self._load_text(), self._load_speech()
        self._transformer: AvatarTransformer | None = None

    def film(
        self, portrait: Image.Image, prompt: str, samples: np.ndarray, plan: Plan, seed: int
    ) -> Iterator[np.ndarray]:
        """Frames of each block, uint8 [frames, rows, columns, 3], as soon as they are made; of
        speech at 16 kHz, float32 [samples]. Raises FloatingPointError."""
        conditions, heard = self.prepared(portrait, prompt, samples, plan)
        if self._transformer is None:
            self._transformer = ready_transformer(self._files, self._setting)
        blocks = generate(
            self._transformer, conditions, audio_blocks(heard), seed=seed, steps=plan.steps,
            clip_blocks=plan.clip_blocks, graphs=self._setting.graphs,
        )  # fmt: skip
        yield from self.developed(conditions, blocks, plan)

    def prepared(
        self, portrait: Image.Image, prompt: str, samples: np.ndarray, plan: Plan
    ) -> tuple[Conditions, Tensor]:
        """What a film is made from, and its sound [states, frames, channels] on the CPU."""
        text, heard = self._read(prompt), self._hear(samples, plan)
        return self._look(portrait, text), heard

    def developed(
        self, conditions: Conditions, blocks: Iterable[Tensor], plan: Plan
    ) -> Iterator[np.ndarray]:
        """The frames of each block of latents, as `film` gives them. Raises FloatingPointError."""
        decoding = VideoDecoding(self._vae)
        decoding(conditions.motion[None, :, :PRIMING])
        left, skipped = plan.frames, DROPPED_FRAMES
        for latents in blocks:
            if not torch.isfinite(latents).all():
                raise FloatingPointError("the model gave numbers that are none (NaN)")
            video = decoding(latents[None])[0, :, skipped:][:, :left]
            left, skipped = left - video.shape[1], 0
            yield ((video.permute(1, 2, 3, 0) + 1) * 127.5).round().byte().cpu().numpy()

    @torch.inference_mode()
    def _look(self, portrait: Image.Image, text: Tensor) -> Conditions:
        still = pixels(portrait)
        motion = self._vae.encode(still.expand(-1, -1, MOTION_FRAMES, -1, -1))
        return Conditions(self._vae.encode(still)[0], motion[0], text)

    def _read(self, prompt: str) -> Tensor:
        """[tokens, width]; the last prompt is remembered."""
        if self._said is None or self._said[0] != prompt:
            prompts, encoder = self._text or self._load_text()
            self._said = (prompt, encode_prompt(encoder, prompts, prompt))
            del encoder
            self._tidy()
        return self._said[1]

    def _hear(self, samples: np.ndarray, plan: Plan) -> Tensor:
        """[states, frames, channels] of the frames that are shown and, before them, of the first
        of these for those that are not: so lips are in step with the sound."""
        speech = self._speech or self._load_speech()
        heard = speech.features(samples)[0].permute(0, 2, 1)[:, : plan.frames]
        del speech
        self._tidy()
        lead = heard[:, :1].expand(-1, DROPPED_FRAMES, -1)
        return torch.cat([lead, heard], 1)

    def _tidy(self) -> None:
        """Give back what a network that is no longer needed held."""
        gc.collect()
        if self._setting.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _load_text(self) -> tuple[Prompts, TextEncoder]:
        base, setting = self._files.base, self._setting
        encoder = load_text_encoder(base / TEXT, dtype=setting.dtype, device=setting.device)
        return Prompts(base / TOKENIZER), encoder

    def _load_speech(self) -> Speech:
        return Speech(self._files.base / SPEECH, device=self._setting.device)

    def _load_vae(self) -> VideoAutoencoder:
        setting = self._setting
        on_gpu = setting.device.startswith("cuda")
        return load_vae(
            self._files.base / VAE, dtype=setting.dtype, device=setting.device, channels_last=on_gpu
        )
