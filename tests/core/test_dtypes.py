"""What a model computes in, and who says so."""

from __future__ import annotations

import pytest

from cvl.core.dtypes import check_dtype, resolve_dtype
from cvl.errors import InputError

ALL = ("bf16", "fp16", "fp32")


@pytest.mark.parametrize(
    ("dtypes", "device", "arch", "expected"),
    [
        (ALL, "cuda", "sm86", "bf16"),
        (ALL, "cuda", "sm80", "bf16"),
        (ALL, "cuda", "sm75", "fp16"),
        (("bf16", "fp32"), "cuda", "sm75", "fp32"),
        (ALL, "mps", "mps", "fp16"),
        (ALL, "cpu", "cpu", "fp32"),
        (("bf16",), "cpu", "cpu", "bf16"),
        ((), "cuda", "sm90", "auto"),
    ],
)
def test_the_best_of_a_model_on_a_device_is_taken(
    dtypes: tuple[str, ...], device: str, arch: str, expected: str
) -> None:
    assert resolve_dtype(dtypes, None, device, arch) == expected
    assert resolve_dtype(dtypes, "auto", device, arch) == expected


def test_what_was_asked_for_is_taken_where_there_is_a_choice() -> None:
    assert resolve_dtype(ALL, "fp16", "cpu", "cpu") == "fp16"
    assert resolve_dtype((), "fp16", "cpu", "cpu") == "auto"


@pytest.mark.parametrize(("dtypes", "hint"), [(ALL, "fp16"), ((), "leaves no choice")])
def test_a_dtype_that_a_model_does_not_have_is_refused_with_those_that_it_has(
    dtypes: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(InputError) as error:
        check_dtype(dtypes, "fp61")
    assert "--dtype is 'fp61'" in error.value.message
    assert hint in error.value.hint
