"""Why a step runs although it ran before: field by field, what differs from the last time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 40
HASH = 12
NAMES = {
    "code": "the example's code or base image",
    "image": "its image, rebuilt from the same files",
    "runtime": "cvl's own runtime",
    "version": "cvl's rules for keys",
    "weights": "the weights",
}


@dataclass(frozen=True)
class Change:
    """One field that is another than last time; `before` is empty for a field that is new."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.field in NAMES:
            return f"{NAMES[self.field]} changed"
        if not self.before:
            return f"{self.field} is new: {self.after}"
        return f"{self.field} changed: {self.before} -> {self.after}"


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What differs between two key documents, inputs and outputs by name."""
    old, new = _flat(before), _flat(now)
    return [
        Change(name, _shown(old[name]) if name in old else "", _shown(new.get(name)))
        for name in [*new, *(name for name in old if name not in new)]
        if old.get(name, _MISSING) != new.get(name, _MISSING)
    ]


_MISSING = object()


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if key in ("inputs", "outputs") and isinstance(value, Mapping):
            prefix = "--" if key == "inputs" else "output "
            flat.update({f"{prefix}{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat


def _shown(value: Any) -> str:
    """Files by the beginning of their sha256, the rest as it is, shortened."""
    if isinstance(value, Mapping) and "sha256" in value:
        return f"file {str(value['sha256'])[:HASH]}"
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
