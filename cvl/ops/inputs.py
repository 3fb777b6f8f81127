"""The files of a step: known by content at once where that can be, copied when the step runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cvl.core.plan import StagedFile, input_file_name
from cvl.ops.session import Session
from cvl.store.staging import CheckedFile, stage


class Inputs:
    """Stages values of one step into `folder`. A file whose content is known, because it is a
    result or was read before, is copied by `copy` alone: a step whose result is there reads none of
    them."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._waiting: list[tuple[str, CheckedFile, Path]] = []

    def staged(self, name: str, value: Any) -> Any:
        """The value as the step key sees it: files by content, lists too."""
        if isinstance(value, CheckedFile):
            return self._one(name, value, None)
        if isinstance(value, list):
            return [
                self._one(name, item, index) if isinstance(item, CheckedFile) else item
                for index, item in enumerate(value)
            ]
        return value

    def copy(self) -> None:
        """What waits. InputError for a file that is not what it was known to be."""
        while self._waiting:
            name, file, target = self._waiting.pop()
            try:
                stage(name, file, target)
            except BaseException:
                self._session.digests.forget(file.identity)
                raise

    def _one(self, name: str, file: CheckedFile, index: int | None) -> StagedFile:
        plain = StagedFile("", file.size, file.extension)
        target = self._folder / input_file_name(name, plain, index)
        sha256 = file.sha256 or ("" if file.folder else self._session.digests.known(file.identity))
        if sha256:
            self._waiting.append((name, replace(file, sha256=sha256), target))
            return replace(plain, sha256=sha256)
        staged = stage(name, file, target)
        if not file.folder:
            self._session.digests.remember(file.identity, staged.sha256)
        return staged
