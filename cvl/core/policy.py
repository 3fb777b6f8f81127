"""The hardening policy: what a predict container may do. One function, one value out of it.

Every line has its evidence in failures measured on a real engine: Docker's default noexec /tmp
breaks Triton, inductor and numba; its 64 MB /dev/shm breaks data loaders; a uid without a passwd
entry breaks torch; an image's own LD_PRELOAD or NVIDIA_VISIBLE_DEVICES acts unless overridden.
"""

from __future__ import annotations

from cvl.core.container import ContainerSpec, EngineFacts, Mount
from cvl.core.dockerfile import BUNDLE_VARIABLES
from cvl.core.plan import AUTHORITIES, CONTAINER, Layout, Placement, StepSpec, host_layout
from cvl.core.redaction import without_passwords

COMMAND = ("python", "/app/predict.py")
GRACE_S = 10
CACHES = (
    "XDG_CACHE_HOME", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR",
    "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "CUDA_CACHE_PATH",
)  # fmt: skip


def container_for(
    spec: StepSpec,
    placement: Placement,
    facts: EngineFacts,
    *,
    image: str,
    name: str,
    labels: dict[str, str],
) -> ContainerSpec:
    """The container of one step, hardened."""
    uid, gid = container_user(placement, facts)
    layout = layout_of(placement, facts)
    return ContainerSpec(
        name=name,
        image=image,
        command=COMMAND,
        working_dir="/app",
        user=f"{uid}:{gid}",
        groups=() if uid == 0 else tuple(str(group) for group in placement.groups),
        environment=environment(spec, placement, layout),
        labels=labels,
        mounts=() if facts.on_host else _mounts(spec, placement),
        tmpfs={
            "/tmp": f"exec,nosuid,nodev,mode=1777,size={spec.limits.tmp}",
            "/run": "nosuid,nodev,mode=1777,size=16777216",
            str(
                layout.home
            ): f"exec,nosuid,nodev,mode=0700,uid={uid},gid={gid},size={spec.limits.tmp}",
        },
        network="bridge" if spec.network else "none",
        memory=spec.limits.memory,
        shm=spec.limits.shm,
        pids=spec.limits.pids,
        # A limit under the size of /dev/shm would stop files there as well.
        file_size=max(spec.limits.file_size, spec.limits.shm),
        gpus=placement.gpus,
        security=("no-new-privileges", *(("label=disable",) if facts.selinux else ())),
        userns="host" if facts.userns_remap else "",
        keep_log=not (placement.has_secrets or private_proxies(placement)),
    )


def layout_of(placement: Placement, facts: EngineFacts) -> Layout:
    """Where a step finds its folders on this engine."""
    return host_layout(placement) if facts.on_host else CONTAINER


def container_user(placement: Placement, facts: EngineFacts) -> tuple[int, int]:
    """(uid, gid) in the container that own what they write as the caller on the host.

    In a rootless engine the caller's uid is mapped to 0; anywhere else a uid is itself.
    """
    return (0, 0) if facts.rootless else (placement.uid, placement.gid)


def environment(spec: StepSpec, placement: Placement, layout: Layout = CONTAINER) -> dict[str, str]:
    """Variables of a step. Never a token, never a value of an input."""
    values = {
        "CVL_CONTROL": str(layout.control),
        "CVL_JIT_CACHE": str(layout.jit),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "HOME": str(layout.home),
        "USER": "cvl",
        "LOGNAME": "cvl",
        "TMPDIR": str(layout.scratch),
        "LD_PRELOAD": "",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN_PATH": "/dev/null",
        "HF_HOME": str(layout.home / ".cache/huggingface"),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "NVIDIA_VISIBLE_DEVICES": ",".join(placement.gpus) or "none",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
    }
    values.update({name: str(layout.jit / name.lower()) for name in CACHES})
    if placement.weights.files:
        values["HF_HUB_CACHE"] = str(layout.weights)
        values["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    if layout is not CONTAINER:
        # There is no runtime that hides the GPUs which are not leased, and no mount of cvl_inside.
        values["CUDA_VISIBLE_DEVICES"] = ",".join(placement.gpus)
        values["PYTHONPATH"] = str(layout.inside.parent)
    if spec.network:
        del values["HF_HUB_OFFLINE"], values["TRANSFORMERS_OFFLINE"]
        values.update(without_passwords(placement.proxies))
        if placement.ca_bundle:
            seen = AUTHORITIES if layout is CONTAINER else placement.ca_bundle
            values.update(dict.fromkeys(BUNDLE_VARIABLES, str(seen)))
    return values


def private_proxies(placement: Placement) -> dict[str, str]:
    """Proxies with a password: everybody who may use the engine sees a container's environment."""
    open_ones = without_passwords(placement.proxies)
    return {name: value for name, value in placement.proxies.items() if name not in open_ones}


def _mounts(spec: StepSpec, placement: Placement) -> tuple[Mount, ...]:
    work = placement.work
    authorities = Mount(f"{work}/authorities.pem", str(AUTHORITIES), read_only=True)
    return (
        *((authorities,) if spec.network and placement.ca_bundle else ()),
        Mount(f"{work}/inputs", str(CONTAINER.inputs), read_only=True),
        Mount(f"{work}/out", str(CONTAINER.out), read_only=False),
        Mount(f"{work}/control", str(CONTAINER.control), read_only=False),
        Mount(f"{work}/scratch", str(CONTAINER.scratch), read_only=False),
        Mount(f"{work}/passwd", "/etc/passwd", read_only=True),
        Mount(f"{work}/group", "/etc/group", read_only=True),
        Mount(placement.jit, str(CONTAINER.jit), read_only=False),
        Mount(placement.inside, str(CONTAINER.inside), read_only=True),
        *_weights(placement),
    )


def _weights(placement: Placement) -> tuple[Mount, ...]:
    """File by file onto a folder with empty ones in their places: links lead nowhere in there, so a
    repo may lie on another disk or share its blobs, and nothing else of it is to be seen."""
    if not placement.weights.files:
        return ()
    files = placement.weights.files.items()
    return (
        Mount(f"{placement.work}/weights", str(CONTAINER.weights), read_only=True),
        *(Mount(file, str(CONTAINER.weights / place), read_only=True) for place, file in files),
    )
