r"""Makes the golden numbers of SadTalker again from upstream's own modules.

    python golden.py --upstream SADTALKER --facexlib FACEXLIB --gfpgan GFPGAN --basicsr BASICSR \
        --realesrgan REALESRGAN --output golden

SADTALKER is a checkout of OpenTalker/SadTalker at the commit that upstream.py names, FACEXLIB an
unpacked wheel of facexlib 0.3.0, GFPGAN one of gfpgan 1.3.8, REALESRGAN one of realesrgan 0.3.0,
BASICSR the unpacked sources of basicsr 1.4.2. Needs torch, scipy, librosa, yacs and OpenCV below 5.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sadtalker_small as small
import torch
import upstream
from sadtalker_small import filled, pictures, tensor

Numbers = dict[str, Any]
PACKAGES = ("facexlib", "gfpgan", "basicsr", "realesrgan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    for package in PACKAGES:
        parser.add_argument(f"--{package}", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", help="one of the files, without .npz")
    given = parser.parse_args()
    upstream.make_ready(given.upstream, given.facexlib)
    import golden_background
    import golden_chain
    import golden_enhancer
    import golden_seams

    packages = {name: getattr(given, name) for name in PACKAGES}
    source = {"commit": upstream.COMMIT, "files": upstream.hashes(given.upstream, given.facexlib)}
    makers = {
        "layout": layout, "voices": voices, "faces": faces, "renderer": renderer,
        "places": golden_chain.places, "tracks": golden_chain.tracks,
        "frames": golden_chain.frames,
        "enhancer": golden_enhancer.enhancer(given.gfpgan, given.facexlib),
        "background": golden_background.background(packages),
        "seams": golden_seams.pasted(given.upstream),
    }  # fmt: skip
    given.output.mkdir(parents=True, exist_ok=True)
    for name, make in makers.items():
        if given.only in (None, name):
            path = given.output / f"{name}.npz"
            np.savez_compressed(path, **{**source, **make()})
            print(f"{path}: {path.stat().st_size} bytes")


def pose_settings() -> Any:
    from yacs.config import CfgNode

    with open(Path(upstream_root()) / "src/config/auido2pose.yaml") as file:
        return CfgNode.load_cfg(file)


def upstream_root() -> str:
    import src

    return str(Path(next(iter(src.__path__))).parent)


def yaml_of(name: str) -> dict[str, Any]:
    import yaml

    text = (Path(upstream_root()) / "src/config" / f"{name}.yaml").read_text()
    return yaml.safe_load(text)["model_params"]


def full_size() -> Iterator[tuple[str, torch.nn.Module]]:
    """Upstream's modules as they are configured, by what they are called in the checkpoints."""
    from facexlib.detection.retinaface import RetinaFace
    from src.audio2exp_models.networks import SimpleWrapperV2
    from src.audio2pose_models.audio2pose import Audio2Pose
    from src.face3d.models.networks import define_net_recon
    from src.face3d.util.my_awing_arch import FAN
    from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
    from src.facerender.modules.keypoint_detector import KPDetector
    from src.facerender.modules.mapping import MappingNet

    moving, still = yaml_of("facerender"), yaml_of("facerender_still")
    common = moving["common_params"]
    yield "face_3drecon", define_net_recon("resnet50", use_last_fc=False, init_path="")
    yield "audio2exp", SimpleWrapperV2()
    yield "audio2pose", Audio2Pose(pose_settings(), None, device="cpu")
    yield "generator", OcclusionAwareSPADEGenerator(**moving["generator_params"], **common)
    yield "kp_extractor", KPDetector(**moving["kp_detector_params"], **common)
    yield "mapping_00229", MappingNet(**moving["mapping_params"])
    yield "mapping_00109", MappingNet(**still["mapping_params"])
    yield "alignment_WFLW_4HG", FAN(num_modules=4, num_landmarks=98, device="cpu")
    yield "detection_Resnet50_Final", RetinaFace("resnet50", device="cpu")


def layout() -> Numbers:
    """Names and shapes of all parameters at real size."""
    found = {}
    for net, module in full_size():
        for name, value in module.state_dict().items():
            found[f"{net}/{name}"] = "x".join(map(str, value.shape))
    return {"names": np.array(list(found)), "shapes": np.array(list(found.values()))}


