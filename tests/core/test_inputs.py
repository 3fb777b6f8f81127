"""Values become what the manifest says, whether they come as text or as JSON, or are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.inputs import HostFile, coerce, resolve_inputs
from cvl.errors import InputError
from tests.support.manifests import spec


@pytest.mark.parametrize(
    ("fields", "given_", "expected"),
    [
        ({"type": "string"}, "hello", "hello"),
        ({"type": "string"}, "", ""),
        ({"type": "integer"}, "42", 42),
        ({"type": "integer"}, -3, -3),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, 2, 2.0),
        ({"type": "number"}, "1e-3", 0.001),
        ({"type": "boolean"}, True, True),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "off", False),
        ({"type": "choice", "choices": ("a", 2)}, "a", "a"),
        ({"type": "choice", "choices": ("a", 2)}, "2", 2),
        ({"type": "choice", "choices": ("a", 2)}, 2, 2),
        ({"type": "json"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "json"}, {"a": [1]}, {"a": [1]}),
        ({"type": "audio"}, "a.wav", HostFile("a.wav")),
        ({"type": "image"}, HostFile("b.png"), HostFile("b.png")),
        ({"type": "directory"}, "folder", HostFile("folder")),
        ({"type": "list"}, "alone", ["alone"]),
        ({"type": "list", "of": "integer"}, ["1", 2], [1, 2]),
        ({"type": "list", "of": "image"}, ["a", "b"], [HostFile("a"), HostFile("b")]),
        ({"type": "list", "of": "number"}, (), []),
    ],
)
def test_every_type_comes_from_text_and_from_json(
    fields: dict[str, Any], given_: Any, expected: Any
) -> None:
    value = coerce("x", spec(**fields), given_)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("fields", "value", "said"),
    [
        ({"type": "string"}, 5, "--x is text, not 5"),
        ({"type": "string"}, ["a"], "--x is text"),
        ({"type": "string"}, "a\0b", "NUL"),
        ({"type": "string"}, "\ud800", "not valid UTF-8"),
        ({"type": "string", "max_length": 3}, "four", "4 characters; 3 is the most"),
        ({"type": "string"}, "x" * 1_000_001, "1000000 is the most"),
        ({"type": "integer"}, True, "whole number, not True"),
        ({"type": "integer"}, 2.0, "whole number, not 2.0"),
        ({"type": "integer"}, "2.5", "whole number, not '2.5'"),
        ({"type": "integer"}, None, "whole number"),
        ({"type": "integer"}, "9" * 5000, "whole number"),
        ({"type": "number"}, False, "a number, not False"),
        ({"type": "number"}, "many", "a number, not 'many'"),
        ({"type": "number"}, "nan", "finite"),
        ({"type": "number"}, math.inf, "finite"),
        ({"type": "number"}, 10**400, "a number"),
        ({"type": "boolean"}, "maybe", "true or false"),
        ({"type": "boolean"}, 1, "true or false"),
        ({"type": "choice", "choices": (1, 2)}, True, "--x is 'True'"),
        ({"type": "json"}, "{", "not JSON"),
        ({"type": "json"}, "NaN", "not JSON"),
        ({"type": "json"}, "[" * 100_000, "not JSON"),
        ({"type": "audio"}, "", "is a path"),
        ({"type": "audio"}, 3, "is a path"),
        ({"type": "audio"}, "a\0b", "NUL"),
        ({"type": "audio"}, "\udcff.wav", "not UTF-8"),
        ({"type": "list", "max_items": 1}, ["a", "b"], "1 items at most, not 2"),
        ({"type": "list", "of": "integer"}, ["1", "x"], "whole number, not 'x'"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], value: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        coerce("x", spec(**fields), value)
    assert said in caught.value.message
    assert caught.value.message.startswith("--x")


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [("integer", "0", "0"), ("integer", 10**400, str(10**400)), ("number", "9.5", "9.5")],
)
def test_a_value_out_of_range_says_the_range(kind: str, value: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        coerce("x", spec(type=kind, min=1, max=8), value)
    assert caught.value.message == f"--x is {shown}"
    assert caught.value.hint == "it must be at least 1 and at most 8"


def test_the_ends_of_a_range_are_in_it() -> None:
    limited = spec(type="integer", min=1, max=8)
    assert [coerce("x", limited, n) for n in (1, 8)] == [1, 8]


def test_a_pattern_is_matched_as_a_whole() -> None:
    tagged = spec(type="string", pattern="[a-z]+")
    assert coerce("x", tagged, "abc") == "abc"
    with pytest.raises(InputError) as caught:
        coerce("x", tagged, "abc1")
    assert caught.value.hint == "it must match [a-z]+"


def test_a_wrong_choice_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        coerce("mode", spec(type="choice", choices=("fast", "good")), "fsat")
    assert caught.value.hint == "did you mean fast? choose from: fast, good"


SPECS = {
    "audio": spec(type="audio", help="Driving speech"),
    "sample_steps": spec(type="integer", default=4),
    "note": spec(type="string", optional=True),
}


def test_defaults_and_optional_inputs_are_filled_in() -> None:
    resolved = resolve_inputs(SPECS, {"audio": "a.wav"}, "echo")
    assert resolved == {"audio": HostFile("a.wav"), "sample_steps": 4, "note": None}


@pytest.mark.parametrize("name", ["sample_steps", "sample-steps", "Sample-Steps"])
def test_hyphens_underscores_and_capitals_are_one_name(name: str) -> None:
    assert resolve_inputs(SPECS, {"audio": "a", name: "9"}, "echo")["sample_steps"] == 9


def test_an_unknown_input_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        resolve_inputs(SPECS, {"audio": "a", "sample_step": 1}, "echo")
    assert caught.value.message == "echo has no input --sample_step"
    assert caught.value.hint == "did you mean --sample_steps?"
    assert caught.value.code == "unknown_input"


def test_a_missing_input_says_what_it_is_for() -> None:
    with pytest.raises(InputError) as caught:
        resolve_inputs(SPECS, {}, "echo")
    assert caught.value.message == "echo needs --audio: Driving speech"
    assert caught.value.code == "missing_input"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
KINDS = ["string", "integer", "number", "boolean", "choice", "json", "audio", "file", "list"]


@given(st.sampled_from(KINDS), JSON)
def test_any_json_value_is_taken_or_refused_by_an_input_error(kind: str, value: Any) -> None:
    limited = spec(type=kind, choices=("a", 1), min=0, max=9)
    try:
        taken = coerce("x", limited, value)
    except InputError:
        return
    if kind in ("integer", "number"):
        assert 0 <= taken <= 9 and type(taken) is {"integer": int, "number": float}[kind]
