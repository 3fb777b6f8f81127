"""The first rung of the ladder that fits, unless somebody asked for another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cvl.core.manifest import OffloadRung
from cvl.core.offload import NONE, check_offload, choose
from cvl.errors import GpuError, InputError
from tests.support.manifests import MODEL, model

LADDER = (OffloadRung("none", 96), OffloadRung("model", 80), OffloadRung("fp8", 61, exact=False))


@pytest.mark.parametrize(
    ("free", "mode"), [(141.0, "none"), (96.0, "none"), (95.9, "model"), (61.0, "fp8")]
)
def test_the_first_rung_that_fits(free: float, mode: str) -> None:
    assert choose(LADDER, None, free).mode == mode


def test_too_little_memory_says_how_much_is_needed() -> None:
    with pytest.raises(GpuError) as caught:
        choose(LADDER, None, 24.0)
    assert caught.value.message == "the GPU has 24.0 GB free; at least 61 GB are needed"
    assert caught.value.code == "not_enough_vram"


@pytest.mark.parametrize(
    ("asked", "mode"),
    [("fp8", "fp8"), ("FP8", "fp8"), ("true", "model"), ("False", "none"), ("none", "none")],
)
def test_what_was_asked_for_is_taken_even_when_it_may_not_fit(asked: str, mode: str) -> None:
    assert choose(LADDER, asked, 1.0).mode == mode


def test_an_unknown_mode_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        choose(LADDER, "modle", None)
    assert caught.value.hint == "did you mean model?"


def test_without_a_ladder_or_a_gpu_there_is_nothing_to_choose() -> None:
    assert choose((), None, 8.0) == NONE
    assert choose((), "true", 8.0) == NONE
    assert choose(LADDER, None, None).mode == "none"


def test_a_mode_is_checked_against_the_ladder_before_anything_runs() -> None:
    plain = model(MODEL, "echo")
    laddered = replace(plain, offload=LADDER)
    check_offload(plain, None)
    check_offload(plain, "false")
    check_offload(laddered, "true")
    with pytest.raises(InputError):
        check_offload(plain, "true")
    with pytest.raises(InputError, match="--offload is 'fp9'"):
        check_offload(laddered, "fp9")
