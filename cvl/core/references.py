"""`${step.output}`, and `${item.field}` or `${item}` in a `foreach`: the one way in which a
pipeline connects things. Identifiers, never paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_]*)(?:\.([a-z][a-z0-9_]*))?\}")


def parse_reference(value: Any) -> tuple[str, str] | None:
    """(`step`, `inputs` or the item of a foreach, name) when `value` is a reference as a whole,
    else None. The name is empty in `${item}`: the item itself."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return (match.group(1), match.group(2) or "") if match else None


def references_in(value: Any) -> Iterator[tuple[str, str]]:
    """Every reference in a value or in the items of a list."""
    for item in value if isinstance(value, list) else [value]:
        reference = parse_reference(item)
        if reference is not None:
            yield reference
