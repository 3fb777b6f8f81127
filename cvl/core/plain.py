"""Frozen values as JSON data, and back. The way back is strict: what does not fit is refused, so
that a damaged file is never taken for a value."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

_UNIONS = (typing.Union, types.UnionType)
Reader = Callable[[Any], Any]


def to_plain(value: Any) -> Any:
    """Frozen values as JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(wanted: Any, data: Any) -> Any:
    """What `to_plain` made of a value of type `wanted`, as that value again.

    Raises ValueError for anything else: a field too many or too few, or a wrong type anywhere.
    """
    return _reader(wanted)(data)


@cache
def _reader(wanted: Any) -> Reader:
    """Looking at a type costs more than reading a value of it, so it is done once."""
    if wanted is Any:
        return lambda data: data
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _instance(wanted)
    origin = typing.get_origin(wanted)
    build = _GENERIC.get(origin)
    return build(typing.get_args(wanted)) if build else _scalar(wanted)


def _scalar(wanted: Any) -> Reader:
    def read(data: Any) -> Any:
        # Not isinstance: True is an int.
        if type(data) is wanted or (wanted is float and type(data) is int):
            return data
        raise ValueError(f"{data!r:.100} is not {wanted}")

    return read


def _instance(cls: type) -> Reader:
    hints = typing.get_type_hints(cls)
    fields = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(cls)}

    def read(data: Any) -> Any:
        if type(data) is not dict or data.keys() != fields.keys():
            raise ValueError(f"not the fields of {cls.__name__}")
        return cls(**{name: read_field(data[name]) for name, read_field in fields.items()})

    return read


def _literal(choices: tuple[Any, ...]) -> Reader:
    def read(data: Any) -> Any:
        if not any(data == choice and type(data) is type(choice) for choice in choices):
            raise ValueError(f"{data!r:.100} is not one of {choices}")
        return data

    return read


def _union(members: tuple[Any, ...]) -> Reader:
    """The first member that fits; members without parts are told by the type of the data."""
    plain = frozenset(m for m in members if isinstance(m, type) and not _has_parts(m))
    readers = [_reader(member) for member in members]

    def read(data: Any) -> Any:
        if type(data) in plain:
            return data
        for reader in readers:
            try:
                return reader(data)
            except ValueError:
                continue
        raise ValueError(f"{data!r:.100} is none of {members}")

    return read


def _has_parts(wanted: type) -> bool:
    return dataclasses.is_dataclass(wanted) or typing.get_origin(wanted) is not None


def _tuple(arguments: tuple[Any, ...]) -> Reader:
    item = _reader(arguments[0])

    def read(data: Any) -> tuple[Any, ...]:
        if type(data) is not list:
            raise ValueError(f"{data!r:.100} is not a list")
        return tuple([item(part) for part in data])

    return read


def _dict(arguments: tuple[Any, ...]) -> Reader:
    value = _reader(arguments[1])

    def read(data: Any) -> dict[str, Any]:
        if type(data) is not dict:
            raise ValueError(f"{data!r:.100} is not a mapping")
        return {key: value(part) for key, part in data.items()}

    return read


_GENERIC: dict[Any, Callable[[tuple[Any, ...]], Reader]] = {
    typing.Literal: _literal,
    tuple: _tuple,
    dict: _dict,
    **dict.fromkeys(_UNIONS, _union),
}
