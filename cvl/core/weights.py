"""Weights by name: what a repo has at a commit, which of its files a model needs, and what they are
called in a step key."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from cvl.core.manifest import Weights
from cvl.core.pipeline_files import INDEX, is_pipeline, pipeline_files, variant_of

COMMIT = re.compile(r"[0-9a-f]{40}")
REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_PLAIN = re.compile(r"\w[\w.+-]{0,99}", re.ASCII)
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_LEFT = re.compile(
    r"blobs/(?:[^/]+\.incomplete|tmp_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|refs/(?!.*\.\.).+\.[0-9a-f]{8}\.tmp"
)
RENAMED = {
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "runwayml/stable-diffusion-inpainting": "stable-diffusion-v1-5/stable-diffusion-inpainting",
    "damo-vilab/text-to-video-ms-1.7b": "ali-vilab/text-to-video-ms-1.7b",
    "damo-vilab/modelscope-damo-text-to-video-synthesis": (
        "ali-vilab/modelscope-damo-text-to-video-synthesis"
    ),
    "THUDM/CogVideoX-2b": "zai-org/CogVideoX-2b",
    "THUDM/CogVideoX-5b": "zai-org/CogVideoX-5b",
    "THUDM/CogVideoX-5b-I2V": "zai-org/CogVideoX-5b-I2V",
}
"""Repos that are gone or have moved, and where the same files are now."""


@dataclass(frozen=True)
class RepoFile:
    """A file of a repo at a commit, as the hub lists it: sha256 of large files, git (sha1 of the
    blob) of small ones, whose sha256 is known once they were read."""

    size: int
    sha256: str = ""
    git: str = ""

    @property
    def listed(self) -> RepoFile:
        """As the hub lists it, without what was found out by reading it."""
        return RepoFile(self.size, git=self.git) if self.git else self

    @property
    def blob(self) -> str:
        """Its name in the cache's blobs."""
        return self.git or self.sha256


@dataclass(frozen=True)
class Listing:
    """All files of a repo at a commit, by their path in it."""

    repo: str
    commit: str
    files: dict[str, RepoFile]

    def matching(self, patterns: Iterable[str]) -> dict[str, RepoFile]:
        """The files that patterns name; all of them when there are no patterns."""
        asked = tuple(patterns)
        wanted = [f"{pattern}*" if pattern.endswith("/") else pattern for pattern in asked]
        loaded: set[str] = set()
        for pattern in filter(is_pipeline, asked):
            loaded |= pipeline_files(self.files, variant_of(pattern))
        return {
            path: file
            for path, file in self.files.items()
            if not wanted or path in loaded or any(fnmatchcase(path, pattern) for pattern in wanted)
        }

    def lacks(self, patterns: Iterable[str]) -> str:
        """Why patterns name none of the files."""
        asked = tuple(patterns)
        if not any(map(is_pipeline, asked)):
            return f"has no file that matches {', '.join(asked)}"
        if INDEX not in self.files:
            return f"is no diffusers pipeline: it has no {INDEX}"
        variants = {variant_of(pattern) for pattern in asked} - {""}
        return f"has no weights of the variant {', '.join(sorted(variants))}"


def total_size(files: Mapping[str, RepoFile]) -> int:
    """Bytes of the files together; equal files are counted once, as they are stored."""
    return sum({file.blob: file.size for file in files.values()}.values())


def known_as(repo: str) -> str:
    """The name under which the hub has this repo today."""
    return RENAMED.get(repo, repo)


def repo_identity(repo: str, commit: str) -> str:
    """What weights from a repo are called in a step key."""
    return f"{repo}@{commit}"


def parse_identity(identity: str) -> tuple[str, str] | None:
    """(repo, commit) of weights from a repo; None for others."""
    repo, at, commit = identity.partition("@")
    known = bool(at) and REPO.fullmatch(repo) and COMMIT.fullmatch(commit)
    return (repo, commit) if known else None


def content_identity(sha256: str) -> str:
    """What weights that are known by content are called in a step key."""
    return f"sha256:{sha256}"


def url_name(weights: Weights) -> str:
    """File name under which a model finds weights from a URL."""
    return weights.to or weights.url.partition("?")[0].rpartition("/")[2]


def is_asked_for(weights: Weights, values: Mapping[str, Any]) -> bool:
    """Do inputs have the values with which these weights are needed?"""
    return all(values.get(name) == value for name, value in weights.when.items())


@dataclass(frozen=True)
class Lora:
    """A LoRA of the user's: its file, and how much of it."""

    path: str
    scale: float = 1.0


def lora_identity(sha256: str, scale: float) -> str:
    """What a LoRA is called in a step key."""
    return f"lora:sha256:{sha256}*{scale:g}"


def parse_lora(word: str) -> Lora:
    """`PATH` or `PATH:SCALE`; a name with a colon in it needs its scale said."""
    path, colon, scale = word.rpartition(":")
    if colon and path:
        with contextlib.suppress(ValueError):
            number = float(scale)
            if math.isfinite(number):
                return Lora(path, number)
    return Lora(word)


def is_plain_path(path: str) -> bool:
    """A path in a folder, and nowhere else: no `..`, nothing absolute, nothing hidden."""
    return bool(path) and all(_PLAIN.fullmatch(part) for part in path.split("/"))


def is_leftover(path: str) -> bool:
    """Of a file of a repo's folder in the hub cache: did a killed download leave it? What it had so
    far, the empty file by which huggingface_hub learns the mode of new files, or a branch that was
    not renamed yet."""
    return _LEFT.fullmatch(path) is not None


def is_pickled(path: str) -> bool:
    """May loading this file run code?"""
    return path.lower().endswith(PICKLED)
