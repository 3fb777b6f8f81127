"""Writes golden/*.npz: what upstream's modules give for the weights and inputs of `small_parts`.

    python golden.py --upstream LiveAvatar --output golden

with a checkout of https://github.com/Alibaba-Quark/LiveAvatar at the commit below, and upstream's
own requirements: transformers 4.51, librosa, einops, ftfy, regex, torchvision. Nothing of upstream
is kept but numbers, and the names and shapes of weights.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import math
import os
import sys
import tempfile
import types
import wave
from pathlib import Path
from typing import Any

import numpy as np
import small_parts
import torch
from transformers import Wav2Vec2ForCTC

COMMIT = "9c2c38de1715e553127b42c82cb959f756b02595"
WAN = "liveavatar.models.wan.wan_2_2"
FILES = [
    "liveavatar/models/wan/causal_s2v_pipeline.py",
    "liveavatar/models/wan/wan_2_2/modules/s2v/audio_encoder.py",
    "liveavatar/models/wan/wan_2_2/modules/t5.py",
    "liveavatar/models/wan/wan_2_2/modules/tokenizers.py",
    "liveavatar/models/wan/wan_2_2/modules/vae2_1.py",
    "liveavatar/models/wan/wan_2_2/modules/vae_streaming.py",
]
AREAS = {"704*384": 704 * 384, "384*256": 384 * 256, "1280*720": 1280 * 720}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=small_parts.GOLDEN)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    prepare(arguments.upstream.resolve())
    origin = {"commit": COMMIT, "files": hashes(arguments.upstream)}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        checkpoint = small_parts.write(Path(folder) / "checkpoint")
        for name, make in (("vae", vae), ("text", text), ("speech", speech)):
            save(arguments.output / f"{name}.npz", {**make(checkpoint), **origin})
    source = arguments.upstream / FILES[0]
    save(arguments.output / "pictures.npz", {**pictures(source), **origin})


def save(path: Path, numbers: dict[str, Any]) -> None:
    np.savez_compressed(path, **numbers)
    assert path.stat().st_size < 200_000, path


def hashes(upstream: Path) -> list[str]:
    return [
        f"{hashlib.sha256((upstream / file).read_bytes()).hexdigest()}  {file}" for file in FILES
    ]


def prepare(upstream: Path) -> None:
    """Packages without their __init__, which would import all of upstream and what it needs."""
    os.environ["ENABLE_COMPILE"] = "false"
    torch.cuda.current_device = lambda: 0  # a default argument of upstream's
    name = ""
    for part in f"{WAN}.modules.s2v".split("."):
        name = f"{name}.{part}".lstrip(".")
        package = types.ModuleType(name)
        package.__path__ = [str(upstream / name.replace(".", "/"))]
        sys.modules[name] = package


def upstreams(module: str) -> Any:
    return importlib.import_module(f"{WAN}.modules.{module}")


def vae(checkpoint: Path) -> dict[str, Any]:
    """Upstream's streaming autoencoder is the plain one, with more ways to call it."""
    plain, streaming = upstreams("vae2_1"), upstreams("vae_streaming")
    sizes = {"dim_mult": [1, 2, 4, 4], "temperal_downsample": [False, True, True]}
    with torch.device("meta"):
        real = plain.WanVAE_(dim=96, z_dim=16, num_res_blocks=2, **sizes)
    sizes["dim_mult"] = [1, 2, 2, 2]
    state = torch.load(checkpoint / small_parts.speaking.AUTOENCODER_FILE, weights_only=True)
    small = small_parts.AUTOENCODER
    tiny = [
        made.WanVAE_(dim=small.dim, z_dim=16, num_res_blocks=small.blocks, **sizes).eval()
        for made in (plain, streaming)
    ]
    for network in tiny:
        network.load_state_dict(state, strict=True)
    scale = scale_of(plain, checkpoint)
    video, latents = small_parts.video(), small_parts.latents()
    encoded = tiny[0].encode(video, scale)
    still = tiny[0].encode(video[:, :, :1].repeat(1, 1, 5, 1, 1), scale)
    decoded = tiny[0].decode(latents, scale).clamp(-1, 1)
    pieces = [tiny[1].stream_decode(piece, scale) for piece in latents.split([1, 3, 3], 2)]
    streamed = torch.cat(pieces, 2).clamp(-1, 1)
    return {
        "names": small_parts.shapes(real), "encoded": encoded, "still": still,
        "decoded": decoded[..., ::5, ::5], "streamed": streamed[..., ::5, ::5],
    }  # fmt: skip


def scale_of(plain: Any, checkpoint: Path) -> list[torch.Tensor]:
    """Mean and 1 / deviation of latents, from the class that holds them."""
    plain._video_vae = lambda **_: torch.nn.Identity()
    scale: list[torch.Tensor] = plain.Wan2_1_VAE(vae_pth=str(checkpoint), device="cpu").scale
    return scale


