"""The user's own weights in the place of declared ones: a folder, or a single file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cvl.core.manifest import ModelManifest
from cvl.core.names import did_you_mean, printable
from cvl.core.references import parse_reference
from cvl.core.weights import Lora, content_identity, url_name
from cvl.errors import InputError
from cvl.ops.session import Session
from cvl.store.staging import digest_of, identity_of

MOST_FILES = 10_000


@dataclass(frozen=True)
class OwnWeights:
    """What stands for the weights called `asked`: one file, or the files of a folder by their path
    in it. sha256: of the file, or over names and contents."""

    asked: str
    sha256: str
    file: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, Path]:
        """All of them, by name."""
        return {self.file.name: self.file} if self.file else self.files

    @property
    def identity(self) -> str:
        return content_identity(self.sha256)


def check_own(
    own: Mapping[str, str], loras: Sequence[Lora], models: Sequence[ModelManifest]
) -> None:
    """InputError for a name that no model knows, or a path where nothing is."""
    if loras and not any(model.loras for model in models):
        names = ", ".join(sorted({model.name for model in models}))
        raise InputError(f"--lora: {names} takes none", hint="cvl info EXAMPLE says what does")
    for lora in loras:
        if not os.path.isfile(lora.path):
            raise InputError(f"--lora: there is no file {printable(lora.path, 200)}")
    known = sorted(
        {weights.repo or url_name(weights) for model in models for weights in model.weights}
    )
    choosable = any(parse_reference(name) for name in known)
    for name, path in own.items():
        if name not in known and not choosable:
            raise InputError(
                f"--weights: no weights here are called {name!r}",
                hint=did_you_mean(name, known) or f"choose from: {', '.join(known) or 'none'}",
            )
        if not os.path.exists(path):
            raise InputError(f"--weights {name}: there is no file or folder {printable(path, 200)}")


def own_lora(session: Session, path: str) -> OwnWeights:
    """A LoRA by its content."""
    place = Path(os.path.realpath(path))
    return OwnWeights("", sha256_of(session, place), file=place)


def own_weights(session: Session, asked: str, path: str) -> OwnWeights:
    """Read what is at `path`; large files that are known are not read again. InputError when there
    is nothing of use."""
    place = Path(os.path.realpath(path))
    shown = printable(path, 200)
    if place.is_file():
        return OwnWeights(asked, sha256_of(session, place), file=place)
    if not place.is_dir():
        raise InputError(f"--weights {asked}: there is no file or folder {shown}")
    files = _files(place)
    if not files:
        raise InputError(f"--weights {asked}: {shown} has no files")
    if len(files) > MOST_FILES:
        raise InputError(f"--weights {asked}: {shown} has more than {MOST_FILES} files")
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\0{sha256_of(session, file)}\n".encode())
    return OwnWeights(asked, digest.hexdigest(), files=files)


def _files(folder: Path) -> dict[str, Path]:
    """Links are followed: a folder of weights is often made of them."""
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = Path(os.path.realpath(path))
        if len(found) > MOST_FILES:
            break
    return found


def sha256_of(session: Session, path: Path) -> str:
    """What a file holds; one that has not changed since is not read again."""
    identity = identity_of(path)
    known = session.digests.known(identity)
    if known:
        return known
    sha256 = digest_of(path)
    session.digests.remember(identity, sha256)
    return sha256
