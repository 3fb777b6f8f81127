"""What a model computes in: named on the host, so that it is part of the step key."""

from __future__ import annotations

from collections.abc import Sequence

from cvl.core.names import did_you_mean
from cvl.errors import InputError

AUTO = "auto"
BF16_SINCE = 80
"""Compute capability (8.0) from which bfloat16 is computed by the GPU itself."""
PREFERRED = {
    "new": ("bf16", "fp16", "fp32"),
    "old": ("fp16", "fp32", "bf16"),
    "mps": ("fp16", "fp32", "bf16"),
    "cpu": ("fp32", "bf16", "fp16"),
}


def resolve_dtype(dtypes: Sequence[str], asked: str | None, device: str, arch: str) -> str:
    """The dtype that a step computes in: what was asked for, else the best of `dtypes` on this
    device (cuda, mps, cpu; arch as in sm86). `auto` for a model that leaves no choice."""
    if not dtypes:
        return AUTO  # in a pipeline, --dtype is meant for the steps that have a choice
    if asked is not None and asked != AUTO:
        check_dtype(dtypes, asked)
        return asked
    return next(dtype for dtype in PREFERRED[_kind(device, arch)] if dtype in dtypes)


def check_dtype(dtypes: Sequence[str], asked: str | None) -> None:
    """Raise InputError when `--dtype` names none of them."""
    if asked is None or asked == AUTO or asked in dtypes:
        return
    if not dtypes:
        raise InputError(
            f"--dtype is {asked!r}", hint="this example leaves no choice: leave it out"
        )
    choices = [AUTO, *dtypes]
    raise InputError(
        f"--dtype is {asked!r}",
        hint=did_you_mean(asked, choices) or f"choose from: {', '.join(choices)}",
    )


def _kind(device: str, arch: str) -> str:
    if device != "cuda":
        return "mps" if device == "mps" else "cpu"
    number = arch.removeprefix("sm")
    return "old" if number.isdecimal() and int(number) < BF16_SINCE else "new"