def text(checkpoint: Path) -> dict[str, Any]:
    module, tokenizers = upstreams("t5"), upstreams("tokenizers")
    sizes = {"dim_attn": 4096, "dim_ffn": 10240, "num_heads": 64, "num_layers": 24}
    more = {"num_buckets": 32, "shared_pos": False}
    with torch.device("meta"):
        real = module.T5Encoder(256384, 4096, **sizes, **more)
    sizes = {"dim_attn": 32, "dim_ffn": 64, "num_heads": 4, "num_layers": 2}
    tiny = module.T5Encoder(small_parts.TEXT.vocabulary, 32, **sizes, **more).eval()
    path = checkpoint / small_parts.speaking.TEXT_FILE
    tiny.load_state_dict(torch.load(path, weights_only=True), strict=True)
    folder = checkpoint / small_parts.speaking.TOKENIZER_FOLDER
    tokenizer = tokenizers.HuggingfaceTokenizer(name=str(folder), seq_len=512, clean="whitespace")
    made: dict[str, Any] = {"names": small_parts.shapes(real)}
    made["cleaned"] = [tokenizer._clean(prompt) for prompt in small_parts.PROMPTS]
    for number, prompt in enumerate(small_parts.PROMPTS):
        ids, mask = tokenizer([prompt], return_mask=True, add_special_tokens=True)
        length = int(mask.sum())
        made[f"tokens_{number}"] = ids[0, :length]
        made[f"context_{number}"] = tiny(ids, mask)[0, :length]
    return made


def speech(checkpoint: Path) -> dict[str, Any]:
    encoder = upstreams("s2v.audio_encoder").AudioEncoder(
        model_id=str(checkpoint / small_parts.speaking.HEARING_FOLDER)
    )
    encoder.model.eval()
    made: dict[str, Any] = {}
    for seconds in small_parts.SECONDS:
        path = checkpoint / "sound.wav"
        write_wav(path, small_parts.sound(seconds))
        every = encoder.extract_audio_feat(str(path), return_all_layers=True)
        chosen, clips = encoder.get_audio_embed_bucket_fps(
            every, fps=25, batch_frames=small_parts.CLIP, m=0
        )
        made[f"clips_{seconds}"] = clips
        made[f"heard_{seconds}"] = thinned(chosen)
    made["steps"], made["frames"] = buckets(encoder)
    with torch.device("meta"):
        made["names"] = small_parts.shapes(Wav2Vec2ForCTC(small_parts.real_speech_config()))
    return made


def thinned(chosen: torch.Tensor) -> torch.Tensor:
    """Of [frames, states, width], each third frame, fourth state and fifth number, and the last
    state of all; float32."""
    return torch.cat([chosen[::3, ::4, ::5], chosen[::3, -1:, ::5]], dim=1)


def buckets(encoder: Any) -> tuple[np.ndarray, np.ndarray]:
    """For numbers of steps, the step of each frame, counted from 1; 0 where there is none."""
    steps = np.array([*range(1, 130), 287, 288, 289, 575, 576, 577, 1440, 2880])
    rows = []
    for count in steps:
        ramp = torch.arange(1.0, count + 1).view(1, -1, 1).repeat(2, 1, 1)
        chosen, _ = encoder.get_audio_embed_bucket_fps(
            ramp, fps=25, batch_frames=small_parts.CLIP, m=0
        )
        rows.append(chosen[:, 0, 0].numpy().astype(np.int16))
    longest = max(map(len, rows))
    return steps, np.stack(
        [np.pad(row, (0, longest - len(row)), constant_values=-1) for row in rows]
    )


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(16000)
        stream.writeframes((samples * 32768).astype("<i2").tobytes())


def pictures(source: Path) -> dict[str, Any]:
    """Sizes by the method of upstream's pipeline, pictures by the transforms that it calls."""
    from PIL import Image
    from torchvision import transforms

    size_of = method(source, "get_size_less_than_area")
    sizes = [
        [width, height, area, *reversed(size_of(None, height, width, target_area=area))]
        for width, height in small_parts.PICTURES
        for area in AREAS.values()
    ]
    made: dict[str, Any] = {"sizes": sizes}
    for (width, height), (columns, rows) in (((300, 300), (320, 320)), ((450, 640), (256, 320))):
        resize, crop = transforms.Resize(min(rows, columns)), transforms.CenterCrop((rows, columns))
        image = crop(resize(Image.fromarray(small_parts.picture(width, height))))
        made[f"from_{width}x{height}"] = (transforms.ToTensor()(image) * 2 - 1)[:, ::5, ::5]
    return made


def method(source: Path, name: str) -> Any:
    """A method of upstream's pipeline as a function, without importing all that the file does."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            space: dict[str, Any] = {"math": math}
            exec(compile(ast.Module([node], []), str(source), "exec"), space)
            return space[name]
    raise LookupError(name)


if __name__ == "__main__":
    main()
