"""From a picture's coefficients and speech to frames, as upstream goes."""

from __future__ import annotations

import random
from typing import Any

import cv2
import numpy as np
import pytest
import sadtalker_small as small
from cvl_inside.faces import detector
from PIL import Image
from sadtalker import (
    face_input,
    landmark_net,
    mapping,
    pasting,
    smoothing,
    turns,
    voice,
)
from sadtalker.acting import Actor, Chance, Examples
from sadtalker.blinks import blinks
from sadtalker.blocks import fold
from sadtalker.dense_motion import DenseMotion
from sadtalker.expression import ExpressionNet
from sadtalker.framing import around_face
from sadtalker.generator import Generator
from sadtalker.keypoints import KeypointDetector
from sadtalker.options import Options
from sadtalker.pose import PoseNet
from sadtalker.rendering import Renderer, windows
from sadtalker_small import filled, tensor
from test_sadtalker_networks import CLOSE, golden

OTHER = 11


@pytest.fixture(scope="module")
def actor() -> Actor:
    return Actor(filled(ExpressionNet()), filled(PoseNet()))


def played(actor: Actor, options: Options, examples: Examples) -> np.ndarray:
    wave = small.wave().astype(np.float32)[: small.FRAMES * 640] / 32768
    chance = Chance(golden("tracks")["speech blinks"], tensor("noise", 8, 64))
    mel = voice.mel_spectrogram(wave)
    return actor.play(mel, small.face("rest"), options, examples, chance)


def small_renderer(coefficients: int) -> Renderer:
    generator = filled(Generator(DenseMotion(**small.MOTION), blocks=small.RESIDUALS))
    keypoints = filled(KeypointDetector(**small.KEYPOINTS))
    for net in (generator, keypoints):
        fold(net)
    return Renderer(generator, keypoints, filled(mapping.MappingNet(coefficients, **small.MAPPING)))


def test_as_many_frames_as_the_speech_is_long() -> None:
    assert voice.frames_of(len(small.wave())) == small.FRAMES == len(golden("tracks")["speech"])


def test_the_windows_that_a_frame_hears() -> None:
    wave = small.wave().astype(np.float32)[: small.FRAMES * 640] / 32768
    mine = voice.windows(voice.mel_spectrogram(wave), 0, small.FRAMES)
    assert np.abs(mine[::13] - golden("tracks")["speech mels"]).max() <= 1e-5


def test_the_track_of_speech(actor: Actor) -> None:
    made = played(actor, Options(pose_style=small.STYLE), Examples())
    theirs = golden("tracks")["speech"]
    assert made.shape == theirs.shape == (small.FRAMES, 70)
    assert np.abs(made - theirs).max() <= CLOSE


def test_the_track_of_speech_that_follows_another_video(actor: Actor) -> None:
    other = np.stack([small.face(f"other {index}") for index in range(OTHER)])
    made = played(actor, Options(pose_style=small.STYLE), Examples(other, other))
    assert np.abs(made - golden("tracks")["followed"]).max() <= CLOSE


@pytest.mark.parametrize("frames", [10, 30, 200])
def test_eyes_shut_when_upstream_shuts_them(frames: int) -> None:
    assert (blinks(frames, random.Random(frames)) == golden("places")[f"blinks {frames}"]).all()


def test_a_video_in_which_no_blink_fits_has_none() -> None:
    """Upstream has nothing to choose from at 21 frames, and stops."""
    assert not blinks(21, random.Random(0)).any()


def test_the_head_turns_as_told() -> None:
    theirs = golden("places")
    assert np.abs(turns.track(small.YAW, 50) - theirs["yaw"]).max() <= 1e-4
    assert np.abs(turns.track(small.ROLL, 7) - theirs["roll"]).max() <= 1e-4
    angles = (tensor(name, 4) * 90 for name in "ypr")
    assert np.abs(mapping.rotation(*angles).numpy() - theirs["turned"]).max() <= 1e-6


def test_a_head_that_is_told_to_stay_stays() -> None:
    """Upstream divides by the nothing between two equal angles."""
    assert turns.track((10, 10), 5).tolist() == [10] * 5
    assert turns.track((0, 10, 10, 0), 21).max() == 10


@pytest.mark.parametrize("frames", [1, 2])
def test_a_movement_that_is_too_short_to_smooth_is_left_as_it_is(frames: int) -> None:
    track = small.noise("short", (frames, 6))
    assert (smoothing.smooth(track) == track).all()


@pytest.mark.parametrize("face", small.FACES, ids=lambda face: face[0])
def test_a_picture_is_cut_where_upstream_cuts_it(face: Any) -> None:
    name, width, height, *where = face
    theirs = golden("places")[f"cut {name}"].tolist()
    (left, top, right, bottom), (x, y, to_x, to_y) = theirs[2:6], theirs[6:]
    picture = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    points = small.landmarks(name, *where)
    outer, inner = (around_face(picture, points, extended) for extended in (True, False))
    assert outer.size == inner.size == tuple(theirs[:2])
    assert outer.box == (left, top, right, bottom)
    to_x, to_y = min(to_x, right - left), min(to_y, bottom - top)  # upstream's slices do that
    assert inner.box == (left + x, top + y, left + to_x, top + to_y)


