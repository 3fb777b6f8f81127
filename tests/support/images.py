"""Base images made here: nothing is pulled when the engine has no registry to pull from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.engine import KEPT, Engine
from tests.support.packages import may_install, which

DEBIAN = "debian:bookworm-slim"
PYTHON = "cvl-test/python"
PYTHON_ARCHIVE = KEPT / "python.tar"
MIRROR = "http://deb.debian.org/debian"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# Not where the ca-certificates package would write its own bundle over it.
IN_IMAGE = Path("/usr/local/share/host-authorities.pem")
VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
PYTHON_DOCKERFILE = f"""\
FROM {DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends python3 \\
 && rm -rf /var/lib/apt/lists/* && ln -s python3 /usr/bin/python
"""
TORCH_WHEEL = "torch==2.13.0"
TORCH_DOCKERFILE = f"""\
FROM {DEBIAN}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ffmpeg python3 python3-pip python3-venv \\
 && rm -rf /var/lib/apt/lists/*
COPY *.whl /wheels/
RUN pip install --no-cache-dir --break-system-packages /wheels/*.whl pytest && rm -r /wheels
"""
TORCH = f"cvl-test/torch:{hashlib.sha256(TORCH_DOCKERFILE.encode()).hexdigest()[:12]}"


def ensure_images(engine: Engine) -> None:
    """The base of the examples and the base of the stubs are in the engine; that of the stubs
    alone where builds have no network."""
    if engine.network == "none":
        engine.docker("load", "--input", str(PYTHON_ARCHIVE))
        return
    if not _has(engine, DEBIAN) and may_install():
        _import_debian(engine)
    if not _has(engine, PYTHON):
        _build_python(engine)


def keep_python(engine: Engine) -> None:
    """Save the base of the stubs for engines that cannot build it."""
    image = engine.docker("images", "--quiet", "--no-trunc", PYTHON)
    known = PYTHON_ARCHIVE.with_suffix(".id")
    if PYTHON_ARCHIVE.exists() and known.exists() and known.read_text() == image:
        return
    engine.docker("save", "--output", str(PYTHON_ARCHIVE), PYTHON)
    known.write_text(image)


def copy_image(source: Engine, target: Engine, reference: str) -> None:
    """Give an image of one engine to another one that cannot reach a registry."""
    if _has(target, reference):
        return
    client = which("docker") or "docker"
    save = subprocess.Popen(
        [client, "--host", source.host, "save", reference], stdout=subprocess.PIPE
    )
    load = [client, "--host", target.host, "load"]
    subprocess.run(load, stdin=save.stdout, check=True, capture_output=True)
    if save.wait():
        raise RuntimeError(f"docker save {reference} failed")


def _has(engine: Engine, reference: str) -> bool:
    return bool(engine.docker("images", "--quiet", reference))


def _import_debian(engine: Engine) -> None:
    """A minimal Debian with this machine's certificate authorities in it, so that apt and pip work
    in builds here as they do outside."""
    archive = KEPT / "bookworm.tar"
    if not archive.exists():
        _debootstrap(archive)
    changes = [f"--change=ENV {name}={IN_IMAGE}" for name in VARIABLES]
    engine.docker("import", *changes, str(archive), DEBIAN)


def _debootstrap(archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cvl-bookworm-", dir=archive.parent) as name:
        root = Path(name) / "root"
        command = [which("debootstrap") or "debootstrap", "--variant=minbase", "bookworm"]
        subprocess.run([*command, str(root), MIRROR], check=True, stdout=subprocess.DEVNULL)
        certificates = root / IN_IMAGE.relative_to("/")
        certificates.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(AUTHORITIES, certificates)
        for part in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / part, ignore_errors=True)
            (root / part / "partial").mkdir(parents=True)
        temporary = archive.with_suffix(".part")
        subprocess.run(["tar", "-C", str(root), "-cf", str(temporary), "."], check=True)
        temporary.rename(archive)


def ensure_torch(engine: Engine) -> str:
    """A base image with torch for CPUs in it, which the examples' Dockerfiles keep, and pytest, for
    tests where torch is; its name."""
    if not _has(engine, TORCH):
        with tempfile.TemporaryDirectory(prefix="cvl-torch-") as folder:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*download, "--dest", folder, TORCH_WHEEL], check=True)
            _build(engine, TORCH, TORCH_DOCKERFILE, folder)
    return TORCH


def _build_python(engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="cvl-python-") as folder:
        _build(engine, PYTHON, PYTHON_DOCKERFILE, folder)


def _build(engine: Engine, tag: str, dockerfile: str, folder: str) -> None:
    from cvl.engine.build import find_client

    (Path(folder) / "Dockerfile").write_text(dockerfile)
    command = [*find_client().command(), "--tag", tag]
    if engine.network:
        command += ["--network", engine.network]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": engine.host}
    subprocess.run([*command, folder], check=True, capture_output=True, env=environment)
