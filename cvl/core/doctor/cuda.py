"""Which CUDA a driver can run, and what an image asks for.

The numbers are those of NVIDIA's CUDA release notes: the Linux driver that came with each toolkit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Version = tuple[int, ...]

DRIVERS: tuple[tuple[Version, Version], ...] = (
    ((13, 1), (590, 44, 1)),
    ((13, 0), (580, 65, 6)),
    ((12, 9), (575, 51, 3)),
    ((12, 8), (570, 26)),
    ((12, 7), (565, 57, 1)),
    ((12, 6), (560, 28, 3)),
    ((12, 5), (555, 42, 2)),
    ((12, 4), (550, 54, 14)),
    ((12, 3), (545, 23, 6)),
    ((12, 2), (535, 54, 3)),
    ((12, 1), (530, 30, 2)),
    ((12, 0), (525, 60, 13)),
    ((11, 8), (520, 61, 5)),
    ((11, 7), (515, 43, 4)),
    ((11, 6), (510, 39, 1)),
    ((11, 5), (495, 29, 5)),
    ((11, 4), (470, 42, 1)),
    ((11, 3), (465, 19, 1)),
    ((11, 2), (460, 27, 3)),
    ((11, 1), (455, 23)),
    ((11, 0), (450, 36, 6)),
)  # fmt: skip
_CLAUSE = re.compile(r"(\w+)\s*(>=|<=|!=|=|<|>)\s*([\w.]+)")


def version(text: str) -> Version:
    """`12.8.1` as (12, 8, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", text.split("-")[0]))


def newest_cuda(driver: str) -> Version:
    """(major, minor) of the newest CUDA that a driver can run; () when it is older than all."""
    has = version(driver)
    return next((cuda for cuda, least in DRIVERS if has >= least), ())


def driver_for(cuda: Version) -> str:
    """The oldest driver branch for a CUDA version: `570`; empty when nobody here knows."""
    known = [least for toolkit, least in DRIVERS if toolkit >= cuda[:2]]
    return str(known[-1][0]) if known else ""


def fulfils(requirement: str, driver: str) -> Literal["yes", "perhaps", "no"]:
    """NVIDIA_REQUIRE_CUDA as the toolkit reads it: alternatives separated by spaces, each of
    clauses that must all hold, separated by commas. `perhaps`: when the GPU is of a certain brand,
    which is not known here."""
    has = {"cuda": newest_cuda(driver), "driver": version(driver)}
    held = [alternative for alternative in requirement.split() if _all_hold(alternative, has)]
    if not held:
        return "no" if requirement.split() else "yes"
    return "perhaps" if all("brand" in alternative for alternative in held) else "yes"


def _all_hold(alternative: str, has: Mapping[str, Version]) -> bool:
    clauses = [match for part in alternative.split(",") if (match := _CLAUSE.fullmatch(part))]
    return all(
        _holds(has[name], operator, version(value))
        for name, operator, value in (clause.groups() for clause in clauses)
        if name in has
    )


def _holds(has: Version, operator: str, wanted: Version) -> bool:
    """Compared as far as `wanted` goes: driver 470.82 is not above `driver<=470`."""
    has = has[: len(wanted)]
    wanted = wanted[: max(len(has), 1)]
    return {
        ">=": has >= wanted, "<=": has <= wanted, ">": has > wanted, "<": has < wanted,
        "=": has == wanted, "!=": has != wanted,
    }[operator]  # fmt: skip


def wanted_cuda(requirement: str) -> Version:
    """The `cuda>=` of a requirement; () when it has none."""
    found = re.search(r"cuda>=(\d+(?:\.\d+)?)", requirement)
    return version(found.group(1)) if found else ()
