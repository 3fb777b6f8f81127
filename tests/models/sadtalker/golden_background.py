"""The golden numbers of the background: of Real-ESRGAN's net, of a picture drawn in tiles, and of a
frame whose faces are drawn anew on it."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_enhancer
import numpy as np
import sadtalker_small as small
import torch
from sadtalker_small import pictures
from standing_in import stand_in

Numbers = dict[str, Any]
FILES = (
    "basicsr/archs/rrdbnet_arch.py", "basicsr/archs/arch_util.py", "realesrgan/utils.py",
    "gfpgan/utils.py", "facexlib/utils/face_restoration_helper.py",
)  # fmt: skip


def background(roots: dict[str, Path]) -> Callable[[], Numbers]:
    """roots: unpacked packages of facexlib, gfpgan, basicsr and realesrgan."""

    def make() -> Numbers:
        golden_enhancer.make_ready(roots["gfpgan"])
        make_ready(roots)
        files = [
            f"{hashlib.sha256((roots[name.split('/')[0]] / name).read_bytes()).hexdigest()}  {name}"
            for name in FILES
        ]
        versions = "basicsr 1.4.2, realesrgan 0.3.0, gfpgan 1.3.8, facexlib 0.3.0"
        return {"commit": versions, "files": files, **layout(), **numbers()}

    return make


def make_ready(roots: dict[str, Path]) -> None:
    """Folders without what they import; what basicsr's file of parts of nets needs and RRDBNet
    does not."""
    sys.modules.pop("basicsr.archs.arch_util")
    sys.modules["basicsr.archs"].__path__ = [str(roots["basicsr"] / "basicsr" / "archs")]
    stand_in("basicsr.ops.dcn", ModulatedDeformConvPack=object, modulated_deform_conv=None)
    sys.modules["basicsr.utils"].__dict__.update(get_root_logger=None)
    sys.modules["torchvision"].__dict__.update(__version__="0.0")
    stand_in("realesrgan", __path__=[str(roots["realesrgan"] / "realesrgan")])


def layout() -> Numbers:
    """Names and shapes of all parameters at real size, as upstream's SadTalker makes the net."""
    from basicsr.archs.rrdbnet_arch import RRDBNet

    with torch.device("meta"):
        state = RRDBNet(3, 3, scale=2, num_feat=64, num_block=23, num_grow_ch=32).state_dict()
    shapes = ["x".join(map(str, value.shape)) for value in state.values()]
    return {
        "names": np.array([f"RealESRGAN_x2plus/{name}" for name in state]),
        "shapes": np.array(shapes),
    }


def numbers() -> Numbers:
    net = small_net()
    picture = small.picture("enlarged", *small.ENLARGED)
    whole = enlarged(upsampler(net, tile=400), picture)
    made: Numbers = {}
    frame = small.picture("enhanced", *small.ENHANCED)
    for factor in (2, 1):
        restorer = golden_enhancer.small_restorer(factor, upsampler(net, tile=small.TILE))
        found = restorer.enhance(np.ascontiguousarray(frame[..., ::-1]))[2]
        made[f"enhanced_by_{factor}"] = found[::3, ::3, ::-1]
    return {
        "net": net(pictures("enlarged by the net", 1, 32, 48))[0, :, ::2].numpy(),
        "tiled": whole[::9, ::7], "tiled_at_seam": whole[small.SEAM][:, ::5], **made,
    }  # fmt: skip


def small_net() -> torch.nn.Module:
    from basicsr.archs.rrdbnet_arch import RRDBNet

    sizes = {"num_feat": small.ENLARGER["channels"], "num_block": small.ENLARGER["blocks"]}
    return small.enlarging(RRDBNet(3, 3, scale=2, num_grow_ch=small.ENLARGER["growth"], **sizes))


def upsampler(net: torch.nn.Module, tile: int) -> Any:
    """As upstream's SadTalker makes it, but for the precision, and of small tiles where asked."""
    from realesrgan.utils import RealESRGANer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pth"
        torch.save({"params_ema": net.state_dict()}, path)
        return RealESRGANer(2, str(path), model=net, tile=tile, tile_pad=10, pre_pad=0)


def enlarged(upsampler: Any, picture: np.ndarray) -> np.ndarray:
    return upsampler.enhance(np.ascontiguousarray(picture[..., ::-1]), outscale=2)[0][..., ::-1]
