"""A step before it runs: StepSpec says what (portable, keyed), Placement where (host paths, uid,
GPUs)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from cvl.core.manifest import Expect
from cvl.core.plain import to_plain

KEY_VERSION = 1
EXTENSION = re.compile(r"[A-Za-z0-9]{1,12}")
"""What may follow the dot in a name that a container sees; without the dot."""


@dataclass(frozen=True)
class StagedFile:
    """A file input by content: what the key sees, and the name it has in the container."""

    sha256: str
    size: int
    extension: str


@dataclass(frozen=True)
class OutputRequest:
    """An output that was asked for; `extension` without the dot."""

    type: str
    extension: str
    expect: Expect = field(default_factory=Expect)


@dataclass(frozen=True)
class Limits:
    """Hard limits of a container; bytes, seconds, counts. timeout_s None: no limit."""

    memory: int
    shm: int
    file_size: int
    pids: int
    tmp: int
    timeout_s: float | None = None


@dataclass(frozen=True)
class StepSpec:
    """What a step is. Equal specs with equal code give equal bytes."""

    example: str
    step: str
    context: str
    """sha256 of the build context, or the reference of a prebuilt image."""
    inputs: dict[str, Any]
    """name -> JSON value, StagedFile, or a list of either."""
    outputs: dict[str, OutputRequest]
    seed: int
    seed_given: bool
    """False: any result of these inputs will do, whatever seed it was made with."""
    device: str
    dtype: str
    offload: str
    exact_offload: bool
    network: bool
    secrets: tuple[str, ...]
    cache: str
    runtime: str
    """sha256 of the part of cvl_inside that can change results."""
    limits: Limits
    weights: tuple[str, ...] = ()
    """Identities: ORG/NAME@commit, or sha256:... of a file."""


@dataclass(frozen=True)
class WeightsView:
    """The weights of a step as it sees them: a hub cache with what was declared, and no more.
    files: place in the view -> file of the host; texts: place in the view -> what a small file of
    its own holds; paths: the name that the example uses -> place in the view; loras: (place in the
    view, scale); leases: what keeps others from deleting them meanwhile."""

    files: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    loras: tuple[tuple[str, float], ...] = ()
    leases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """Where a step runs on this machine."""

    run_id: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    work: str
    """Private folder of this step: inputs/, out/, control/, scratch/."""
    inside: str
    jit: str
    gpus: tuple[str, ...] = ()
    ca_bundle: str = ""
    """Certificate authorities for a step with a network; a file of the host's."""
    proxies: dict[str, str] = field(default_factory=dict)
    """Proxy variables for a step with a network."""
    has_secrets: bool = False
    """It is given some, and may print them."""
    weights: WeightsView = WeightsView()


def step_key(spec: StepSpec, code: str, *, any_seed: bool = False) -> str:
    """sha256 (hex) of everything that decides the bytes of the result, with `code` as code
    identity.

    Not in it: paths, times, limits, GPU, exact offload rungs, secrets' values. With `any_seed`, the
    key under which a result is found by somebody who asked for no seed in particular.
    """
    document = key_document(spec, code, any_seed=any_seed)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def key_document(spec: StepSpec, code: str, *, any_seed: bool = False) -> dict[str, Any]:
    """What a step key is the digest of, as JSON data."""
    return {
        "version": KEY_VERSION,
        "example": spec.example,
        "code": code,
        "inputs": to_plain(spec.inputs),
        "outputs": to_plain(spec.outputs),
        "seed": None if any_seed else spec.seed,
        "device": spec.device,
        "dtype": spec.dtype,
        "offload": None if spec.exact_offload else spec.offload,
        "runtime": spec.runtime,
        "weights": to_plain(spec.weights),
    }


@dataclass(frozen=True)
class Layout:
    """Where a step finds its folders. `inside`: the cvl_inside package."""

    inputs: PurePosixPath
    out: PurePosixPath
    control: PurePosixPath
    scratch: PurePosixPath
    jit: PurePosixPath
    inside: PurePosixPath
    home: PurePosixPath
    weights: PurePosixPath


CONTAINER = Layout(
    inputs=PurePosixPath("/cvl/inputs"),
    out=PurePosixPath("/cvl/out"),
    control=PurePosixPath("/cvl/control"),
    scratch=PurePosixPath("/cvl/scratch"),
    jit=PurePosixPath("/cvl/jit"),
    inside=PurePosixPath("/app/cvl_inside"),
    home=PurePosixPath("/home/cvl"),
    weights=PurePosixPath("/cvl/weights"),
)
AUTHORITIES = PurePosixPath("/cvl/authorities.pem")
PROTOCOL = 1


def host_layout(placement: Placement) -> Layout:
    """The same folders for a step that is a process of this machine."""
    work = PurePosixPath(placement.work)
    return Layout(
        inputs=work / "inputs",
        out=work / "out",
        control=work / "control",
        scratch=work / "scratch",
        jit=PurePosixPath(placement.jit),
        inside=PurePosixPath(placement.inside),
        home=work / "home",
        weights=work / "weights",
    )


def input_file_name(name: str, file: StagedFile, index: int | None = None) -> str:
    """Name of a staged input in `inputs`; never the caller's own name."""
    stem = name if index is None else f"{name}.{index}"
    return f"{stem}.{file.extension}" if file.extension else stem


def output_file_name(name: str, request: OutputRequest) -> str:
    """Name of an output in `out`."""
    return f"{name}.{request.extension}" if request.extension else name


def request_for(
    spec: StepSpec,
    secrets: dict[str, str],
    layout: Layout = CONTAINER,
    environment: dict[str, str] | None = None,
    weights: WeightsView = WeightsView(),
) -> dict[str, Any]:
    """The request that goes to the step over stdin: paths as the step sees them. environment:
    variables that must not be seen on its container."""
    return {
        "protocol": PROTOCOL,
        "inputs": {n: _seen_value(n, value, layout.inputs) for n, value in spec.inputs.items()},
        "outputs": {
            name: str(layout.out / output_file_name(name, output))
            for name, output in spec.outputs.items()
        },
        "expect": {
            name: {"type": output.type, "expect": to_plain(output.expect)}
            for name, output in spec.outputs.items()
        },
        "options": {
            "seed": spec.seed,
            "device": spec.device,
            "dtype": spec.dtype,
            "offload": spec.offload,
        },
        "secrets": secrets,
        "weights": {name: str(layout.weights / place) for name, place in weights.paths.items()},
        "loras": [[str(layout.weights / place), scale] for place, scale in weights.loras],
        "environment": environment or {},
    }


def _seen_value(name: str, value: Any, inputs: PurePosixPath) -> Any:
    if isinstance(value, StagedFile):
        return str(inputs / input_file_name(name, value))
    if isinstance(value, list):
        return [
            str(inputs / input_file_name(name, item, index))
            if isinstance(item, StagedFile)
            else item
            for index, item in enumerate(value)
        ]
    return value
