"""Containers as values, for what does not care what is in them."""

from __future__ import annotations

from cvl.core.container import ContainerSpec


def bare_container(
    image: str, *, name: str = "cvl-bare", labels: dict[str, str] | None = None
) -> ContainerSpec:
    """A container without mounts, limits or a command to speak of."""
    return ContainerSpec(
        name=name, image=image, command=(), working_dir="/", user="0:0", groups=(),
        environment={}, labels=labels or {}, mounts=(), tmpfs={}, network="none", memory=1,
        shm=1, pids=1, file_size=1,
    )  # fmt: skip
