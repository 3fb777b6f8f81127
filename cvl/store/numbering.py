"""Publishing the outputs of a run together: under the names that were chosen, and where nobody
chose any, under names that are free."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.core.output_names import number_in, with_number
from cvl.errors import TargetExistsError
from cvl.store.publishing import Finished, place, put, stage
from cvl.store.targets import Target


@dataclass(frozen=True)
class Published:
    """Where an output is now. written: False when it was there already, byte for byte."""

    target: Target
    written: bool


def publish_all(
    finished: Mapping[str, Finished],
    targets: Mapping[str, Target],
    check: Callable[[], None],
    *,
    sidecars: bool = False,
) -> dict[str, Published]:
    """Publish every output. `check` is called before each rename. sidecars: each will get one, so
    its place must be free too. What is there is replaced last, when all are written: a disk that
    runs full leaves it as it is.

    Raises TargetExistsError when something else has a name that was chosen.
    """
    chosen = {name: target for name, target in targets.items() if not target.numbered}
    parts = {n: stage(finished[n], t, f"output-{i}") for i, (n, t) in enumerate(chosen.items())}
    unnamed = _Unnamed(finished, {n: t for n, t in targets.items() if t.numbered}, sidecars)
    done = unnamed.publish(check)
    for name, target in chosen.items():
        part = parts[name]
        if part is not None:
            place(part, target, check)
        done[name] = Published(target, part is not None)
    return {name: done[name] for name in targets}


@dataclass(frozen=True)
class _Unnamed:
    """Outputs that get a number where their names are taken: the same one for all, as far as
    that can be."""

    finished: Mapping[str, Finished]
    targets: Mapping[str, Target]
    sidecars: bool

    def publish(self, check: Callable[[], None]) -> dict[str, Published]:
        """Nothing is ever replaced: when another process takes a name between the look and the
        rename, what is left goes on with the next number. Processes that make the same outputs
        meet at the first of them, so that the one that gets it has its number to itself."""
        done: dict[str, Published] = {}
        number = 0
        while left := [name for name in self.targets if name not in done]:
            number = number or self._number_for(left)
            target = self._numbered(left[0], number)
            try:
                done[left[0]] = Published(target, put(self.finished[left[0]], target, check))
            except TargetExistsError:
                number = 0
        return done

    def _number_for(self, names: Sequence[str]) -> int:
        """The first number whose files are these very bytes, else the first that is free."""
        taken = self._taken(self.targets[names[0]].path, self._is_folder(names[0]))
        for number in sorted(taken):
            if self._fits(names, number):
                return number
        number = 1
        while number in taken or not self._fits(names, number):
            number += 1
        return number

    def _taken(self, path: Path, folder: bool) -> set[int]:
        try:
            entries = os.listdir(path.parent)
        except PermissionError:  # a folder that may be written to, but not listed
            return set()
        found = (number_in(entry, path.name, folder=folder) for entry in entries)
        return {number for number in found if number is not None}

    def _fits(self, names: Sequence[str], number: int) -> bool:
        return all(self._fits_one(name, number) for name in names)

    def _fits_one(self, name: str, number: int) -> bool:
        target = self._numbered(name, number)
        if os.path.lexists(target.path) and not self.finished[name].is_at(target.path):
            return False
        try:
            if self.sidecars:
                from cvl.store.sidecars import check_sidecar

                check_sidecar(target)
        except TargetExistsError:
            return False
        return True

    def _is_folder(self, name: str) -> bool:
        return self.finished[name].produced.path.is_dir()

    def _numbered(self, name: str, number: int) -> Target:
        target = self.targets[name]
        renamed = with_number(target.path.name, number, folder=self._is_folder(name))
        return replace(target, path=target.path.with_name(renamed), numbered=False)
