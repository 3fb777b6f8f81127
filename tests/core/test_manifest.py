"""A manifest that is wrong is refused with its file, the line, what is wrong and what would be
right."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cvl.core.manifest import ModelManifest, PipelineManifest
from cvl.core.validation import json_schema, validate
from cvl.core.yaml_source import MAX_BYTES, parse
from cvl.errors import ManifestError
from tests.support.manifests import MODEL, PIPELINE, manifest


def refused(text: str, name: str = "echo") -> tuple[int, str, str]:
    """(line, message without the place, hint) of the error that `text` is."""
    with pytest.raises(ManifestError) as caught:
        manifest(text, name)
    file, line, message = caught.value.message.split(":", 2)
    assert file == "example.yaml"
    return int(line), message.strip(), caught.value.hint


def test_a_good_model_becomes_frozen_values() -> None:
    model = manifest(MODEL, "echo")
    assert isinstance(model, ModelManifest)
    assert model.inputs["text"].required and not model.inputs["loud"].required
    assert model.outputs["speech"].type == "audio"


def test_a_good_pipeline_keeps_the_order_of_its_steps() -> None:
    pipeline = manifest(PIPELINE, "movie")
    assert isinstance(pipeline, PipelineManifest)
    assert list(pipeline.steps) == ["speech", "film"]
    assert pipeline.steps["speech"].with_ == {"text": "${inputs.words}"}


def test_an_unknown_key_is_named_with_the_nearest_right_one() -> None:
    line, message, hint = refused(MODEL.replace("summary", "sumary"))
    assert (line, message, hint) == (2, "unknown key 'sumary'", "did you mean summary?")


def test_an_unknown_key_inside_an_input_is_looked_up_among_the_keys_of_inputs() -> None:
    line, message, hint = refused(MODEL.replace("default: false", "defualt: false"))
    assert line == 6
    assert message == "unknown key 'defualt' in inputs.loud"
    assert hint == "did you mean default?"


def test_an_unknown_key_of_a_step_is_looked_up_among_the_keys_of_steps() -> None:
    line, message, hint = refused(PIPELINE.replace("with:", "wiht:", 1), "movie")
    assert (line, hint) == (8, "did you mean with?")
    assert message == "unknown key 'wiht' in steps.speech"


def test_a_key_given_twice_names_both_lines() -> None:
    line, message, _ = refused(MODEL + "summary: Again\n")
    assert (line, message) == (9, "key 'summary' is given twice (first on line 2)")


@pytest.mark.parametrize(
    ("right", "wrong", "line", "word"),
    [
        ("summary: Says what it hears", "summary: [a, list]", 2, "summary"),
        ("license: {code: Apache-2.0}", "license: Apache", 3, "license"),
        ("{type: boolean, default: false}", "{type: boolaen}", 6, "boolaen"),
        ("{type: string}", "{type: string, max_length: many}", 5, "max_length"),
        ("{type: string}", "{type: string, optional: 1}", 5, "optional"),
    ],
)
def test_a_wrong_type_names_its_line(right: str, wrong: str, line: int, word: str) -> None:
    found, message, _ = refused(MODEL.replace(right, wrong))
    assert found == line
    assert word in message


def test_a_missing_key_is_named() -> None:
    _, message, _ = refused(MODEL.replace("summary: Says what it hears\n", ""))
    assert message == "'summary' is missing"


def test_a_wrong_kind_names_the_nearest() -> None:
    assert refused(MODEL + "kind: modle\n")[2] == "did you mean model?"
    assert refused(MODEL + "kind: [model]\n")[0] == 9


def test_the_name_is_the_name_of_the_folder() -> None:
    line, message, hint = refused(MODEL, "other")
    assert (line, hint) == (1, "make them equal")
    assert message == "name is 'echo' but the folder is 'other'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "anchors and aliases"),
        ("a: &x [lol]\n" + "b: [*x, *x, *x]\n" * 9, "anchors and aliases"),
        ("a: " + "[" * 3000, "nested deeper than 20"),
        ("- " * 3000 + "x", "nested deeper than 20"),
        ("a: !!python/object/apply:os.system [id]\n", "tags are not allowed"),
        ("a: !!binary aGk=\n", "tags are not allowed"),
        ("1: a\n", "key 1 is not a string"),
        ("true: a\n", "key True is not a string"),
        ("[a, b]: c\n", "is not a string"),
        ("- a\n", "a manifest is a mapping"),
        ("", "a manifest is a mapping"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: \x01\n", "not valid YAML"),
    ],
)
def test_what_a_manifest_has_no_use_for_is_refused(text: str, said: str) -> None:
    with pytest.raises(ManifestError, match=r"^example.yaml:\d+: ") as caught:
        parse(text.encode(), "example.yaml")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "2024-01-01", "2024-13-45"])
def test_a_number_without_a_value_or_a_date_names_its_own_line(value: str) -> None:
    line, _, hint = refused(MODEL.replace("default: false", f"default: {value}"))
    assert (line, hint) == (6, "write it in quotes")


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ManifestError, match="the file has 262145 bytes"):
        parse(b"#" * (MAX_BYTES + 1), "example.yaml")
    assert parse(MODEL.encode().ljust(MAX_BYTES, b"#"), "example.yaml").data["name"] == "echo"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("  text:", "  Text:", 5, "is not a name"),
        ("  text:", "  seed:", 5, "is an option of cvl itself"),
        ("  text:", "  ctx:", 5, "is an option of cvl itself"),
        ("{type: string}", "{type: choice}", 5, "choice without choices"),
        ("{type: string}", "{type: string, of: image}", 5, "goes with type list"),
        ("{type: string}", '{type: string, pattern: "("}', 5, "not a regular expression"),
        ("{type: string}", '{type: string, pattern: "a{99999999999}"}', 5, "not a regular"),
        ("{type: string}", "{type: integer, default: 9, max: 5}", 5, "--text is 9"),
        ("default: false", "default: maybe", 6, "true or false"),
        ("default: speech.wav", "default: a/speech.wav", 8, "not a plain file name"),
        ("default: speech.wav", "default: speech.mp4", 8, "not one of the formats"),
        ("  speech: {type: audio, default: speech.wav}", "  {}", 7, "at least one output"),
        ("license:", "samples: {txet: hi}\nlicense:", 3, "names no input"),
        ("license:", "samples: {text: 3}\nlicense:", 3, "--text is text"),
        ("license:", "weights: [{files: [a]}]\nlicense:", 3, "either repo or url"),
        ("Apache-2.0}", "MIT, models: {wan: {weights: MIT}}}", 3, "'wan' is no repo"),
        ("license:", "weights: [{url: 'https://a'}]\nlicense:", 3, "sha256 and size"),
        (
            "license:",
            "weights: [{repo: a/b, when: {txet: hi}}]\nlicense:",
            3,
            "no input 'txet' has",
        ),
        ("license:", "weights: [{repo: a/b, when: {text: hi}}]\nlicense:", 3, "the choice 'hi'"),
        ("license:", "resources: {gpu: required, gpus: 0}\nlicense:", 3, "fewer than one"),
    ],
)
def test_what_types_cannot_say_is_checked_too(right: str, wrong: str, line: int, said: str) -> None:
    assert right in MODEL
    found, message, _ = refused(MODEL.replace(right, wrong, 1))
    assert said in message
    assert found == line


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../b"])
def test_a_sample_lies_in_the_folder(path: str) -> None:
    text = MODEL.replace("{type: string}", "{type: image}") + f"samples: {{text: {path}}}\n"
    assert "outside of the example's folder" in refused(text)[1]


MUTATIONS = st.lists(st.tuples(st.integers(0, len(MODEL)), st.binary(max_size=6)), max_size=4)


@given(st.binary(max_size=400))
@example(b"kind: [a]\nname: x")
@example(b"a: 2024-01-01 99:99:99")
@example(b"<<: {a: 1}")
@example(b"=: 1")
@example(b"\xff\xfea\x00")
def test_arbitrary_bytes_are_a_manifest_or_a_manifest_error(data: bytes) -> None:
    only_manifest_errors(data)


@given(MUTATIONS, st.sampled_from([MODEL, PIPELINE]))
def test_a_damaged_manifest_is_a_manifest_or_a_manifest_error(
    changes: list[tuple[int, bytes]], text: str
) -> None:
    data = bytearray(text.encode())
    for at, new in changes:
        data[at : at + len(new)] = new
    only_manifest_errors(bytes(data))


def only_manifest_errors(data: bytes) -> None:
    try:
        validate(parse(data, "example.yaml"), "echo")
    except ManifestError as error:
        assert error.message.startswith("example.yaml:")


def test_the_schema_knows_the_keys_as_they_are_written() -> None:
    step = json_schema()["$defs"]["Step"]
    assert set(step["properties"]) == {
        "uses", "with", "foreach", "given", "at_once", "fallback",
    }  # fmt: skip
    assert step["additionalProperties"] is False
