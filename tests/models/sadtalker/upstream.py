"""Loads modules of a checkout of SadTalker, and of facexlib, beside today's packages.

Only loads: nothing of them is kept. What they import and do not need here is stood in for.
"""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from standing_in import stand_in

COMMIT = "cd4c0465ae0b54a6f85af57f5c65fec9fe23e7f8"
FACEXLIB = "facexlib 0.3.0"
FILES = (
    "src/face3d/models/networks.py", "src/face3d/util/my_awing_arch.py",
    "src/face3d/util/preprocess.py", "src/face3d/util/load_mats.py", "src/utils/croper.py",
    "src/utils/audio.py", "src/audio2exp_models/networks.py", "src/audio2exp_models/audio2exp.py",
    "src/audio2pose_models/audio2pose.py", "src/audio2pose_models/cvae.py",
    "src/audio2pose_models/res_unet.py", "src/audio2pose_models/audio_encoder.py",
    "src/facerender/modules/generator.py", "src/facerender/modules/dense_motion.py",
    "src/facerender/modules/keypoint_detector.py", "src/facerender/modules/mapping.py",
    "src/facerender/modules/util.py", "src/facerender/modules/make_animation.py",
    "src/generate_batch.py", "src/generate_facerender_batch.py", "src/test_audio2coeff.py",
    "src/config/similarity_Lm3D_all.mat", "src/config/facerender.yaml",
    "src/config/facerender_still.yaml", "src/config/auido2exp.yaml", "src/config/auido2pose.yaml",
)  # fmt: skip
FACEXLIB_FILES = (
    "facexlib/detection/retinaface.py",
    "facexlib/detection/retinaface_net.py",
    "facexlib/detection/retinaface_utils.py",
    "facexlib/alignment/convert_98_to_68_landmarks.py",
)


def hashes(upstream: Path, facexlib: Path) -> list[str]:
    """`sha256  path` of all that the numbers depend on."""
    files = [(upstream, name) for name in FILES] + [(facexlib, name) for name in FACEXLIB_FILES]
    return [
        f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}" for root, name in files
    ]


def same_size(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """skimage.transform.resize to the size that it has already."""
    assert image.shape == size
    return image


def make_ready(upstream: Path, facexlib: Path) -> None:
    sys.path[:0] = [str(upstream), str(facexlib)]
    np.VisibleDeprecationWarning = DeprecationWarning  # type: ignore[attr-defined]
    np.float = float  # type: ignore[attr-defined]
    Image.ANTIALIAS = Image.Resampling.LANCZOS  # type: ignore[attr-defined]
    stand_in("kornia.geometry", warp_affine=None)
    stand_in("skimage.io")
    stand_in("skimage.transform", resize=same_size)
    as_float = lambda image: np.divide(image, 255, dtype=np.float32)  # noqa: E731
    sys.modules["skimage"].__dict__.update(img_as_float32=as_float)
    from src.face3d.models import networks

    # torchvision's ResNet is what upstream's own was copied from.
    resnet = types.SimpleNamespace(resnet50=lambda **_: networks.resnet50())
    stand_in("torchvision.models", resnet50=resnet.resnet50)
    stand_in("torchvision.models._utils", IntermediateLayerGetter=layers_of)
    stand_in("torchvision.transforms.functional", normalize=None)


def layers_of(net: Any, wanted: dict[str, int]) -> Any:
    """torchvision's IntermediateLayerGetter for a ResNet without its last layers."""
    import torch

    class Body(torch.nn.ModuleDict):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = {}
            for name, layer in self.items():
                x = layer(x)
                if name in wanted:
                    found[name] = x
            return found

    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return Body({name: getattr(net, name) for name in names})
