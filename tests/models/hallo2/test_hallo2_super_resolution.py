"""Films come out larger, their faces restored, as upstream's script makes them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import sharp_case as case
import torch
from cvl_inside.faces.background import Background
from cvl_inside.faces.detector import Faces
from cvl_inside.faces.enlarger import Enlarger
from cvl_inside.faces.parser import FaceParser
from cvl_inside.faces.retina_face import Found
from hallo2 import super_resolution
from hallo2.offload import Places
from hallo2.pasting import is_grey, pasted
from hallo2.super_resolution import CHUNK, MARGIN, OVERLAP, Sharp, SuperResolution, Wish
from torch import Tensor, nn

MEAN = (104.0, 117.0, 123.0)


class Finder(nn.Module):
    """Finds what is bright, as upstream's was told."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: Tensor) -> Found:
        return Found(*case.detected(pictures, MEAN))


def sharpening(bg: bool = False) -> SuperResolution:
    enlarger = Background(case.enlarging(Enlarger(**case.ENLARGER)), case.TILE, MARGIN)
    parser = case.parsing(FaceParser(**case.PARSER))
    networks = Finder(), case.Restorer(), parser, enlarger if bg else None
    return SuperResolution(*networks, Places("cpu", "model"))


def made(frames: list[np.ndarray], wish: Wish | None = None) -> list[Sharp]:
    return list(sharpening().frames(frames, wish or Wish(upscale=1)))


def blank(rows: int = case.ROWS, columns: int = case.COLUMNS) -> np.ndarray:
    return np.minimum(case.frame(0, rows, columns), 120)


def enlarged(frame: np.ndarray) -> np.ndarray:
    """To 512 pixels of the shorter side, and nothing more."""
    scale = 512 / min(frame.shape[:2])
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    return cv2.resize(frame, size, interpolation=cv2.INTER_LANCZOS4)


@pytest.mark.parametrize("name", case.FILMS)
def test_frames_are_those_of_upstreams_script(name: str) -> None:
    """Not one byte is further away than rounding explains; over the seam of two chunks too."""
    about = case.FILMS[name]
    wish = Wish(about.fidelity, about.upscale, about.face_upsample)
    with np.load(case.GOLDEN / "super_resolution.npz") as arrays:
        theirs = arrays[name].astype(int)
    found = sharpening(about.bg).frames(case.film(name), wish)
    thin = [one.pixels[:: about.rows, :: about.columns].astype(int) for one in found]
    assert len(thin) == about.frames == len(theirs)
    assert np.abs(np.stack(thin) - theirs).max() <= 1


def test_a_face_is_drawn_with_those_of_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """So frames of the golden film are others with chunks of another length."""
    film = [case.frame(number) for number in range(18)]
    apart = [one.pixels.astype(int) for one in made(film)]
    monkeypatch.setattr(super_resolution, "CHUNK", 12)
    other = made(film)
    assert max(np.abs(a - b.pixels).max() for a, b in zip(apart, other, strict=True)) > 10


@pytest.mark.parametrize("count", [1, 15, 16, 17, 28, 29])
def test_no_frame_is_lost(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks go on to the end of the film; each face is looked for once."""
    looked, drawn = [], []
    monkeypatch.setattr(
        SuperResolution, "_looked_at",
        lambda self, frame: looked.append(1) or super_resolution.Seen(frame, (8, 8), None, frame),
    )  # fmt: skip
    monkeypatch.setattr(
        SuperResolution, "_drawn", lambda self, faces, _: drawn.append(len(faces)) or faces
    )
    monkeypatch.setattr(SuperResolution, "_pasted", lambda self, seen, face, wish: face)
    frames = [np.full((8, 8, 3), number, np.uint8) for number in range(count)]
    found = list(sharpening().frames(frames, Wish()))
    assert [int(one.pixels[0, 0, 0]) for one in found] == list(range(count))
    assert len(looked) == count and max(drawn) <= CHUNK
    assert sum(drawn) == count + (len(drawn) - 1) * OVERLAP


def test_frames_go_as_they_come_and_nothing_is_kept() -> None:
    """Of any length: the first are out before the second chunk came in, and only a chunk lives."""
    came, gone = 0, []

    def coming() -> Iterator[np.ndarray]:
        nonlocal came
        for _ in range(60):
            frame = np.zeros((520, 512, 3), np.uint8)
            weakref.finalize(frame, gone.append, came)
            came += 1
            yield frame

    most = 0
    for number, _ in enumerate(sharpening().frames(coming(), Wish(upscale=1))):
        assert came <= number + CHUNK
        most = max(most, came - len(gone))
    assert number == 59 and most <= CHUNK + OVERLAP


def test_a_frame_without_a_face_is_only_enlarged_and_the_others_go_on() -> None:
    """Also the first one, where upstream fails."""
    film = [case.frame(number) for number in range(18)]
    film[0] = film[9] = film[17] = blank()
    found = made(film)
    assert [n for n, one in enumerate(found) if not one.restored] == [0, 9, 17]
    assert np.array_equal(found[9].pixels, enlarged(blank()))
    assert np.abs(found[1].pixels.astype(int) - enlarged(case.frame(1))).max() > 30


def test_the_largest_of_several_faces_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the detector is surer of another."""
    small = torch.tensor([[100.0, 100], [130, 100], [115, 115], [105, 130], [125, 130]]).numpy()
    boxes = np.array([[90.0, 90, 140, 140], [200, 200, 460, 460], [400, 0, 3000, 200]])
    points = np.stack([small, small * 4, small * 0.01 + 600])
    faces = Faces(boxes, points)
    monkeypatch.setattr(super_resolution, "separate_faces", lambda *_: faces)
    chosen = super_resolution.largest_face(Finder(), np.zeros((640, 640, 3), np.uint8))
    assert np.array_equal(chosen, small * 4)


@pytest.mark.parametrize("upscale", [1, 2, 4])
@pytest.mark.parametrize(("rows", "columns"), [(97, 61), (520, 701)])
def test_sizes_are_those_of_the_frame_but_512_at_least(
    rows: int, columns: int, upscale: int
) -> None:
    (one,) = made([case.frame(0, rows, columns)], Wish(upscale=upscale))
    scale = max(1.0, 512 / min(rows, columns))
    assert one.pixels.shape == (round(rows * scale) * upscale, round(columns * scale) * upscale, 3)
    assert one.restored


def test_fidelity_says_how_much_is_drawn_anew() -> None:
    film = [case.frame(number) for number in range(4)]
    loose, close = (made(film, Wish(fidelity, 1))[0].pixels.astype(int) for fidelity in (0, 1))
    assert np.abs(loose - close).max() > 10


def test_a_film_without_colour_stays_so() -> None:
    grey, coloured = case.frame(0, grey=True), case.frame(0)
    assert is_grey(grey) and not is_grey(coloured)
    (one,) = made([grey])
    assert np.ptp(one.pixels.astype(int), axis=2).max() <= 1


def test_a_face_outside_its_frame_leaves_the_frame_as_it_is() -> None:
    frame, face = np.full((512, 512, 3), 77, np.uint8), np.zeros((512, 512, 3), np.uint8)
    away = np.array([[1.0, 0, 600], [0, 1.0, 600]])
    assert np.array_equal(pasted(frame, face, np.ones((512, 512)), away, 1), frame)
