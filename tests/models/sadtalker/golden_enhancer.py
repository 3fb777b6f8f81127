"""The golden numbers of the enhancer: of GFPGAN's net, of ParseNet, and of both on a frame."""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sadtalker_small as small
import torch
from sadtalker_small import filled, pictures, tensor
from standing_in import stand_in

Numbers = dict[str, Any]
FILES = (
    "gfpgan/archs/gfpganv1_clean_arch.py", "gfpgan/archs/stylegan2_clean_arch.py",
    "gfpgan/utils.py", "facexlib/parsing/parsenet.py", "facexlib/utils/face_restoration_helper.py",
    "facexlib/utils/misc.py", "facexlib/detection/retinaface_utils.py",
)  # fmt: skip


def enhancer(gfpgan: Path, facexlib: Path) -> Callable[[], Numbers]:
    """gfpgan, facexlib: unpacked wheels."""

    def make() -> Numbers:
        make_ready(gfpgan)
        roots = {"gfpgan": gfpgan, "facexlib": facexlib}
        files = [
            f"{hashlib.sha256((roots[name.split('/')[0]] / name).read_bytes()).hexdigest()}  {name}"
            for name in FILES
        ]
        return {"commit": "gfpgan 1.3.8, facexlib 0.3.0", "files": files, **layout(), **numbers()}

    return make


def make_ready(gfpgan: Path) -> None:
    """What GFPGAN needs of basicsr and torchvision, and its folders without what they import."""
    register = types.SimpleNamespace(register=lambda: lambda kind: kind)
    stand_in("basicsr.utils.registry", ARCH_REGISTRY=register)
    stand_in("basicsr.archs.arch_util", default_init_weights=lambda *_, **__: None)
    stand_in("basicsr.utils.download_util", load_file_from_url=None)
    for name in ("gfpgan", "gfpgan.archs"):
        stand_in(name, __path__=[str(gfpgan / name.replace(".", "/"))])
    stand_in("gfpgan.archs.gfpgan_bilinear_arch", GFPGANBilinear=None)
    stand_in("gfpgan.archs.gfpganv1_arch", GFPGANv1=None)
    sys.modules["torchvision.transforms.functional"].__dict__.update(normalize=normalize)
    from facexlib.utils.misc import img2tensor

    sys.modules["basicsr.utils"].__dict__.update(img2tensor=img2tensor, tensor2img=tensor2img)


def normalize(
    x: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...], inplace: bool
) -> None:
    assert inplace and len(set(mean)) == len(set(std)) == 1
    x.sub_(mean[0]).div_(std[0])


def tensor2img(x: torch.Tensor, rgb2bgr: bool, min_max: tuple[float, float]) -> np.ndarray:
    assert rgb2bgr
    low, high = min_max
    whole = (x.clamp(low, high) - low) / (high - low) * 255
    return whole.round().byte().permute(1, 2, 0).numpy()[..., ::-1]


def layout() -> Numbers:
    """Names and shapes of all parameters at real size."""
    from facexlib.parsing.parsenet import ParseNet
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

    with torch.device("meta"):
        nets = {
            "GFPGANv1.4": GFPGANv1Clean(512, channel_multiplier=2, **of_wheel(1)),
            "parsing_parsenet": ParseNet(in_size=512, out_size=512, parsing_ch=19),
        }
    found = {
        f"{net}/{name}": "x".join(map(str, value.shape))
        for net, module in nets.items() for name, value in module.state_dict().items()
    }  # fmt: skip
    return {"names": np.array(list(found)), "shapes": np.array(list(found.values()))}


def of_wheel(narrow: float) -> dict[str, Any]:
    """As GFPGANer makes the net."""
    return {
        "fix_decoder": False, "input_is_latent": True, "different_w": True, "sft_half": True,
        "narrow": narrow,
    }  # fmt: skip


def small_nets() -> tuple[torch.nn.Module, torch.nn.Module]:
    """What draws a face, and what says which pixels are of it."""
    from facexlib.parsing.parsenet import ParseNet
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

    net = filled(GFPGANv1Clean(512, small.LATENT, 2, **of_wheel(1 / 16)))
    sizes = {"base_ch": 8, "res_depth": small.PARSER["blocks"], "ch_range": [4, 32]}
    return net, filled(ParseNet(in_size=512, out_size=512, parsing_ch=19, **sizes))


def small_restorer(factor: int = 2, background: Any = None) -> Any:
    """A GFPGANer of these nets, to which two faces are told; background: what enlarges frames."""
    import facexlib.utils.face_restoration_helper as helping
    from gfpgan.utils import GFPGANer

    net, parser = small_nets()
    found = [np.concatenate([[0, 0, 9, 9, 1], face.ravel()]) for face in small.five_points()]
    detector = types.SimpleNamespace(detect_faces=lambda *_: np.stack(found))
    helping.init_detection_model = lambda *_, **__: detector
    helping.init_parsing_model = lambda **_: parser
    restorer = GFPGANer.__new__(GFPGANer)
    restorer.upscale, restorer.bg_upsampler = factor, background
    restorer.device = torch.device("cpu")
    restorer.gfpgan = lambda x, **_: net(x, randomize_noise=False)
    restorer.face_helper = helping.FaceRestoreHelper(factor, use_parse=True, device="cpu")
    return restorer


def numbers() -> Numbers:
    from facexlib.detection.retinaface import generate_config
    from facexlib.detection.retinaface_utils import PriorBox, decode_landm

    net, parser = small_nets()
    face = pictures("blurred", 1, 512, 512) * 2 - 1
    drawn = net(face, randomize_noise=False)[0]
    anchors = PriorBox(generate_config("resnet50"), (90, 130)).forward()
    points = decode_landm(tensor("points", len(anchors), 10), anchors, [0.1, 0.2])
    frame = small.picture("enhanced", *small.ENHANCED)
    made = small_restorer().enhance(np.ascontiguousarray(frame[..., ::-1]))[2]
    return {
        "drawn": drawn[0, :, ::16, ::16].numpy(), "drawn_at_row_99": drawn[0, :, 99].numpy(),
        "parsed": parser(face)[0][0, :, ::32, ::32].numpy(), "points": points.numpy()[::7],
        "enhanced": made[::3, ::3, ::-1],
    }  # fmt: skip
