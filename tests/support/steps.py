"""Steps and placements as values, for what is computed from them."""

from __future__ import annotations

from typing import Any

from cvl.core.plan import Limits, OutputRequest, Placement, StagedFile, StepSpec

GB = 10**9
LIMITS = Limits(memory=8 * GB, shm=GB, file_size=2 * GB, pids=64, tmp=GB)


def step_spec(**changes: Any) -> StepSpec:
    """A step with a file, a list and a plain input."""
    image = StagedFile("aa" * 32, 10, "png")
    fields: dict[str, Any] = {
        "example": "film",
        "step": "talk",
        "context": "c0ffee",
        "inputs": {"image": image, "clips": [image, StagedFile("bb" * 32, 20, "")], "words": "hi"},
        "outputs": {"video": OutputRequest("video", "mp4")},
        "seed": 7,
        "seed_given": True,
        "device": "cuda",
        "dtype": "bf16",
        "offload": "none",
        "exact_offload": True,
        "network": False,
        "secrets": (),
        "cache": "reuse",
        "runtime": "runtime-1",
        "limits": LIMITS,
        "weights": ("repo@abc",),
    }
    return StepSpec(**{**fields, **changes})


def placement(**changes: Any) -> Placement:
    """Where the step runs."""
    fields: dict[str, Any] = {
        "run_id": "run-1",
        "uid": 1000,
        "gid": 1000,
        "groups": (27,),
        "work": "/cache/work/run-1/talk",
        "inside": "/lib/cvl/inside/cvl_inside",
        "jit": "/cache/jit/film",
    }
    return Placement(**{**fields, **changes})
