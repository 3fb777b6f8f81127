"""A pin written into the text of a manifest: that one word is replaced, and nothing else."""

from __future__ import annotations

from typing import Any

import yaml

from cvl.core.names import printable


class NoPlace(ValueError):
    """There is no such word; the message says what to write by hand."""


def with_revision(text: str, repo: str, commit: str) -> str:
    """The manifest with `commit` as the revision of every weights entry of `repo`.

    Raises NoPlace.
    """
    byhand = f"write revision: {commit} into its entry of {printable(repo, 100)}"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise NoPlace(f"it cannot be read; {byhand}") from None
    entries = [entry for entry in _items(_value(root, "weights")) if _says(entry, "repo", repo)]
    if not entries:
        raise NoPlace(f"none of its weights is called that; {byhand}")
    places = [_value(entry, "revision") for entry in entries]
    if not all(isinstance(place, yaml.ScalarNode) for place in places):
        raise NoPlace(f"it has no revision: line; {byhand}")
    for place in reversed(places):
        text = text[: place.start_mark.index] + commit + text[place.end_mark.index :]
    return text


def _value(node: Any, key: str) -> Any:
    """The value node of a mapping; None when it has none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _items(node: Any) -> list[Any]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _says(entry: Any, key: str, text: str) -> bool:
    value = _value(entry, key)
    return isinstance(value, yaml.ScalarNode) and str(value.value) == text
