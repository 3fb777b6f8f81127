"""Pins beside what the hub says, as `cvl models outdated` and `update` show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cvl.cli.units import fitted
from cvl.core.units import size
from cvl.ops.weights.updating import Comparison

HEADINGS = ["WEIGHTS", "REVISION", "OLD", "NEW", "CHANGED", "TO FETCH", "STATE"]


def table_of(found: Sequence[Comparison]) -> str:
    return fitted(HEADINGS, [_row(one) for one in found], {"WEIGHTS": 16}) if found else ""


def _row(one: Comparison) -> list[str]:
    changed = str(len(one.changed) + len(one.removed))
    state = one.state.replace("_", " ")
    commits = [one.old[:8] or "-", one.new[:8] or "-"]
    return [one.repo, one.revision[:12], *commits, changed, size(one.to_fetch), state]


def data_of(found: Sequence[Comparison]) -> dict[str, Any]:
    return {"weights": [_data(one) for one in found]}


def _data(one: Comparison) -> dict[str, Any]:
    known = asdict(one)
    texts = {name: known[name] or None for name in ("old", "new", "problem")}
    lists = {name: list(known[name]) for name in ("changed", "removed")}
    return {"weights": known.pop("repo"), **known, **texts, **lists}
