"""Faces are read as InsightFace reads them, and their regions drawn as upstream draws them."""

from __future__ import annotations

from pathlib import Path

import face_case as case
import numpy as np
import pytest
from hallo2.detection import Detector, Found, distinct
from hallo2.faces import Face, FaceReader
from hallo2.portrait import filled, prepared, square
from PIL import Image


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FaceReader:
    folder = tmp_path_factory.mktemp("faces")
    (folder / "face_analysis" / "models").mkdir(parents=True)
    case.networks(folder / "face_analysis" / "models")
    return FaceReader(folder)


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(case.GOLDEN / f"face_{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files if key != "origin"}


def apart(ours: object, theirs: np.ndarray) -> float:
    array = np.asarray(ours)
    assert array.shape == theirs.shape
    return float(np.abs(array - theirs).max())


@pytest.mark.parametrize(("name", "rows", "columns"), case.PICTURES)
def test_faces_are_those_of_insightface(
    reader: FaceReader, name: str, rows: int, columns: int
) -> None:
    theirs, picture = golden("faces"), case.picture(name, rows, columns)
    found = reader._detector.faces(picture)
    assert len(found) > 3
    assert apart([face.box for face in found], theirs[f"{name} boxes"]) <= 1e-3
    assert apart([face.points for face in found], theirs[f"{name} points"]) <= 1e-3
    largest = max(found, key=lambda face: face.area)
    assert apart(reader._points(picture, largest), theirs[f"{name} landmarks"]) <= 1e-3
    embedding = theirs[f"{name} embedding"]
    assert apart(reader._embedding(picture, largest), embedding) <= 1e-4 * np.abs(embedding).max()
    face = reader.largest(picture)
    assert face is not None and face.embedding.shape == (512,)
    landmarks = theirs[f"{name} landmarks"]
    assert apart(face.lips[:2], landmarks[52:72].min(0)) <= 1e-3
    assert apart(face.box[2:], landmarks[:33].max(0)) <= 1e-3
    assert face.box[1] == min(largest.box[1], reader._points(picture, largest)[:33, 1].min())


@pytest.mark.parametrize("name", case.SITTINGS)
def test_regions_are_drawn_as_upstream_draws_them(name: str) -> None:
    theirs, sitting = golden("regions"), case.SITTINGS[name]
    picture = Image.fromarray(case.picture(name, sitting.pixels, sitting.pixels))
    face = Face(np.array(sitting.face), np.array(sitting.lips), np.zeros(512, np.float32))
    made = prepared(picture, face, sitting.side, sitting.expand)
    assert apart(made.pixels[:, ::16, ::16], theirs[f"{name} pixels"]) <= 1e-6
    located = made.regions.located.numpy()
    assert apart(np.packbits(located > 0), theirs[f"{name} located"]) == 0
    assert apart(located[:, :, sitting.side // 4], theirs[f"{name} rows"]) <= 1e-6
    for region in ("pose", "face", "lip"):
        masks = [mask.numpy() for mask in getattr(made.regions, region)]
        assert [mask.size for mask in masks] == [(sitting.side // 8 >> n) ** 2 for n in range(4)]
        assert apart(np.concatenate(masks), theirs[f"{name} {region}"]) <= 1e-6


def test_a_region_that_would_be_larger_than_the_picture_is_all_of_it() -> None:
    """Upstream's begins below zero there, and so at the other end of the picture."""
    mask = filled(np.array([10, 10, 90, 90]), (100, 100), 3.0)
    assert mask.min() == 255


def test_the_square_has_the_face_in_its_middle_as_far_as_the_edges_allow() -> None:
    assert square(600, 400, np.array([280, 100, 320, 140])) == (100, 0, 500, 400)
    assert square(600, 400, np.array([0, 100, 50, 140])) == (0, 0, 400, 400)
    assert square(400, 900, np.array([100, 800, 150, 880])) == (0, 500, 400, 900)


def test_boxes_of_one_face_are_one() -> None:
    boxes = np.array([[0, 0, 100, 100], [5, 5, 104, 103], [80, 80, 180, 180], [300, 0, 340, 40]])
    assert distinct(boxes) == [0, 2, 3]


def test_a_picture_without_a_face_has_none(tmp_path: Path) -> None:
    case.networks(tmp_path)
    found: list[Found] = Detector(tmp_path / "scrfd_10g_bnkps.onnx").faces(
        np.full((640, 640, 3), 128, np.uint8)
    )
    assert found == []
