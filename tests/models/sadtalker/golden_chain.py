"""The golden numbers of the whole chain: from a picture and speech to frames, as upstream goes."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import golden
import numpy as np
import sadtalker_small as small
import torch
from PIL import Image
from sadtalker_small import filled
from scipy.io import loadmat, savemat, wavfile

Numbers = dict[str, Any]
OTHER = 11  # frames of the video that is followed


def places() -> Numbers:
    """How a picture is cut round a face, and moved for the 3D net; how eyes blink, heads turn."""
    from facexlib.detection.retinaface import generate_config
    from facexlib.detection.retinaface_utils import PriorBox, decode
    from src.face3d.util import load_mats, preprocess
    from src.face3d.util.my_awing_arch import calculate_points
    from src.facerender.modules.make_animation import get_rotation_matrix
    from src.generate_batch import generate_blink_seq_randomly
    from src.generate_facerender_batch import gen_camera_pose
    from src.utils.croper import Preprocesser, landmark_98_to_68

    found: Numbers = {}
    cutter = Preprocesser.__new__(Preprocesser)
    for name, width, height, *where in small.FACES:
        points = small.landmarks(name, *where)
        size, crop, quad = cutter.align_face(Image.new("RGB", (width, height)), points, 512)
        found[f"cut {name}"] = np.array([*size, *crop, *(int(edge) for edge in quad)])
    standard = load_mats.load_lm3d(str(Path(golden.upstream_root()) / "src/config"))
    points = small.landmarks("aligned", 130, 120, 60, 0.2)
    five = preprocess.extract_5p(np.stack([points[:, 0], 255 - points[:, 1]], 1))
    place, scale = preprocess.POS(five.T, standard.T)
    scale = 102.0 / scale
    picture = Image.fromarray(small.picture("aligned face", 256, 256))
    made = preprocess.resize_n_crop_img(picture, five, place.ravel(), scale)[0]
    found["aligned"] = np.asarray(made)[::2, ::2]
    found["placement"] = np.array([scale, *place.ravel()], np.float32)
    for frames in (10, 30, 200):
        random.seed(frames)
        found[f"blinks {frames}"] = generate_blink_seq_randomly(frames).astype(np.float32)
    found["yaw"] = gen_camera_pose(list(small.YAW), 50, 1)[0]
    found["roll"] = gen_camera_pose(list(small.ROLL), 7, 1)[0]
    found["turned"] = get_rotation_matrix(*(small.tensor(n, 4) * 90 for n in "ypr")).numpy()
    heat = np.sort(small.noise("heat", (98, 4096)), 1).reshape(98, 64, 64)
    heat = np.roll(heat, small.noise("rolls", (98,)).astype(int), 1)
    for index, row in enumerate(heat):
        row[:] = np.roll(row, (7 * index % 50 - 57, 5 * index % 50 - 57), (0, 1))
    found["heat peaks"] = calculate_points(heat[None])[0]
    anchors = PriorBox(generate_config("resnet50"), (90, 130)).forward()
    found["boxes"] = decode(small.tensor("boxes", len(anchors), 4), anchors, [0.1, 0.2]).numpy()
    found["68"] = landmark_98_to_68(small.noise("98", (98, 2)))
    return found


def acted(folder: Path, pastes: bool, follow: bool) -> tuple[Path, Path, dict[str, Any]]:
    """Upstream's files of the face and of the track, and what it drew by chance."""
    from src.audio2exp_models.audio2exp import Audio2Exp
    from src.audio2exp_models.networks import SimpleWrapperV2
    from src.audio2pose_models.audio2pose import Audio2Pose
    from src.generate_batch import get_data
    from src.test_audio2coeff import Audio2Coeff

    rest, other, speech = (folder / name for name in ("rest.mat", "other.mat", "speech.wav"))
    savemat(rest, {"coeff_3dmm": small.face("rest")[None]})
    others = np.stack([small.face(f"other {index}") for index in range(OTHER)])
    savemat(other, {"coeff_3dmm": others})
    wavfile.write(speech, 16000, small.wave())
    random.seed(5)
    video = str(other) if follow else None
    batch = get_data(str(rest), str(speech), "cpu", video)
    actor = Audio2Coeff.__new__(Audio2Coeff)
    actor.device = "cpu"
    actor.audio2exp_model = Audio2Exp(filled(SimpleWrapperV2()), None, "cpu")
    settings = golden.pose_settings()
    actor.audio2pose_model = filled(Audio2Pose(settings, None, device="cpu"))
    with golden.drawn():
        track = actor.generate(batch, str(folder), small.STYLE, video)
    return rest, Path(track), batch


def tracks() -> Numbers:
    found = {}
    for name, follow in (("speech", False), ("followed", True)):
        with tempfile.TemporaryDirectory() as folder:
            _, track, batch = acted(Path(folder), False, follow)
            found[name] = loadmat(track)["coeff_3dmm"]
            found[f"{name} blinks"] = batch["ratio_gt"][0].numpy()
            found[f"{name} mels"] = batch["indiv_mels"][0, ::13, 0].numpy()
    return found


def frames() -> Numbers:
    """Frames 0 and 20 of the same speech, cut and pasted back, as bytes; and of 512 pixels every
    eighth pixel of frame 0."""
    found = {}
    for name, preprocess, still in (("crop", "crop", False), ("full", "full", True)):
        with tempfile.TemporaryDirectory() as folder:
            found[name], found[f"{name} track"] = rendered(Path(folder), preprocess, still)
    with tempfile.TemporaryDirectory() as folder:
        made, _ = rendered(Path(folder), "crop", False, small.LARGE, slice(1))
        found["large"] = made[0, ::8, ::8]
    return found


def rendered(
    folder: Path, preprocess: str, still: bool, side: int = small.SIDE, rows: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """rows: which of the two frames."""
    from src.facerender.modules.make_animation import make_animation
    from src.generate_facerender_batch import get_facerender_data

    pastes = preprocess == "full"
    rest, track, _ = acted(folder, pastes, False)
    part = folder / "part.png"
    Image.fromarray(small.picture("part", side, side)).save(part)
    turns = (list(small.YAW), list(small.PITCH), list(small.ROLL)) if pastes else (None,) * 3
    data = get_facerender_data(
        str(track), str(part), str(rest), "speech.wav", 2, *turns,
        expression_scale=small.SCALE, still_mode=still, preprocess=preprocess, size=side,
    )  # fmt: skip
    names = ("yaw_c_seq", "pitch_c_seq", "roll_c_seq")
    generator, keypoints, mapping = golden.small_renderer(
        "facerender_still" if pastes else "facerender"
    )
    made = make_animation(
        data["source_image"][rows], data["source_semantics"][rows],
        data["target_semantics_list"][rows, :1],
        generator, keypoints, None, mapping,
        *(data[name][rows] if name in data else None for name in names),
    )  # fmt: skip
    pixels = np.rint(made[:, 0].permute(0, 2, 3, 1).numpy() * 255).clip(0, 255).astype(np.uint8)
    middle = data["target_semantics_list"].flatten(0, 1)[: small.FRAMES, :, 13]
    assert isinstance(middle, torch.Tensor)
    return pixels, middle.numpy()
