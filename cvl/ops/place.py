"""From a node to a StepSpec: choose its GPUs, dtype and limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from cvl.core.dtypes import resolve_dtype
from cvl.core.manifest import ModelManifest, OffloadRung, Resources
from cvl.core.plan import Limits, StepSpec
from cvl.errors import EngineError, GpuError
from cvl.machine.gpus import Gpu, has_metal, read_gpus
from cvl.machine.leases import Wanted, select
from cvl.ops.inputs import Inputs
from cvl.ops.session import Session, inside_folder
from cvl.store.staging import digest_of

if TYPE_CHECKING:
    from cvl.ops.node import Node

GB = 10**9
RESERVED_MEMORY = 2 * GB
MIN_TMP = 64 << 20
MAX_TMP = 4 << 30


@dataclass(frozen=True)
class GpuChoice:
    """What a step may use: None for none. `free_vram_gb` is of the fullest of the candidates."""

    wanted: Wanted | None
    free_vram_gb: float | None
    arch: str

    @property
    def device(self) -> str:
        return "mps" if self.arch == "mps" else "cuda" if self.wanted else "cpu"


NO_GPU = GpuChoice(None, None, "cpu")
METAL = GpuChoice(Wanted(("metal",), 1), None, "mps")


def choose_gpus(session: Session, manifest: ModelManifest, asked: str | None) -> GpuChoice:
    """GPUs for a step, from what it needs, what was asked for and what there is now.

    Raises GpuError when a GPU is required and there is none: a CPU is used for that only when
    `--gpus none` says so.
    """
    needs = manifest.resources
    if needs.gpu == "none":
        if asked not in (None, "none"):
            session.report.message(
                f"{manifest.name} does not use a GPU; --gpus {asked} is not needed"
            )
        return NO_GPU
    if asked == "none":
        session.report.warning(f"{manifest.name} runs on the CPU, as --gpus none asks")
        return NO_GPU
    if session.is_host and has_metal():
        session.report.message(f"{manifest.name}: running on this Mac's GPU (mps)")
        return METAL
    gpus = read_gpus()
    if not gpus and needs.gpu == "optional" and asked is None:
        session.report.message(f"{manifest.name}: no GPU here, running on the CPU")
        return NO_GPU
    wanted, chosen = select_gpus(needs, asked, gpus)
    # A GPU that does not tell its memory (integrated ones) is taken at its word: nothing to fit.
    told = all(gpu.memory_total for gpu in chosen)
    free = min(gpu.memory_free for gpu in chosen) / GB if told else None
    return GpuChoice(wanted, free, f"sm{chosen[0].compute_capability.replace('.', '')}")


def select_gpus(needs: Resources, asked: str | None, gpus: list[Gpu]) -> tuple[Wanted, list[Gpu]]:
    """What to lease, and the GPUs that it may be; GpuError when they are too few or too old."""
    wanted = select(asked or str(max(1, needs.gpus)), gpus)
    chosen = [gpu for gpu in gpus if gpu.uuid in wanted.candidates]
    _check_capability(needs, chosen)
    return wanted, chosen


def _check_capability(needs: Resources, gpus: list[Gpu]) -> None:
    if not needs.min_compute_capability:
        return
    least = _version(needs.min_compute_capability)
    for gpu in gpus:
        if _version(gpu.compute_capability) < least:
            raise GpuError(
                f"{gpu.name} has compute capability {gpu.compute_capability}; "
                f"{needs.min_compute_capability} is needed",
                hint="use a newer GPU: --gpus device=N",
                code="gpu_too_old",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def make_spec(
    session: Session,
    node: Node,
    manifest: ModelManifest,
    digest: str,
    gpus: GpuChoice,
    rung: OffloadRung,
    files: Inputs,
    weights: tuple[str, ...],
) -> StepSpec:
    """What the step is, with the node's values as `files` stages them."""
    inputs = {name: files.staged(name, value) for name, value in node.values.items()}
    return StepSpec(
        example=manifest.name,
        step=node.step,
        context=digest,
        inputs=inputs,
        outputs=node.outputs,
        seed=node.options.step_seeds.get(node.step, node.seed),
        seed_given=node.options.seed is not None,
        device=gpus.device,
        dtype=resolve_dtype(manifest.dtypes, node.options.dtype, gpus.device, gpus.arch),
        offload=rung.mode,
        exact_offload=rung.exact,
        network=manifest.network,
        secrets=manifest.secrets,
        cache=manifest.cache,
        runtime=runtime_digest(manifest.inside),
        limits=limits_for(session, manifest.resources, node.options.timeout_s),
        weights=weights,
    )


def check_memory(session: Session, needs: Resources) -> None:
    """Refuse before the start when the machine cannot hold what the example says it needs."""
    has = session.engine.facts().memory
    if has and needs.ram_gb * GB > has:
        raise EngineError(
            f"{needs.ram_gb:g} GB of memory are needed; the engine has {has / GB:.1f} GB",
            hint="use a machine with more memory",
            code="not_enough_memory",
        )


def limits_for(session: Session, needs: Resources, timeout_s: float | None) -> Limits:
    """Hard limits: the manifest's memory limit, else the engine's memory less 2 GB."""
    has = session.engine.facts().memory
    default = max(has - RESERVED_MEMORY, has // 2)
    memory = int(needs.memory_limit_gb * GB) if needs.memory_limit_gb else default
    return Limits(
        memory=memory,
        shm=int(min(needs.shm_gb * GB, memory)),
        file_size=int(needs.file_size_gb * GB),
        pids=needs.pids,
        tmp=max(MIN_TMP, min(MAX_TMP, memory // 4)),
        timeout_s=timeout_s,
    )


@cache
def runtime_digest(parts: tuple[str, ...] = ()) -> str:
    """sha256 of what of cvl_inside can change results: for everybody the settings of a run, and the
    parts that the example uses."""
    inside = inside_folder()
    common = digest_of(inside / "runtime.py")
    files = [file for part in parts for file in sorted((inside / part).glob("*.py"))]
    if not files:
        return common
    lines = [f"{file.relative_to(inside)} {digest_of(file)}" for file in files]
    return sha256("\n".join([common, *lines]).encode()).hexdigest()
