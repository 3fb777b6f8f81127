"""`python -m checkpoints.sadtalker --example DIR --output DIR`: small random weights of SadTalker.

Names, files and layout are those of the official ones; only the sizes are smaller. DIR/repo is
what vinthony/SadTalker-V002rc has, beside it lie the files that come from elsewhere. The detector
is sure of a face in the upper left of every picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from . import faces

SEED = 9
GAIN = 12.0  # of the last layer, so that not all frames are one grey


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m checkpoints.sadtalker", description=__doc__)
    parser.add_argument("--example", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    build(given.example, given.output)


def build(example: Path, output: Path) -> None:
    """Writes all files; the same bytes each time."""
    sys.path.insert(0, str(example))
    repo = output / "repo"
    repo.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        for size in (256, 512):
            save_file(whole(), repo / f"SadTalker_V0.0.2_{size}.safetensors", {"format": "pt"})
        for number, coefficients in (("00109", 73), ("00229", 70)):
            held = {"mapping": mapping(coefficients), "epoch": 1}
            torch.save(held, repo / f"mapping_{number}-model.pth.tar")
        torch.save({"state_dict": landmarks()}, output / "alignment_WFLW_4HG.pth")
        torch.save(faces.detector(), output / "detection_Resnet50_Final.pth")
        torch.save({"params_ema": restorer()}, output / "GFPGANv1.4.pth")
        torch.save(faces.parser(), output / "parsing_parsenet.pth")
        torch.save({"params_ema": faces.enlarger()}, output / "RealESRGAN_x2plus.pth")


def whole() -> dict[str, torch.Tensor]:
    """Five nets in one file, with a name before each, and what only training used."""
    from sadtalker.dense_motion import DenseMotion
    from sadtalker.expression import ExpressionNet
    from sadtalker.face3d import FaceReconstruction
    from sadtalker.generator import Generator
    from sadtalker.keypoints import KeypointDetector
    from sadtalker.pose import PoseNet

    motion = DenseMotion(channels=4, base=4, largest=8, blocks=2, depth=2, compress=2)
    shape = {"channels": 4, "depth": 2, "blocks": 1, "drawn": 8, "hidden": 8}
    nets: dict[str, Any] = {
        "generator": Generator(motion, base=4, largest=8, **shape),
        "kp_extractor": KeypointDetector(base=4, largest=8, blocks=2, channels=16, depth=2),
        "audio2exp": ExpressionNet(), "audio2pose": PoseNet(),
        "face_3drecon": FaceReconstruction(width=4, stages=(1, 1, 1, 1)),
    }  # fmt: skip
    nets["generator"].decoder.conv_img.weight.mul_(GAIN)
    made = {f"{n}.{name}": t for n, net in nets.items() for name, t in started(net).items()}
    made["audio2pose.netG.encoder.linear_means.weight"] = torch.zeros(4, 4)
    made["audio2pose.netD_motion.seq.3.bias"] = torch.zeros(1)
    return made


def mapping(coefficients: int) -> dict[str, torch.Tensor]:
    from sadtalker.mapping import MappingNet

    return started(MappingNet(coefficients, width=16))


def landmarks() -> dict[str, torch.Tensor]:
    from sadtalker.landmark_net import LandmarkNet

    return started(LandmarkNet(hourglasses=2, channels=16, depth=2, base=8))


def restorer() -> dict[str, torch.Tensor]:
    """With some of what only training used."""
    from sadtalker.restorer import Restorer

    net = Restorer(channels=(8, 8, 8, 8, 8, 8, 4, 4), latent=8)
    for name, tensor in net.state_dict().items():
        if "modulated" in name or "constant" in name or "noise" in name or tensor.ndim == 1:
            torch.nn.init.normal_(tensor, std=tensor[0].numel() ** -0.5)
        if name.startswith("stylegan_decoder") and name.endswith("bias"):
            tensor.zero_()
    unused = {"toRGB.0.bias": torch.zeros(3), "stylegan_decoder.style_mlp.1.bias": torch.zeros(8)}
    return started(net) | unused


def started(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Its state, with values where it begins with zeros, and with vectors of spectral norms that
    fit their weights."""
    state = net.state_dict()
    for name, tensor in state.items():
        if name.endswith(("weight_orig", "classbias", "down.weight")):
            torch.nn.init.normal_(tensor, std=tensor[0].numel() ** -0.5)
        if name.endswith("weight_orig"):
            rows = tensor.flatten(1)
            v = torch.nn.functional.normalize(rows.T @ torch.ones(len(rows)), dim=0)
            state[name.replace("_orig", "_v")] = v
            state[name.replace("_orig", "_u")] = torch.nn.functional.normalize(rows @ v, dim=0)
    return {name: tensor.contiguous() for name, tensor in state.items()}


if __name__ == "__main__":
    main()
