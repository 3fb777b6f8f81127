"""Upstream's code, loaded from a checkout to be compared with; nothing of it is kept.

Its script builds networks of the real size, asks files for what it hears and sees, and runs with
diffusers 0.32. What stands in for that is here; its networks and its loop over clips are its own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hallo_case as case
import torch
import yaml

COMMIT = "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"

ABSENT = {
    "icecream": ("ic",),
    "omegaconf": ("OmegaConf",),
    "pydub": ("AudioSegment",),
    "torchvision": (),
    "torchvision.transforms": (),
    "xformers": (),
    "xformers.ops": (),
    "hallo.datasets.audio_processor": ("AudioProcessor",),
    "hallo.datasets.image_processor": ("ImageProcessor",),
    "hallo.utils.util": ("tensor_to_video_batch", "merge_videos"),
}
"""Replaced below, or imported and never called for what is compared."""


def enter(checkout: Path) -> None:
    """Make `import hallo...` find the checkout."""
    _before_the_stand_ins()
    for name, members in ABSENT.items():
        module = sys.modules[name] = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for member in members:
            setattr(module, member, lambda *_, **__: None)
    for name in ABSENT:
        parent, _, child = name.rpartition(".")
        if parent in ABSENT:
            setattr(sys.modules[parent], child, sys.modules[name])
    sys.path.insert(0, str(checkout))
    checkpoint_as_in_diffusers_0_32()


def _before_the_stand_ins() -> None:
    """Libraries that look for torchvision must not find what stands in for it."""
    for package, members in (
        ("diffusers", ("AutoencoderKL", "DDIMScheduler", "DiffusionPipeline",
                       "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler",
                       "EulerDiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler")),
        ("diffusers.loaders", ("UNet2DConditionLoadersMixin",)),
        ("diffusers.image_processor", ("VaeImageProcessor",)),
    ):  # fmt: skip
        for member in members:
            getattr(importlib.import_module(package), member)


def checkpoint_as_in_diffusers_0_32() -> None:
    """There, a network's own `_set_gradient_checkpointing` is told of each of its modules; and
    what is checkpointed is only called, since no gradient is asked for."""
    from diffusers import ModelMixin
    from torch.utils import checkpoint

    def enable(network: Any) -> None:
        network.apply(functools.partial(network._set_gradient_checkpointing, value=True))

    ModelMixin.enable_gradient_checkpointing = enable
    checkpoint.checkpoint = lambda function, *given, **_: function(*given)


def script(checkout: Path) -> types.ModuleType:
    """Its `scripts/inference_long.py`, which builds networks of the small size."""
    file = checkout / "scripts" / "inference_long.py"
    spec = importlib.util.spec_from_file_location("inference_long", file)
    assert spec and spec.loader
    module = sys.modules["inference_long"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    locator, sound = module.FaceLocator, module.AudioProjModel
    module.FaceLocator = lambda conditioning_embedding_channels: locator(
        case.UNET["block_out_channels"][0]
    )
    module.AudioProjModel = lambda **given: sound(
        **{**given, "channels": case.HEARD, "intermediate_dim": case.SOUND_HIDDEN,
           "output_dim": case.SOUND, "context_tokens": case.SOUND_TOKENS}
    )  # fmt: skip
    return module


def run(module: types.ModuleType, checkout: Path, folder: Path) -> torch.Tensor:
    """Frames of all clips, [3, frames, side, side] in [0, 1], as its script made them of the
    checkpoint in a folder."""
    made: list[torch.Tensor] = []
    module.OmegaConf = Namespace(
        load=lambda _: settings(checkout, folder),
        merge=lambda config, _: config,
        to_container=lambda part: dict(part),
    )
    module.ImageProcessor, module.AudioProcessor = Seeing, Hearing
    module.cut_audio = lambda *_: ["sound.wav"]
    module.tensor_to_video_batch = lambda frames, *_: made.append(frames)
    module.inference_process(Namespace(config="long.yaml"))
    assert len(made) == 1
    return made[0]


class Settings(dict):
    """A dictionary whose items are attributes too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def settings(checkout: Path, folder: Path) -> Settings:
    """Its configuration, where only sizes and paths are others."""
    text = (checkout / "configs" / "inference" / "long.yaml").read_text()
    config = _settings(yaml.safe_load(text))
    config["data"]["source_image"].update(width=case.SIDE, height=case.SIDE)
    config["unet_additional_kwargs"]["audio_attention_dim"] = case.SOUND
    config.update(
        weight_dtype="fp32", inference_steps=case.STEPS, audio_ckpt_dir=str(folder / "hallo2"),
        base_model_path=str(folder / "stable-diffusion-v1-5"), motion_module_path="none",
        save_path=str(folder / "made"), source_image="face.png", driving_audio="sound.wav",
    )  # fmt: skip
    config["pose_weight"], config["face_weight"], config["lip_weight"] = case.SCALES
    config["vae"]["model_path"] = str(folder / "sd-vae-ft-mse")
    return config


def _settings(value: Any) -> Any:
    return Settings({k: _settings(v) for k, v in value.items()}) if type(value) is dict else value


class Entered:
    """Can be used by `with`."""

    def __init__(self, *_: Any) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class Seeing(Entered):
    """What its processor of pictures gives."""

    def preprocess(self, *_: Any) -> tuple[Any, ...]:
        """Picture, face, embedding, masks."""
        masks = ([m[None] for m in case.masks(r)] for r in ("pose", "face", "lip"))
        return case.portrait(), case.located(), case.embedding().numpy(), *masks


class Hearing(Entered):
    """What its processor of sounds gives."""

    def preprocess(self, *_: Any, **__: Any) -> tuple[torch.Tensor, int]:
        """States, and how many frames are shown."""
        return case.heard(), case.CLIPS * case.FRAMES


class Replaced:
    """Attributes that stand in for a while."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Replaced:
        return self

    def __call__(self, owner: Any, name: str, stand_in: Callable[..., Any] | Any) -> None:
        """Until the end of the block, `owner.name` is this."""
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, stand_in)

    def __exit__(self, *_: object) -> None:
        for owner, name, before in reversed(self._before):
            setattr(owner, name, before)


def hashes(checkout: Path) -> dict[str, str]:
    """sha256 of every file of upstream's that has been loaded."""
    files = {
        Path(m.__file__)
        for name, m in sys.modules.items()
        if name.startswith(("hallo.", "inference_long")) and getattr(m, "__file__", None)
    }
    return {
        str(file.relative_to(checkout)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted([*files, checkout / "configs" / "inference" / "long.yaml"])
    }
