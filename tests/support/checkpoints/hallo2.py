"""Hallo2: the layout of its own repository, small. What was trained is a pickle, with the names
that the example's modules have (tests/models/hallo2 proves that these are the official ones);
InsightFace's networks and the separator are ONNX files, wav2vec 2.0 has a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from . import faces, onnx_files, speaking, tokens
from .layout import contrast
from .onnx_files import Node

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "hallo2"
HEARD = 32
UNET: dict[str, Any] = {
    "act_fn": "silu", "attention_head_dim": 2, "block_out_channels": [32, 32, 32, 32],
    "center_input_sample": False, "cross_attention_dim": 16, "downsample_padding": 1,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"], "flip_sin_to_cos": True,
    "freq_shift": 0, "in_channels": 4, "layers_per_block": 1, "mid_block_scale_factor": 1,
    "norm_eps": 1e-05, "norm_num_groups": 16, "out_channels": 4, "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}  # fmt: skip
LOUD = ("zero_conv", "proj_out", "conv_out", "audioproj")
"""What begins as zeros in training, or would be heard too little in so small a network."""
GAIN = 3.0
FACE = np.array([180, 105, 380, 355])
"""Box of the sample's face where the detector searches, in a square of 640: what its network says
of every picture."""
POINTS = np.array([[235, 205], [325, 205], [280, 250], [245, 295], [315, 295]])
BESIDE = (
    "CodeFormer/codeformer.pth", "motion_module/mm_sd_v15_v2.ckpt",
    "stable-diffusion-v1-5/unet/diffusion_pytorch_model.safetensors",
    "face_analysis/models/1k3d68.onnx", "face_analysis/models/genderage.onnx",
    "face_analysis/models/face_landmarker_v2_with_blendshapes.task",
)  # fmt: skip
"""What the real repository has besides, and nobody should fetch."""


def hallo2(folder: Path) -> None:
    networks(folder)
    autoencoder(folder / "sd-vae-ft-mse")
    hearing(folder / "wav2vec" / "wav2vec2-base-960h")
    models = folder / "face_analysis" / "models"
    models.mkdir(parents=True)
    detector(models / "scrfd_10g_bnkps.onnx")
    landmarks(models / "2d106det.onnx")
    identity(models / "glintr100.onnx")
    separator(folder / "audio_separator" / "Kim_Vocal_2.onnx")
    super_resolution(folder)
    for name in BESIDE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(4000))
    restorer(folder / "hallo2" / "net_g.pth")


def networks(folder: Path) -> None:
    """All that was trained, in one file."""
    sys.path.insert(0, str(EXAMPLE))
    from hallo2.network import Networks
    from hallo2.sizes import Sizes

    sizes = Sizes(
        channels=tuple(UNET["block_out_channels"]), heads=2, groups=16, context=16, heard=HEARD,
        layers=1,
        sound_hidden=32, sound=20, sound_tokens=4, locator=(8, 8, 16, 16),
    )  # fmt: skip
    state = Networks(UNET, sizes).state_dict()
    for name, tensor in state.items():
        if any(part in name for part in LOUD) and tensor.ndim > 1:
            torch.nn.init.normal_(tensor, std=GAIN / tensor[0].numel() ** 0.5)
    file = folder / "hallo2" / "net.pth"
    file.parent.mkdir()
    torch.save(state, file)
    config = folder / "stable-diffusion-v1-5" / "unet" / "config.json"
    config.parent.mkdir(parents=True)
    tokens.write(config, {"_class_name": "UNet2DConditionModel", **UNET})


def restorer(path: Path) -> None:
    """Of faces of 512x512, as in the real repository: weights as training left them, and means of
    its last steps, of which only these give numbers."""
    from hallo2.restorer import FaceRestorer
    from hallo2.sizes import RestorerSizes

    sizes = RestorerSizes(
        channels=(4, 4, 4, 4, 8, 8), blocks=1, latent=8, codes=32, width=16, inner=32, layers=1
    )
    means = FaceRestorer(sizes).state_dict()
    trained = {name: torch.full_like(tensor, torch.nan) for name, tensor in means.items()}
    torch.save({"params": trained, "params_ema": means}, path)


def autoencoder(folder: Path) -> None:
    vae = AutoencoderKL(
        latent_channels=4, block_out_channels=(8,) * 4, norm_num_groups=2, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, 2.0)
    vae.save_pretrained(folder)


def hearing(folder: Path) -> None:
    """The base one of 960 hours with 32 channels where it has 768; as many layers."""
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            hidden_size=HEARD, num_hidden_layers=12, num_attention_heads=4, intermediate_size=64,
            conv_dim=(16,) * 7, vocab_size=32, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    old = {speaking.as_written_then(name): value for name, value in load_file(file).items()}
    save_file(old, file, {"format": "pt"})
    Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16000, padding_value=0.0, do_normalize=True,
        return_attention_mask=False,
    ).save_pretrained(folder)  # fmt: skip


def detector(path: Path) -> None:
    """Sure of FACE in every picture, by its guess at the place nearest to the middle."""
    scores, boxes, points = [], [], []
    for stride in (8, 16, 32):
        across = 640 // stride
        score, box, point = (np.zeros((across**2 * 2, n), np.float32) for n in (1, 4, 10))
        if stride == 32:
            x, y = (FACE[:2] + FACE[2:]) // 2 // stride
            at, centre = (y * across + x) * 2, np.array([x, y]) * stride
            score[at] = 0.9
            box[at] = np.concatenate([centre - FACE[:2], FACE[2:] - centre]) / stride
            point[at] = ((POINTS - centre) / stride).reshape(-1)
        for made, array in ((scores, score), (boxes, box), (points, point)):
            made.append(array)
    arrays = {str(448 + i): array for i, array in enumerate([*scores, *boxes, *points])}
    constant(path, ("input.1", (1, 3, "?", "?")), arrays)


def landmarks(path: Path) -> None:
    """A contour round the middle of what it is shown, lips below, the rest in the middle."""
    points = np.zeros((106, 2), np.float32)
    turn = np.linspace(0, np.pi, 33)
    points[:33] = np.stack([0.5 * np.cos(turn), 0.62 * np.sin(turn)], axis=1)
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[52:72] = np.stack([0.2 * np.cos(turn), 0.34 + 0.08 * np.sin(turn)], axis=1)
    constant(path, ("data", ("None", 3, 192, 192)), {"fc1": points.reshape(1, -1)}, "bn_data")


def identity(path: Path) -> None:
    """Means of patches, and numbers of these."""
    patch = {"kernel_shape": [16, 16], "strides": [16, 16]}
    weight = np.random.default_rng(5).standard_normal((147, 512)).astype(np.float32)
    onnx_files.write(
        path, ("input.1", ("None", 3, 112, 112)), {"1333": (1, 512)},
        [
            Node("AveragePool", ["input.1"], "means", patch),
            Node("Flatten", ["means"], "flat", {"axis": 1}),
            Node("MatMul", ["flat", "weight"], "1333"),
        ],
        {"weight": weight},
    )  # fmt: skip


def separator(path: Path) -> None:
    """Half of what it hears."""
    path.parent.mkdir()
    shape = ("batch_size", 4, 3072, 256)
    nodes = [Node("Mul", ["input", "half"], "output")]
    half = {"half": np.array(0.5, np.float32)}
    onnx_files.write(path, ("input", shape), {"output": shape}, nodes, half)


@torch.no_grad()
def super_resolution(folder: Path) -> None:
    """What frames are restored and enlarged with, but for the restorer itself."""
    files = {
        "facelib/detection_Resnet50_Final.pth": faces.detector(),
        "facelib/parsing_parsenet.pth": faces.parser(),
        "realesrgan/RealESRGAN_x2plus.pth": {"params_ema": faces.enlarger()},
    }
    for name, held in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(held, folder / name)


def constant(
    path: Path, takes: tuple[str, onnx_files.Shape], gives: dict[str, np.ndarray], first: str = ""
) -> None:
    """Gives the same whatever it takes. first: the name of its first operator."""
    nodes = [
        Node("Identity", [f"{name}_is"], name, name=first if number == 0 else "")
        for number, name in enumerate(gives)
    ]
    shapes = {name: array.shape for name, array in gives.items()}
    onnx_files.write(path, takes, shapes, nodes, {f"{n}_is": array for n, array in gives.items()})
