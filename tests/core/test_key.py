"""The key of a step: everything that decides the bytes of its result, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.manifest import Expect
from cvl.core.plan import Limits, OutputRequest, StagedFile, request_for, step_key
from tests.support.steps import step_spec

CODE = "sha256:image"
KEY = step_key(step_spec(), CODE)


def test_the_same_step_has_the_same_key() -> None:
    assert step_key(step_spec(), CODE) == KEY
    assert re.fullmatch("[0-9a-f]{64}", KEY)


def test_the_order_in_which_inputs_are_given_does_not_matter() -> None:
    turned = dict(reversed(step_spec().inputs.items()))
    assert step_key(step_spec(inputs=turned), CODE) == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "another_name_in_another_pipeline"},
        {"limits": Limits(1, 1, 1, 1, 1, 5.0)},
        {"secrets": ("API_KEY",)},
        {"network": True},
        {"cache": "never"},
        {"seed_given": False},
        {"context": "another context with the same image"},
        {"offload": "model", "exact_offload": True},
    ],
)
def test_what_does_not_change_the_result_is_not_in_the_key(changes: dict[str, Any]) -> None:
    assert step_key(step_spec(**changes), CODE) == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"example": "other"},
        {"inputs": {**step_spec().inputs, "words": "ho"}},
        {"inputs": {**step_spec().inputs, "image": StagedFile("ab" * 32, 10, "png")}},
        {"inputs": {**step_spec().inputs, "image": StagedFile("aa" * 32, 10, "jpg")}},
        {"inputs": {**step_spec().inputs, "clips": step_spec().inputs["clips"][::-1]}},
        {"outputs": {"video": OutputRequest("video", "webm")}},
        {"outputs": {"video": OutputRequest("video", "mp4", Expect(audio=True))}},
        {"seed": 8},
        {"device": "cpu"},
        {"dtype": "fp16"},
        {"offload": "fp8", "exact_offload": False},
        {"runtime": "runtime-2"},
        {"weights": ("repo@def",)},
    ],
)
def test_what_changes_the_result_is_in_the_key(changes: dict[str, Any]) -> None:
    assert step_key(step_spec(**changes), CODE) != KEY


def test_the_code_is_in_the_key() -> None:
    assert step_key(step_spec(), "sha256:other") != KEY


def test_without_a_seed_in_particular_every_seed_has_one_key() -> None:
    keys = {step_key(step_spec(seed=seed), CODE, any_seed=True) for seed in range(5)}
    assert len(keys) == 1
    assert KEY not in keys


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)


@given(st.dictionaries(st.text(max_size=8), VALUES), st.dictionaries(st.text(max_size=8), VALUES))
def test_different_inputs_have_different_keys(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = [(k, type(v), v) for k, v in sorted(one.items())] == [
        (k, type(v), v) for k, v in sorted(two.items())
    ]
    keys = [step_key(step_spec(inputs=inputs), CODE) for inputs in (one, two)]
    assert (keys[0] == keys[1]) == same


def test_the_request_speaks_of_paths_in_the_container_alone() -> None:
    request = request_for(step_spec(), {"API_KEY": "s3cret"})
    assert request["inputs"] == {
        "image": "/cvl/inputs/image.png",
        "clips": ["/cvl/inputs/clips.0.png", "/cvl/inputs/clips.1"],
        "words": "hi",
    }
    assert request["outputs"] == {"video": "/cvl/out/video.mp4"}
    assert request["options"] == {"seed": 7, "device": "cuda", "dtype": "bf16", "offload": "none"}
    assert request["secrets"] == {"API_KEY": "s3cret"}
