"""Make the numbers of super-resolution that the tests compare with, by running upstream's script.

    python super_resolution_golden.py --upstream PATH --output golden

PATH is a checkout of https://github.com/fudan-generative-vision/hallo2 at `COMMIT`. Needs torch,
opencv and Pillow. The whole script runs, over files of its own and with its helper, the reading of
what its detector gives, its parser and Real-ESRGAN, these of few channels. Stood in for: videos
(lists of frames), the networks that find and draw faces (formulas, `sharp_case.py`), and what is
called of torchvision. A frame is added to each film, since upstream drops the last one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import runpy
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import sharp_case as case
import torch
from standing_in import stand_in

COMMIT = "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
SCRIPT = "scripts/video_sr.py"
FILES = (
    SCRIPT, "facelib/utils/face_restoration_helper.py", "facelib/utils/misc.py",
    "facelib/detection/retinaface/retinaface.py", "facelib/parsing/parsenet.py",
    "facelib/detection/retinaface/retinaface_utils.py", "basicsr/archs/rrdbnet_arch.py",
    "basicsr/archs/arch_util.py", "basicsr/utils/realesrgan_utils.py", "basicsr/utils/img_util.py",
)  # fmt: skip
PACKAGES = ("basicsr", "basicsr.archs", "basicsr.utils", "facelib.detection", "facelib.parsing")
"""Entered without what they import."""
LARGEST_FILE = 200_000
MEAN = (104.0, 117.0, 123.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    upstream = chosen.upstream.resolve()
    hashes = {name: hashlib.sha256((upstream / name).read_bytes()).hexdigest() for name in FILES}
    enter(upstream)
    made = {name: restored(upstream, name) for name in case.FILMS}
    path = chosen.output / "super_resolution.npz"
    origin = np.array(json.dumps({"commit": COMMIT, "sha256": hashes}))
    np.savez_compressed(path, origin=origin, **made)
    assert path.stat().st_size < LARGEST_FILE, path.stat().st_size


def enter(upstream: Path) -> None:
    """Make its modules importable."""
    sys.path.insert(0, str(upstream))
    for name in PACKAGES:
        stand_in(name, __path__=[str(upstream / name.replace(".", "/"))])
    sys.modules["facelib.detection"].__dict__.update(init_detection_model=None)
    sys.modules["facelib.parsing"].__dict__.update(init_parsing_model=None)
    sys.modules["facelib"].__path__ = [str(upstream / "facelib")]
    stand_in("torchvision.transforms.functional", normalize=normalize)
    stand_in("torchvision.utils", make_grid=None)
    stand_in("torchvision.models._utils", IntermediateLayerGetter=None)
    stand_in("torchvision.ops", nms=nms)
    sys.modules["torchvision"].__dict__.update(__version__="0.0")
    device = torch.device("cpu")
    stand_in("basicsr.utils.misc", gpu_is_available=lambda: False, get_device=lambda *_: device)
    stand_in("basicsr.utils.download_util", load_file_from_url=None)
    stand_in("basicsr.ops.dcn", ModulatedDeformConvPack=object, modulated_deform_conv=None)
    stand_in("distutils.version", LooseVersion=str)
    sys.modules["basicsr.utils"].__dict__.update(get_root_logger=None)
    from basicsr.utils.img_util import img2tensor, imwrite, tensor2img

    sys.modules["basicsr.utils"].__dict__.update(
        img2tensor=img2tensor, imwrite=imwrite, tensor2img=tensor2img
    )


def normalize(
    x: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...], inplace: bool
) -> None:
    assert inplace and len(set(mean)) == len(set(std)) == 1
    x.sub_(mean[0]).div_(std[0])


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """As torchvision documents it."""
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(shared(boxes[i], boxes[j]) <= iou_threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def shared(one: torch.Tensor, other: torch.Tensor) -> float:
    low, high = torch.maximum(one[:2], other[:2]), torch.minimum(one[2:], other[2:])
    both = (high - low).clamp(min=0).prod()
    return float(both / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - both))


def restored(upstream: Path, name: str) -> np.ndarray:
    """[frames, rows, columns, 3] in RGB, thinned out."""
    film, about = case.film(name), case.FILMS[name]
    written: list[np.ndarray] = []
    videos(iter([*film, film[-1], None]), written)
    words = ["-i", "film.mp4", "-o", "made", "-w", str(about.fidelity), "-s", str(about.upscale)]
    words += ["--bg_upsampler", "realesrgan", "--bg_tile", str(case.TILE)]
    words += ["--face_upsample"] if about.face_upsample else []
    called = mock.patch.object(sys, "argv", [SCRIPT, *words])
    with tempfile.TemporaryDirectory() as folder, at(folder), networks(about.bg), called:
        runpy.run_path(str(upstream / SCRIPT), run_name="__main__")
    assert len(written) == len(film)
    return np.stack([made[:: about.rows, :: about.columns, ::-1] for made in written])


def videos(frames: Iterator[np.ndarray | None], written: list[np.ndarray]) -> None:
    def get_frame() -> np.ndarray | None:
        found = next(frames)
        return None if found is None else np.ascontiguousarray(found[..., ::-1])

    nothing = lambda: None  # noqa: E731
    reader = types.SimpleNamespace(
        get_frame=get_frame, get_audio=nothing, get_fps=lambda: 25, close=nothing
    )
    writer = types.SimpleNamespace(write_frame=written.append, close=nothing)
    stand_in(
        "basicsr.utils.video_util",
        VideoReader=lambda _: reader, VideoWriter=lambda *_: writer,
    )  # fmt: skip


@contextlib.contextmanager
def at(folder: str) -> Iterator[None]:
    """In a folder with the files that the script reads its weights from."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for path, held in (("hallo2/net_g.pth", {}), ("realesrgan/RealESRGAN_x2plus.pth", large())):
            file = Path("pretrained_models", path)
            file.parent.mkdir(parents=True)
            torch.save({"params_ema": held}, file)
        yield
    finally:
        os.chdir(before)


