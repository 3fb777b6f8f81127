"""The first rung of the ladder that fits, unless somebody asked for another; the next one down; and
what is made of peaks that were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cvl.core.manifest import OffloadRung
from cvl.core.media import MediaInfo
from cvl.core.offload import (
    NONE,
    Peak,
    Room,
    check_offload,
    choose,
    for_values,
    known_too_big,
    learned,
    next_down,
    size_class,
)
from cvl.errors import GpuError, InputError, MemoryFault
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


def test_other_values_of_an_input_need_other_memory() -> None:
    small = {"size": {"384*256": 40.0}, "frames": {"200": 50.0}, "forcing": {"True": 35.0}}
    ladder = (OffloadRung("none", 96), OffloadRung("fp8", 61, exact=False, vram_gb_for=small))
    for values, needed in (
        ({"size": "384*256", "frames": 81}, 40),
        ({"size": "384*256", "frames": 200}, 50),
        ({"size": "704*384", "frames": 81, "forcing": False}, 61),
        ({"size": "704*384", "frames": 81, "forcing": True}, 35),
    ):
        fitting = for_values(ladder, values)
        assert choose(fitting, None, needed).mode == "fp8"
        with pytest.raises(GpuError):
            choose(fitting, None, needed - 0.1)


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


@pytest.mark.parametrize(
    ("too_big", "mode"),
    [((), "none"), (("none",), "model"), (("none", "model"), "fp8"), (("model",), "none")],
)
def test_a_rung_that_is_known_not_to_fit_is_passed_over(
    too_big: tuple[str, ...], mode: str
) -> None:
    assert choose(LADDER, None, 141.0, too_big).mode == mode
    assert choose(LADDER, None, None, too_big).mode == mode


def test_what_was_learned_forbids_neither_all_nor_what_was_asked_for() -> None:
    every = ("none", "model", "fp8")
    assert choose(LADDER, None, 141.0, every).mode == "fp8"
    assert choose(LADDER, None, 85.0, every).mode == "fp8"
    assert choose(LADDER, "none", 141.0, every).mode == "none"


@pytest.mark.parametrize(
    ("tried", "too_big", "mode"),
    [
        (["none"], (), "model"),
        (["none"], ("model",), "fp8"),
        (["none"], ("model", "fp8"), "fp8"),
        (["model"], (), "fp8"),
        (["fp8"], (), None),
        (["none", "model", "fp8"], (), None),
        (["other"], (), None),
        ([], (), None),
    ],
)
def test_the_next_rung_is_below_the_last_one(
    tried: list[str], too_big: tuple[str, ...], mode: str | None
) -> None:
    found = next_down(LADDER, tried, too_big)
    assert (found.mode if found else None) == mode


def test_a_rung_that_needs_more_is_not_below_and_none_is_tried_twice() -> None:
    odd = (OffloadRung("a", 60), OffloadRung("b", 80), OffloadRung("a", 60), OffloadRung("c", 40))
    assert next_down(odd, ["a"]) == odd[3]
    untold = (OffloadRung("a"), OffloadRung("b", 80))
    assert next_down(untold, ["a"]) == untold[1]


def test_three_steps_down_are_the_most() -> None:
    long = tuple(OffloadRung(name) for name in "abcdef")
    found = [next_down(long, "abcdef"[:length]) for length in range(1, 6)]
    assert found == [*long[1:4], None, None]


ROOM = Room(gpu=100, container=50)


@pytest.mark.parametrize(
    ("peak", "room", "exceeds"),
    [
        (Peak(100, 50), ROOM, False),
        (Peak(101, 0), ROOM, True),
        (Peak(0, 51), ROOM, True),
        (Peak(101, 0), Room(None, 50), False),
        (Peak(), Room(0, 0), False),
    ],
)
def test_a_peak_is_held_against_the_memory_that_it_is_of(
    peak: Peak, room: Room, exceeds: bool
) -> None:
    assert known_too_big({"m": peak}, room) == (frozenset({"m"}) if exceeds else frozenset())


def test_an_out_of_memory_says_that_more_than_there_was_is_needed() -> None:
    assert learned(MemoryFault("", code="device_out_of_memory"), ROOM) == Peak(101, None)
    assert learned(MemoryFault("", code="device_out_of_memory"), Room(None, 5)) == Peak(None, None)
    assert learned(MemoryFault("", code="container_out_of_memory"), ROOM) == Peak(None, 51)
    assert learned(MemoryFault("", code="out_of_memory"), ROOM) == Peak(None, 51)


def media(**fields: Any) -> MediaInfo:
    return MediaInfo(**{"kind": "other", "format": "bin", "mime": "", **fields})


IMAGE = media(width=1024, height=1024, frames=1)
SOUND = media(has_audio=True, duration_s=10.0)
FILM = media(has_video=True, width=64, height=64, duration_s=10.0)


@pytest.mark.parametrize(
    ("inputs", "numbers", "product"),
    [
        ([], {}, 1),
        ([], {"steps": 50, "frames": 0, "width": -5}, 1),
        ([], {"width": 640, "height": 480, "frames": 81}, 640 * 480 * 81),
        ([], {"size": 512}, 512 * 512),
        ([IMAGE], {}, 2**20),
        ([IMAGE, SOUND], {}, 2**20 * 10),
        ([FILM], {}, 64 * 64 * 250),
        ([replace(FILM, fps=50.0)], {}, 64 * 64 * 500),
        ([replace(FILM, frames=7)], {}, 64 * 64 * 7),
        ([media(duration_s=float("inf")), media(duration_s=float("nan"))], {}, 1),
    ],
)
def test_a_size_class_is_the_extent_of_the_inputs_to_a_power_of_two(
    inputs: list[MediaInfo], numbers: dict[str, int], product: int
) -> None:
    assert size_class(inputs, numbers) == product.bit_length()
