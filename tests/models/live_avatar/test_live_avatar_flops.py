"""The network at its real size, on tensors without memory."""

from __future__ import annotations

import sys

import avatar_case as case
import pytest

# Last: a file there has the name of the package.
sys.path.append(str(case.EXAMPLE.parents[1] / "benchmarks"))

from live_avatar.sizes import Grid, Sizes
from live_avatar_flops import REFERENCE, REFERENCE_PREFILL, counted


@pytest.mark.parametrize("block", REFERENCE)
def test_a_forward_takes_the_operations_that_upstreams_takes(block: int) -> None:
    """Within 2 %, the text counted as upstream does it: in every forward."""
    flops = counted(Sizes(), Grid(48, 88), block)
    assert flops.forward + flops.text == pytest.approx(REFERENCE[block], rel=0.02)
    assert flops.text > 2e12
    assert flops.prefill == pytest.approx(REFERENCE_PREFILL, rel=0.05)
