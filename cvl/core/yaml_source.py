"""YAML with line numbers, and without what a manifest has no use for: anchors, aliases, tags,
duplicate keys, deep nesting, huge files."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from cvl.core.location import Location
from cvl.errors import ManifestError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """Plain data, and the line (from 1) on which each key or item begins."""

    file: str
    data: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Line of `location`, or of the nearest thing around it that has one."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def error(self, location: Location, message: str, hint: str = "") -> ManifestError:
        """A ManifestError that points at `location`."""
        return ManifestError(f"{self.file}:{self.line(location)}: {message}", hint=hint)


def parse(text: bytes, file: str) -> Document:
    """Parse the bytes of `file`; ManifestError for everything that is not a plain mapping."""
    if len(text) > MAX_BYTES:
        raise ManifestError(f"{file}:1: the file has {len(text)} bytes; {MAX_BYTES} is the most")
    try:
        _refuse_what_is_never_needed(text, file)
        loader = _Loader(text)
        root = loader.get_single_node()
        document = Document(file, None, {})
        if not isinstance(root, yaml.MappingNode):
            raise document.error((), "a manifest is a mapping of keys to values")
        data = _construct(loader, root, (), document)
    except yaml.YAMLError as error:
        raise _syntax_error(error, file) from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{file}:1: {error}") from None
    return Document(file, data, document.lines)


def _refuse_what_is_never_needed(text: bytes, file: str) -> None:
    """Anchors, aliases, tags and depth are seen on the event stream, before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ManifestError(f"{file}:{line}: anchors and aliases are not allowed")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise ManifestError(f"{file}:{line}: tags are not allowed (found {tag})")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ManifestError(f"{file}:{line}: nested deeper than {MAX_DEPTH}")


def _construct(loader: Any, node: yaml.Node, at: Location, document: Document) -> Any:
    document.lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(loader, node, at, document)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*at, i), document) for i, item in enumerate(node.value)]
    return _construct_scalar(loader, node, document.file)


def _construct_scalar(loader: Any, node: yaml.Node, file: str) -> Any:
    """Text, a number, true, false or nothing; YAML would also make dates, infinities and NaN."""
    line = node.start_mark.line + 1
    try:
        value = loader.construct_object(node)
    except ValueError as error:
        raise ManifestError(f"{file}:{line}: {error}", hint="write it in quotes") from None
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, str | int | float | None) or not finite:
        message = f"{file}:{line}: {node.value} is neither text nor a finite number"
        raise ManifestError(message, hint="write it in quotes")
    return value


def _construct_mapping(
    loader: Any, node: yaml.MappingNode, at: Location, document: Document
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key: Hashable = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ManifestError(f"{document.file}:{line}: key {key!r} is not a string")
        if key in mapping:
            first = document.lines[(*at, key)]
            raise ManifestError(
                f"{document.file}:{line}: key {key!r} is given twice (first on line {first})"
            )
        document.lines[(*at, key)] = line
        mapping[key] = _construct(loader, value_node, (*at, key), document)
    return mapping


def _syntax_error(error: yaml.YAMLError, file: str) -> ManifestError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = mark.line + 1 if mark is not None else 1
    return ManifestError(f"{file}:{line}: not valid YAML: {problem}")
