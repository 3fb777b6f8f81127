"""Values for declared inputs: text from a command line or JSON from HTTP becomes what the manifest
says, or an InputError with a hint. File inputs become HostFile; nobody has opened them yet."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvl.core.manifest import FILE_TYPES, InputSpec
from cvl.core.names import canonical, did_you_mean, nearest, not_utf8
from cvl.errors import InputError

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")
MAX_STRING = 1_000_000


@dataclass(frozen=True)
class HostFile:
    """A path that the caller gave; not yet opened. extension: the one that it goes by, when not its
    own."""

    path: str
    extension: str | None = None


def resolve_inputs(
    specs: Mapping[str, InputSpec], given: Mapping[str, Any], example: str
) -> dict[str, Any]:
    """Every declared input with its value: given, default, or None when it is optional.

    Raises InputError for an unknown name, a missing input or a value that does not do.
    """
    named = {_declared(specs, name, example): value for name, value in given.items()}
    resolved: dict[str, Any] = {}
    for name, spec in specs.items():
        value = named.get(name)
        if value is None:
            value = spec.default
        if value is None:
            if spec.required:
                raise InputError(
                    f"{example} needs --{name}" + (f": {spec.help}" if spec.help else ""),
                    hint=f"cvl run {example} predict --help lists every option",
                    code="missing_input",
                )
            resolved[name] = None
        else:
            resolved[name] = coerce(name, spec, value)
    return resolved


def _declared(specs: Mapping[str, InputSpec], name: str, example: str) -> str:
    wanted = canonical(name)
    if wanted in specs:
        return wanted
    raise InputError(
        f"{example} has no input --{name}",
        hint=did_you_mean(name, specs, "--"),
        code="unknown_input",
    )


def coerce(name: str, spec: InputSpec, value: Any) -> Any:
    """`value` as the type of `spec`; InputError says which input, what was wrong, what is
    allowed."""
    if spec.type != "list":
        return _item(name, spec, value)
    items = value if isinstance(value, list | tuple) else [value]
    if spec.max_items is not None and len(items) > spec.max_items:
        raise InputError(f"--{name} takes {spec.max_items} items at most, not {len(items)}")
    return [_item(name, spec, item) for item in items]


def _item(name: str, spec: InputSpec, value: Any) -> Any:
    kind = spec.item_type
    if kind in FILE_TYPES:
        return _file(name, value)
    coerced = _SCALARS[kind](name, spec, value)
    return _chosen(name, spec, coerced) if spec.choices else coerced


def _chosen(name: str, spec: InputSpec, value: Any) -> Any:
    """One of the declared choices, whatever the type of the input is."""
    by_text = {str(choice): choice for choice in spec.choices}
    if str(value) in by_text:
        return by_text[str(value)]
    close = nearest(str(value), by_text)
    shown = ", ".join(by_text)
    hint = f"did you mean {close}? choose from: {shown}" if close else f"choose from: {shown}"
    raise InputError(f"--{name} is {str(value)!r}", hint=hint)


def _file(name: str, value: Any) -> HostFile:
    if isinstance(value, HostFile):
        return value
    if not isinstance(value, str) or not value:
        raise InputError(f"--{name} is a path, not {value!r}")
    if "\0" in value:
        raise InputError(f"--{name}: a path cannot hold a NUL character")
    problem = not_utf8(f"--{name}", value)
    if problem:
        raise InputError(problem, hint="rename the file")
    return HostFile(value)


def _string(name: str, spec: InputSpec, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"--{name} is text, not {value!r}")
    limit = spec.max_length or MAX_STRING
    if len(value) > limit:
        raise InputError(
            f"--{name} has {len(value)} characters; {limit} is the most", hint="shorten it"
        )
    if "\0" in value:
        raise InputError(f"--{name}: text cannot hold a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"--{name} is not valid UTF-8 text") from None
    if spec.pattern is not None and not re.fullmatch(spec.pattern, value):
        raise InputError(f"--{name} is {value!r}", hint=f"it must match {spec.pattern}")
    return value


def _integer(name: str, spec: InputSpec, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"--{name} is a whole number, not {value!r}")
    try:
        number = int(value)
    except ValueError:
        raise InputError(f"--{name} is a whole number, not {value!r}") from None
    _check_range(name, spec, number)
    return number


def _number(name: str, spec: InputSpec, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"--{name} is a number, not {value!r}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"--{name} is a number, not {value!r}") from None
    if not math.isfinite(number):
        raise InputError(f"--{name} is a finite number, not {value!r}")
    _check_range(name, spec, number)
    return number


def _check_range(name: str, spec: InputSpec, number: float) -> None:
    low, high = spec.min, spec.max
    if (low is not None and number < low) or (high is not None and number > high):
        limits = [f"at least {low:g}"] if low is not None else []
        limits += [f"at most {high:g}"] if high is not None else []
        raise InputError(f"--{name} is {number}", hint=f"it must be {' and '.join(limits)}")


def _boolean(name: str, spec: InputSpec, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else ""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise InputError(f"--{name} is true or false, not {value!r}")


def _choice(name: str, spec: InputSpec, value: Any) -> Any:
    return value


def _json(name: str, spec: InputSpec, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--{name} is not JSON: {error}") from None


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


_SCALARS: dict[str, Any] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
    "json": _json,
}
