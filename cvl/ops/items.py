"""The items of a `foreach`: from a list that was given, or from JSON that a step made."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvl.core.names import did_you_mean, printable
from cvl.errors import CvlError, InputError, OutputError
from cvl.store.outputs import Produced
from cvl.store.staging import CheckedFile

MAX_JSON = 16 << 20
MAX_ITEMS = 10_000
SHORT = 40


@dataclass(frozen=True)
class Item:
    """One item and its place in the list, from 0."""

    index: int
    value: Any

    def field(self, name: str) -> Any:
        """A field, or with no name the item itself; InputError when there is no such field."""
        if not name:
            return self.value
        if not isinstance(self.value, dict) or name not in self.value:
            known = self.value if isinstance(self.value, dict) else ()
            raise InputError(f"it has no field {name!r}", hint=did_you_mean(name, known))
        return self.value[name]

    def named(self, error: CvlError, step: str, more: str = "") -> CvlError:
        """The same error, saying which item it is about."""
        named = copy.copy(error)
        named.message = f"item {self.index} of {step} ({short(self.value)}): {error.message}{more}"
        named.args = (named.message,)
        return named


def items_of(source: str, value: Any) -> list[Item]:
    """The items behind `source`.

    Raises InputError for a given value that is no list, OutputError for one that a step made.
    """
    wrong = OutputError if isinstance(value, Produced) else InputError
    if isinstance(value, CheckedFile | Produced):
        value = _read(source, value.path, value.size, wrong)
    if not isinstance(value, list):
        raise wrong(f"{source} is not a list: {short(value)}")
    if len(value) > MAX_ITEMS:
        raise wrong(f"{source} has {len(value)} items; {MAX_ITEMS} is the most")
    return [Item(index, item) for index, item in enumerate(value)]


def _read(source: str, path: Path, size: int, wrong: type[CvlError]) -> Any:
    if size > MAX_JSON:
        raise wrong(f"{source} has {size} bytes; {MAX_JSON} is the most")
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise wrong(f"{source} cannot be read as JSON: {error}") from None


def short(value: Any) -> str:
    """An item in a few words."""
    if isinstance(value, dict) and value:
        value = next((text for text in value.values() if isinstance(text, str)), value)
    if isinstance(value, CheckedFile | Produced):
        value = value.path.name if isinstance(value, CheckedFile) else f"a .{value.extension}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(text, SHORT)
