"""The build context of an example: which files, their digest, and the folder that a build gets."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from cvl.core.manifest import ModelManifest
from cvl.core.names import not_utf8
from cvl.core.plain import to_plain
from cvl.errors import ManifestError
from cvl.store.staging import digest_of

FORMAT = 1
MAX_BYTES = 100 * 10**6
# What changes nothing in an image: an edit of it must not rebuild.
LEFT_OUT = frozenset(("example.yaml", "README.md", "samples", "tests", "__pycache__"))
RECIPE = {"docker": "Dockerfile", "venv": "requirements.lock"}
# Of the other engine: an edit of these changes nothing in an image, or in an environment.
OF_ANOTHER = {
    "docker": ("requirements.in", "requirements.lock"),
    "venv": ("Dockerfile", "requirements.in", "requirements.txt"),
}
_BASE = re.compile(r"^\s*ARG\s+BASE_IMAGE=(\S+)\s*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class BuildContext:
    """Files of a context by relative name, and the generated example.json."""

    folder: Path
    files: tuple[str, ...]
    example_json: str
    base_image: str
    digest: str
    source: str
    """sha256 of the example's own files alone, without the base image: known without an engine."""
    base_identity: str = ""
    """What tells the base image from another: its id, or its reference."""
    prebuilt: str = ""
    """Reference of an image that is pulled instead of built."""


def base_image_of(folder: Path, override: str) -> str:
    """The base image a build would use: the override, else the default of `ARG BASE_IMAGE`."""
    if override:
        return override
    match = _BASE.search((folder / "Dockerfile").read_text())
    return match.group(1) if match else ""


def read_context(
    manifest: ModelManifest,
    folder: Path,
    *,
    base_image: str,
    base_identity: str,
    engine: str = "docker",
) -> BuildContext:
    """The context of a model example. `base_identity` is the base image's local id or its
    reference; for venv, the Python that environments are made of.

    Raises ManifestError when the folder cannot be a context.
    """
    for needed in (RECIPE[engine], "predict.py"):
        if not (folder / needed).is_file():
            raise ManifestError(f"{folder.name}/{needed} is missing", hint=f"add {needed}")
    every = tuple(sorted(_files(folder)))
    files = tuple(name for name in every if name not in OF_ANOTHER[engine])
    example_json = json.dumps(
        {
            "name": manifest.name,
            "summary": manifest.summary,
            "inputs": to_plain(manifest.inputs),
            "outputs": to_plain(manifest.outputs),
        },
        sort_keys=False,
        indent=1,
    )
    digest = hashlib.sha256(f"{FORMAT}\0{base_identity}\0{example_json}\0".encode())
    source = hashlib.sha256(f"{FORMAT}\0{example_json}\0".encode())
    for name in every:
        path = folder / name
        mode = "x" if path.stat().st_mode & 0o111 else "-"
        line = f"{name}\0{mode}\0{digest_of(path)}\n".encode()
        if name in files:
            digest.update(line)
        source.update(line)
    return BuildContext(
        folder, files, example_json, base_image, digest.hexdigest(), source.hexdigest(),
        base_identity,
    )  # fmt: skip


def prebuilt_context(image: str, folder: Path) -> BuildContext:
    """What stands for the context of an image that is pulled: its reference."""
    digest = hashlib.sha256(image.encode()).hexdigest()
    return BuildContext(folder, (), "", "", digest, digest, prebuilt=image)


def source_of(manifest: ModelManifest, folder: Path) -> str:
    """sha256 of a model's own files as they are now."""
    if manifest.image:
        return prebuilt_context(manifest.image, folder).source
    engine = manifest.engines[0]
    return read_context(manifest, folder, base_image="", base_identity="", engine=engine).source


def _files(folder: Path) -> list[str]:
    found: list[str] = []
    size = 0
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not _left_out(folder, Path(root) / f)]
        for name in names:
            path = Path(root) / name
            if _left_out(folder, path):
                continue
            status = path.lstat()
            relative = str(path.relative_to(folder))
            if not stat.S_ISREG(status.st_mode):
                raise ManifestError(f"{folder.name}/{relative} is not a regular file")
            problem = not_utf8(folder.name, relative)
            if problem:
                raise ManifestError(problem, hint="rename the file")
            size += status.st_size
            if size > MAX_BYTES:
                raise ManifestError(
                    f"{folder.name} holds more than {MAX_BYTES // 10**6} MB",
                    hint="weights are declared in the manifest, never put beside it",
                )
            found.append(relative)
    return found


def _left_out(folder: Path, path: Path) -> bool:
    if path.name.startswith(".") or path.name == "__pycache__":
        return True
    return path.parent == folder and path.name in LEFT_OUT


def write_context(context: BuildContext, inside: Path, target: Path) -> None:
    """Lay the context out in the empty folder `target`, with cvl_inside and example.json added."""
    for name in context.files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(context.folder / name, place)
    (target / "example.json").write_text(context.example_json)
    shutil.copytree(
        inside, target / "cvl_inside", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
