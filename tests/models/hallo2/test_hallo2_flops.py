"""How much is computed, beside upstream's and at the real size on tensors without memory."""

from __future__ import annotations

import sys

import hallo_case as case
import numpy as np
import pytest
import torch
from hallo_checkpoints import conditions, small_networks

# Last: a file there has the name of the package.
sys.path.append(str(case.EXAMPLE.parents[1] / "benchmarks"))

from hallo2_flops import Flops, counted, operations


@torch.no_grad()
def test_a_step_takes_less_than_upstreams() -> None:
    """Which computes what is not guided twice, and the portrait's keys for every frame."""
    with np.load(case.GOLDEN / "networks.npz") as arrays:
        theirs = int(arrays["flops"])
    latents, given = case.noise().transpose(1, 2).flatten(0, 1), conditions()
    ours = operations(lambda: small_networks().denoising_unet(latents, torch.tensor(517), given))
    assert 0.8 * theirs < ours < theirs


def test_operations_of_the_real_size_are_those_that_are_told() -> None:
    """In TFLOP, at 512 pixels; four times the pixels are more than four times the work."""
    flops = counted(512)
    tera = [round(n / 1e12, 2) for n in (flops.step, flops.reference, flops.encode, flops.decode)]
    assert tera == TERA_AT_512
    assert flops.of_clip(40) == pytest.approx(
        40 * flops.step + flops.reference + 2 * flops.encode + 16 * flops.decode
    )
    assert isinstance(flops, Flops)
    assert counted(1024).step > 4 * flops.step


TERA_AT_512 = [48.39, 4.78, 1.12, 2.51]
"""Of a step with guidance, the reference network, encoding and decoding a frame."""