def large() -> dict[str, torch.Tensor]:
    return dict(enlarger().state_dict())


def enlarger(**_: Any) -> torch.nn.Module:
    from basicsr.archs.rrdbnet_arch import RRDBNet

    shape = {"num_feat": case.ENLARGER["channels"], "num_block": case.ENLARGER["blocks"]}
    return case.enlarging(RRDBNet(3, 3, scale=2, num_grow_ch=case.ENLARGER["growth"], **shape))


@contextlib.contextmanager
def networks(bg: bool) -> Iterator[None]:
    """In place of those of the real size. bg: does Real-ESRGAN enlarge, or OpenCV?"""
    import facelib.utils.face_restoration_helper as helping
    from basicsr.archs import rrdbnet_arch
    from basicsr.utils import realesrgan_utils, registry
    from facelib.parsing.parsenet import ParseNet

    sizes = {"base_ch": 8, "res_depth": case.PARSER["blocks"], "ch_range": [4, 32]}
    parser = case.parsing(ParseNet(in_size=512, out_size=512, parsing_ch=19, **sizes))
    arches = types.SimpleNamespace(get=lambda _: lambda **_: Restorer())
    with contextlib.ExitStack() as changes:
        small = (
            (helping, "init_detection_model", lambda *_, **__: detector()),
            (helping, "init_parsing_model", lambda **_: parser),
            (registry, "ARCH_REGISTRY", arches),
            (rrdbnet_arch, "RRDBNet", lambda **_: made),
        )
        made = enlarger()
        for place, name, value in small:
            changes.enter_context(mock.patch.object(place, name, value))
        if not bg:
            changes.enter_context(mock.patch.object(realesrgan_utils, "RealESRGANer", Plain))
        yield


class Restorer(torch.nn.Module):
    """By the script's call."""

    def inference(self, x: torch.Tensor, w: float, adain: bool) -> tuple[torch.Tensor, None]:
        assert adain
        with torch.no_grad():
            return case.Restorer()(x[0], w)[None], None


class Plain:
    """Enlarges frames, of 512 at least as the script has them, without a network."""

    def __init__(self, **_: Any) -> None: ...

    def enhance(self, picture: np.ndarray, outscale: int) -> tuple[np.ndarray, str]:
        scale = max(1.0, 512 / min(picture.shape[:2]))
        rows, columns = (round(side * scale) * outscale for side in picture.shape[:2])
        return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_LANCZOS4), "RGB"


def detector() -> Any:
    """Upstream's, without its network."""
    from facelib.detection.retinaface.retinaface import RetinaFace, generate_config

    made = RetinaFace.__new__(RetinaFace)
    torch.nn.Module.__init__(made)
    made.half_inference, made.cfg = False, generate_config("resnet50")
    made.target_size, made.max_size = 1600, 2150
    made.mean_tensor = torch.tensor(MEAN).reshape(1, 3, 1, 1)

    def forward(pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        boxes, scores, points = case.detected(pictures, MEAN)
        return boxes, torch.stack([1 - scores, scores], 2), points

    made.forward = forward
    return made


if __name__ == "__main__":
    main()