def voices() -> Numbers:
    """What the nets with a voice give, and the spectrogram."""
    from src.audio2exp_models.networks import SimpleWrapperV2
    from src.audio2pose_models.audio2pose import Audio2Pose
    from src.utils import audio

    samples = small.wave().astype(np.float32) / 32768
    expression = filled(SimpleWrapperV2())
    heard = tensor("heard", 5, 1, 80, 16) * 4
    shut = torch.full((1, 5, 1), small.SHUT)
    pose = filled(Audio2Pose(pose_settings(), None, device="cpu"))
    length = small.FRAMES
    rest = tensor("rest of head", 1, length, 70)
    batch = {
        "ref": rest, "class": torch.tensor([small.STYLE]), "num_frames": length,
        "indiv_mels": tensor("heard by head", 1, length, 1, 80, 16) * 4,
    }  # fmt: skip
    with drawn():
        moved = pose.test(batch)["pose_pred"]
    return {
        "mel": audio.melspectrogram(samples).T.astype(np.float32),
        "expression": expression(heard, tensor("rest", 1, 5, 64), shut)[0].numpy(),
        "pose": moved[0].numpy(),
    }


class drawn:
    """Within it, torch.randn gives noise by formula, a row after the other."""

    def __enter__(self) -> None:
        self.real, rows = torch.randn, iter(tensor("noise", 8, 64))
        torch.randn = lambda *size, **_: next(rows).view(*size)

    def __exit__(self, *_: object) -> None:
        torch.randn = self.real


def faces() -> Numbers:
    """What the nets that look at a face give."""
    from facexlib.detection.retinaface import RetinaFace
    from src.face3d.models.networks import define_net_recon
    from src.face3d.util.my_awing_arch import FAN

    reconstruction = filled(define_net_recon("resnet50", use_last_fc=False, init_path=""))
    detector = filled(RetinaFace("resnet50", device="cpu"))
    boxes, scores, landmarks = detector(pictures("detected", 1, 96, 128) * 255 - 117)
    net = filled(FAN(num_modules=small.HOURGLASSES, num_landmarks=98, device="cpu"))
    heat = net(pictures("aligned", 1, 256, 256))[0][-1][0]
    return {
        "coefficients": reconstruction(pictures("face", 2, 96, 96)).numpy(),
        "boxes": boxes[0].numpy(), "scores": scores[0, :, 1].numpy(),
        "landmarks": landmarks[0].numpy(), 
        "heat": heat[:, ::8, ::8].numpy(), "heat_at_row_30": heat[:, 30].numpy(),
    }  # fmt: skip


def small_renderer(mapping: str) -> tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]:
    """Generator, detector of keypoints and mapping net of upstream, in the sizes of the tests."""
    from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
    from src.facerender.modules.keypoint_detector import KPDetector
    from src.facerender.modules.mapping import MappingNet

    settings = yaml_of(mapping)
    common, points = settings["common_params"], settings["kp_detector_params"]
    shape = settings["generator_params"]
    sizes = {"block_expansion": 4, "max_features": 16, "num_blocks": 3}
    points.update(sizes, reshape_channel=256, reshape_depth=16)
    shape["dense_motion_params"].update(sizes)
    shape["num_resblocks"] = small.RESIDUALS
    settings["mapping_params"].update(descriptor_nc=small.MAPPING["width"])
    generator = filled(OcclusionAwareSPADEGenerator(**shape, **common))
    keypoints = filled(KPDetector(**points, **common))
    return generator, keypoints, filled(MappingNet(**settings["mapping_params"]))


def renderer() -> Numbers:
    """What each part of the renderer gives."""
    from src.facerender.modules.make_animation import keypoint_transformation

    generator, detector, mapping = small_renderer("facerender")
    picture = pictures("source", 1, small.SIDE, small.SIDE)
    points = detector(picture)["value"]
    motion = mapping(tensor("coefficients", 2, 70, 27))
    flat = {name: value.numpy().copy() for name, value in motion.items()}
    moved = keypoint_transformation({"value": points.expand(2, -1, -1)}, motion)["value"]
    source, driving = tensor("at rest", 1, 15, 3) * 0.7, tensor("moved", 2, 15, 3) * 0.7
    places = [{"value": value} for value in (driving, source.expand(2, -1, -1))]
    both = picture.expand(2, -1, -1, -1)
    made = generator(both, kp_driving=places[0], kp_source=places[1])
    features = tensor("features", 1, 32, 16, 16, 16)
    flow = generator.dense_motion_network(features, {"value": driving[:1]}, {"value": source[:1]})
    return {
        **flat, "keypoints": points.numpy(), "moved": moved.numpy(),
        "flow": flow["deformation"][:, ::2, ::2, ::2].numpy(),
        "occlusion": flow["occlusion_map"].numpy(),
        "prediction": made["prediction"].numpy(),
    }  # fmt: skip


if __name__ == "__main__":
    main()
