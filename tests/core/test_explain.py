"""Why a step runs again, field by field."""

from __future__ import annotations

from cvl.core.explain import changes

BEFORE = {
    "code": "a" * 64,
    "inputs": {"text": "Hello", "image": {"sha256": "b" * 64, "size": 3, "extension": "jpg"}},
    "seed": None,
}


def _text(**now: object) -> list[str]:
    return [str(change) for change in changes(BEFORE, {**BEFORE, **now})]


def test_nothing_changed_is_nothing_to_say() -> None:
    assert _text() == []


def test_a_value_a_file_and_the_code_are_told_by_name() -> None:
    inputs = {"text": "Hi", "image": {"sha256": "c" * 64, "size": 3, "extension": "jpg"}}
    assert _text(code="d" * 64, inputs=inputs) == [
        "the example's code or base image changed",
        "--text changed: 'Hello' -> 'Hi'",
        "--image changed: file bbbbbbbbbbbb -> file cccccccccccc",
    ]


def test_a_field_that_is_new_or_gone_is_told() -> None:
    inputs = {**BEFORE["inputs"], "speed": 2}  # type: ignore[dict-item]
    assert _text(inputs=inputs) == ["--speed is new: 2"]
    assert _text(inputs={"text": "Hello"}) == ["--image changed: file bbbbbbbbbbbb -> None"]


def test_a_long_value_is_shortened() -> None:
    inputs = {**BEFORE["inputs"], "text": "x" * 500}  # type: ignore[dict-item]
    assert len(_text(inputs=inputs)[0]) < 120
