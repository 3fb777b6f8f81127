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
    if wanted is Any:
        return data
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _instance(wanted, data)
    build = _GENERIC.get(typing.get_origin(wanted))
    if build is not None:
        return build(typing.get_args(wanted), data)
    # Not isinstance: True is an int.
    if type(data) is wanted or (wanted is float and type(data) is int):
        return data
    raise ValueError(f"{data!r} is not {wanted}")


def _instance(cls: type, data: Any) -> Any:
    fields = _fields(cls)
    if type(data) is not dict or data.keys() != fields.keys():
        raise ValueError(f"not the fields of {cls.__name__}")
    return cls(**{name: from_plain(wanted, data[name]) for name, wanted in fields.items()})


@cache
def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _literal(arguments: tuple[Any, ...], data: Any) -> Any:
    if not any(data == choice and type(data) is type(choice) for choice in arguments):
        raise ValueError(f"{data!r} is not one of {arguments}")
    return data


def _union(arguments: tuple[Any, ...], data: Any) -> Any:
    for wanted in arguments:
        try:
            return from_plain(wanted, data)
        except ValueError:
            continue
    raise ValueError(f"{data!r} is none of {arguments}")


def _tuple(arguments: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if type(data) is not list:
        raise ValueError(f"{data!r} is not a list")
    return tuple(from_plain(arguments[0], item) for item in data)


def _dict(arguments: tuple[Any, ...], data: Any) -> dict[str, Any]:
    if type(data) is not dict:
        raise ValueError(f"{data!r} is not a mapping")
    return {key: from_plain(arguments[1], value) for key, value in data.items()}


_GENERIC: dict[Any, Callable[[tuple[Any, ...], Any], Any]] = {
    typing.Literal: _literal,
    tuple: _tuple,
    dict: _dict,
    **dict.fromkeys(_UNIONS, _union),
}