def test_a_face_is_moved_for_the_3d_net_as_upstream_moves_it() -> None:
    theirs = golden("places")
    points = small.landmarks("aligned", 130, 120, 60, 0.2)
    picture = Image.fromarray(small.picture("aligned face", 256, 256))
    made, placement = face_input.aligned(picture, face_input.five_points(points, 256, 256))
    assert np.abs(placement - theirs["placement"]).max() <= 1e-3
    difference = np.asarray(made)[::2, ::2].astype(int) - theirs["aligned"]
    assert np.abs(difference).max() <= 1 and (difference == 0).mean() > 0.999


def test_faces_are_where_upstream_finds_them() -> None:
    places = detector.anchors(90, 130)
    made = detector.decoded(small.noise("boxes", (len(places), 4)), places)
    assert np.abs(made - golden("places")["boxes"]).max() <= 1e-6


def test_landmarks_are_read_off_heat_maps_as_upstream_reads_them() -> None:
    theirs = golden("places")
    heat = np.sort(small.noise("heat", (98, 4096)), 1).reshape(98, 64, 64)
    heat = np.roll(heat, small.noise("rolls", (98,)).astype(int), 1)
    for index, row in enumerate(heat):
        row[:] = np.roll(row, (7 * index % 50 - 57, 5 * index % 50 - 57), (0, 1))
    assert np.abs(landmark_net.peaks(heat) - theirs["heat peaks"]).max() == 0
    assert np.abs(landmark_net.to_68(small.noise("98", (98, 2))) - theirs["68"]).max() <= 1e-7


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("crop", Options(pose_style=small.STYLE, expression_scale=small.SCALE)),
        ("full", Options(
            preprocess="full", still=True, pose_style=small.STYLE, expression_scale=small.SCALE,
            yaw=small.YAW, pitch=small.PITCH, roll=small.ROLL,
        )),
    ],
)  # fmt: skip
def test_frames_of_the_whole_chain(actor: Actor, name: str, options: Options) -> None:
    """Not one byte is further away than rounding explains."""
    theirs = golden("frames")
    track = played(actor, options, Examples())
    assert np.abs(track - theirs[f"{name} track"]).max() <= CLOSE
    renderer = small_renderer(track.shape[1])
    part = small.picture("part", small.SIDE, small.SIDE)
    made = list(renderer.frames(part, small.face("rest"), track, options))
    assert len(made) == small.FRAMES
    chosen = np.stack([made[0], made[small.FRAMES // 2]])
    assert chosen.std() > 5 and (chosen[0] != chosen[1]).any()
    assert np.abs(chosen.astype(int) - theirs[name]).max() <= 1


def test_a_frame_of_512_pixels(actor: Actor) -> None:
    options = Options(size=512, pose_style=small.STYLE, expression_scale=small.SCALE, batch=1)
    track = played(actor, options, Examples())
    part = small.picture("part", small.LARGE, small.LARGE)
    made = small_renderer(track.shape[1]).frames(part, small.face("rest"), track, options)
    first, theirs = next(iter(made)), golden("frames")["large"]
    assert first.shape == (small.LARGE, small.LARGE, 3) and theirs.std() > 5
    assert np.abs(first[::8, ::8].astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(
    "box", [(20, 30, 90, 110), (0, 0, 57, 64), (61, 40, 151, 101), (0, 0, 151, 101)]
)
def test_a_part_goes_back_where_it_was_cut(box: tuple[int, int, int, int]) -> None:
    """Also at the edges, and where sides are odd; and nothing else is touched."""
    picture = small.picture("pasted into", 104, 152)[:101, :151]
    left, top, right, bottom = box[0], box[1], box[2], min(box[3], 101)
    part = small.picture("pasted", 64, 64)
    made = pasting.paste(picture, part, (left, top, right, bottom))
    changed = np.argwhere((made != picture).any(2))
    assert made.shape == picture.shape and len(changed) > 100
    assert (changed >= (top, left)).all() and (changed < (bottom, right)).all()
    inner = made[top + 8 : bottom - 8, left + 8 : right - 8].astype(float)
    wanted = cv2.resize(part, (right - left, bottom - top))[8:-8, 8:-8].astype(float)
    edges = [np.diff(pixels.mean(2), axis=1).ravel() for pixels in (inner, wanted)]
    assert np.corrcoef(*edges)[0, 1] > 0.9  # its detail, with other colours


def test_a_frame_is_made_of_what_is_round_it() -> None:
    track = small.noise("track", (30, 70))
    assert (windows(track, 20, 22)[1, :, 13] == track[21]).all()
    assert (windows(track, 0, 1)[0, :, 0] == track[0]).all()
