"""The portrait gets upstream's size and upstream's pixels, but never a border."""

from __future__ import annotations

import numpy as np
import pytest
import small_parts
import torch
from live_avatar.pictures import SIZES, filling, pixels, video_size
from PIL import Image

WELCOME = [size for size in small_parts.PICTURES if max(size) <= 4 * min(size)]
GOLDEN = np.load(small_parts.GOLDEN / "pictures.npz")


def test_sizes() -> None:
    for width, height, area, columns, rows in GOLDEN["sizes"].tolist():
        assert video_size(width, height, area) == (columns, rows), (width, height, area)


@pytest.mark.parametrize(
    ("picture", "size"), [((300, 300), (320, 320)), ((450, 640), (256, 320))]
)  # fmt: skip
def test_pixels(picture: tuple[int, int], size: tuple[int, int]) -> None:
    image = Image.fromarray(small_parts.picture(*picture))
    made = pixels(filling(image, *size))
    assert made.shape == (1, 3, 1, size[1], size[0])
    theirs = torch.from_numpy(GOLDEN[f"from_{picture[0]}x{picture[1]}"])
    assert float((made[0, :, 0, ::5, ::5] - theirs).abs().max()) <= 1e-6


def test_no_border_where_upstream_has_one() -> None:
    """1280x720 at 704x384: its shorter side at 384 leaves 682 columns, and 22 of nothing."""
    image = Image.new("RGB", (1280, 720), "white")
    assert video_size(1280, 720, SIZES["704*384"]) == (704, 384)
    assert (pixels(filling(image, 704, 384)) == 1).all()


def test_all_sizes_fit_their_area() -> None:
    for area in SIZES.values():
        for width, height in WELCOME:
            columns, rows = video_size(width, height, area)
            assert columns * rows <= area and columns % 64 == rows % 64 == 0
