"""From a repo of Wan2.2-S2V to a pipeline of diffsynth. Its own loader knows the official files by
a hash of their tensors' names and shapes, and downloads what it misses. Here the files are given,
and the checkpoint says how large its parts are."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sizes
import torch
import unused
from rungs import Rung
from safetensors.torch import load_file
from voice import Listener

with unused.stood_in_for():
    from diffsynth.core.loader.model import load_model
    from diffsynth.models.model_loader import ModelPool
    from diffsynth.models.wan_video_dit_s2v import WanS2VDiTBlock, WanS2VModel
    from diffsynth.models.wan_video_text_encoder import HuggingfaceTokenizer, WanTextEncoder
    from diffsynth.models.wan_video_vae import VideoVAE_, WanVideoVAE
    from diffsynth.pipelines.wan_video import WanVideoPipeline, WanVideoUnit_PromptEmbedder

INDEX = "diffusion_pytorch_model.safetensors.index.json"
TEXT_ENCODER = "models_t5_umt5-xxl-enc-bf16.pth"
TOKENIZER = "google/umt5-xxl"
AUTOENCODER = "Wan2.1_VAE.pth"
VOICE = "wav2vec2-large-xlsr-53-english"
State = dict[str, torch.Tensor]


class Pipeline(WanVideoPipeline):
    """diffsynth's, on any device, and with what a prompt means remembered from clip to clip."""

    def __init__(self, rung: Rung) -> None:
        super().__init__(device=rung.device, torch_dtype=rung.dtype)
        kinds = [type(unit) for unit in self.units]
        self.units[kinds.index(WanVideoUnit_PromptEmbedder)] = Remembered()

    def load_models_to_device(self, model_names: Sequence[str]) -> None:
        """Those named go where they compute, after all others went away from there."""
        if not self.vram_management_enabled:
            return
        for wanted in (False, True):
            for name, part in self.named_children():
                if (name in model_names) is wanted and hasattr(part, "vram_management_enabled"):
                    for module in part.modules():
                        if hasattr(module, "onload"):
                            module.onload() if wanted else module.offload()
            if self.device_type == "cuda":
                torch.cuda.empty_cache()


class Remembered(WanVideoUnit_PromptEmbedder):
    """The text encoder is as large as a third of the transformer: it is asked once for a prompt."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Any] = {}

    def process(self, pipe: Any, prompt: str, positive: bool) -> dict[str, Any]:
        if prompt not in self._known:
            self._known[prompt] = super().process(pipe, prompt, positive)
        return dict(self._known[prompt])


def load(folder: Path, rung: Rung) -> Pipeline:
    """The whole pipeline. Raises NotS2V for another checkpoint."""
    config = sizes.read_config(folder / "config.json")
    pipe = Pipeline(rung)
    pipe.dit = load_transformer(folder, config, rung)
    pipe.text_encoder = load_text_encoder(folder / TEXT_ENCODER, rung)
    pipe.vae = load_autoencoder(folder / AUTOENCODER, rung)
    pipe.tokenizer = HuggingfaceTokenizer(
        name=str(folder / TOKENIZER), seq_len=config["text_len"], clean="whitespace"
    )
    listener = Listener(str(folder / VOICE), rung.device)
    # Without these two diffsynth would make a video without the speech, and not say so.
    pipe.audio_encoder, pipe.audio_processor = listener.model, listener.processor
    pipe.listener = listener
    pipe.vram_management_enabled = rung.mode != "none"
    return pipe


def load_transformer(folder: Path, config: dict[str, Any], rung: Rung) -> torch.nn.Module:
    index = json.loads((folder / INDEX).read_text())
    state = read([folder / name for name in sorted(set(index["weight_map"].values()))])
    arguments = sizes.transformer_sizes(config, state)
    return _loaded(WanS2VModel, arguments, state, rung, streamed=True)


def load_text_encoder(path: Path, rung: Rung) -> torch.nn.Module:
    state = read([path])
    return _loaded(WanTextEncoder, sizes.text_encoder_sizes(state), state, rung, streamed=True)


def load_autoencoder(path: Path, rung: Rung) -> torch.nn.Module:
    state = read([path])
    arguments = sizes.autoencoder_sizes(state)
    named = {f"model.{name}": tensor for name, tensor in state.items()}
    return _loaded(_autoencoder, arguments, named, rung, streamed=False, known_as=WanVideoVAE)


def read(paths: list[Path]) -> State:
    """Tensors by name; read from the disk when they are used."""
    state: State = {}
    for path in paths:
        if path.suffix == ".safetensors":
            state.update(load_file(path))
        else:
            mapped = zipfile.is_zipfile(path)
            state.update(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    return state


def _autoencoder(**arguments: Any) -> torch.nn.Module:
    """diffsynth's has the official sizes alone."""
    autoencoder = WanVideoVAE(z_dim=arguments["z_dim"])
    autoencoder.model = VideoVAE_(**arguments).eval().requires_grad_(False)
    return autoencoder


def _loaded(
    kind: Any, arguments: dict[str, Any], state: State, rung: Rung, *, streamed: bool,
    known_as: Any = None,
) -> torch.nn.Module:  # fmt: skip
    """A part with all of its tensors, by diffsynth's own loader. known_as: the class that diffsynth
    has wrappers for, where `kind` is a function that makes one."""
    places = rung.places(streamed)
    known = known_as or kind
    table = ModelPool().fetch_module_map(f"{known.__module__}.{known.__qualname__}", places)
    if table is not None and known is WanS2VModel:
        table = rung.table(table, WanS2VDiTBlock)
    return load_model(
        kind, None, arguments, places["computation_dtype"], places["computation_device"],
        module_map=table, vram_config=places, vram_limit=rung.limit_gb(), state_dict=state,
    )  # fmt: skip
