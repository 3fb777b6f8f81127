"""What a manifest knows of the licences of what its inputs choose, and what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cvl.core.licensing import Terms, parts_of, terms_of
from cvl.core.manifest import InputSpec, License, ModelLicense, ModelManifest, Weights

FREE = ModelLicense("Apache-2.0", commercial=True)
PAID = ModelLicense("CC-BY-NC-4.0", commercial=False)
BOTH = "MIT and CC-BY-NC-4.0"


def manifest(*, commercial: bool = True, weights: tuple[Weights, ...] | None = None) -> Any:
    models = {"org/free": FREE, "ali-vilab/text-to-video-ms-1.7b": PAID}
    named = (Weights(repo="${inputs.model}"), Weights(repo="${inputs.refiner}"))
    return ModelManifest(
        name="m", summary="s", outputs={}, loras=True,
        license=License("BSD", "MIT", commercial, models),
        inputs={
            "model": InputSpec("string", default="org/own"),
            "refiner": InputSpec("string", optional=True),
        },
        weights=named if weights is None else weights,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "weights", "commercial"),
    [
        ({"model": "org/own"}, "MIT", True),
        ({"model": None}, "MIT", True),
        ({"model": "org/free"}, "Apache-2.0", True),
        ({"model": "ali-vilab/text-to-video-ms-1.7b"}, "CC-BY-NC-4.0", False),
        ({"model": "damo-vilab/text-to-video-ms-1.7b"}, "CC-BY-NC-4.0", False),
        ({"model": "org/strange"}, "unknown", None),
        ({"model": "org/own", "refiner": "org/strange"}, "MIT and unknown", None),
        ({"model": "org/own", "refiner": "ali-vilab/text-to-video-ms-1.7b"}, BOTH, False),
        (
            {"model": "org/strange", "refiner": "ali-vilab/text-to-video-ms-1.7b"},
            "unknown and CC-BY-NC-4.0",
            False,
        ),
    ],
)
def test_each_repo_that_is_chosen_has_its_own(
    values: dict[str, Any], weights: str, commercial: bool | None
) -> None:
    model = manifest()
    assert terms_of(model, parts_of(model, values)) == Terms("BSD", weights, commercial)


def test_a_model_without_weights_or_with_fixed_ones_is_as_its_manifest_says() -> None:
    for weights in ((), (Weights(repo="org/a"), Weights(url="https://x/y.pth"))):
        for commercial in (True, False):
            model = manifest(commercial=commercial, weights=weights)
            assert terms_of(model, parts_of(model, {})) == Terms("BSD", "MIT", commercial)
            assert terms_of(model) == Terms("BSD", "MIT", commercial)


def test_weights_of_the_users_own_are_under_no_licence_that_is_known() -> None:
    model = manifest(weights=(Weights(repo="org/a"), Weights(url="https://x/y.pth")))
    for own in ("org/a", "y.pth"):
        parts = parts_of(model, {}, [own])
        assert [part.name for part in parts if part.license is None] == [f"--weights {own}"]
        assert terms_of(model, parts).commercial is None
    assert parts_of(model, {}, loras=True)[-1].name == "--lora"
    assert terms_of(manifest(weights=()), parts_of(manifest(weights=()), {}, loras=True)) == Terms(
        "BSD", "MIT and unknown", None
    )


def test_weights_of_which_a_manifest_says_nothing_are_not_told_as_none() -> None:
    model = replace(manifest(weights=(Weights(repo="org/a"),)), license=License("BSD"))
    assert terms_of(model) == Terms("BSD", "unknown", commercial=False)
    assert terms_of(replace(model, weights=())) == Terms("BSD", "none", commercial=False)


def test_weights_that_the_inputs_do_not_ask_for_count_for_nothing() -> None:
    model = manifest(weights=(Weights(repo="${inputs.model}", when={"refiner": "yes"}),))
    paid = {"model": "ali-vilab/text-to-video-ms-1.7b"}
    assert terms_of(model, parts_of(model, paid)).weights == "MIT"
    assert terms_of(model, parts_of(model, {**paid, "refiner": "yes"})).weights == PAID.weights


def test_weights_may_have_a_licence_of_their_own_which_counts_where_they_are_asked_for() -> None:
    limited = Weights(repo="org/a", when={"sharp": "yes"}, license=ModelLicense("S-Lab"))
    model = manifest(commercial=True, weights=(Weights(repo="org/a"), limited))
    assert terms_of(model, parts_of(model, {"sharp": "no"})) == Terms("BSD", "MIT", True)
    told = terms_of(model, parts_of(model, {"sharp": "yes"}))
    assert told == Terms("BSD", "MIT and S-Lab", commercial=False)
    (theirs, _) = parts_of(model, {"sharp": "yes"}, ["org/a"])
    assert theirs.license is None


def test_the_table_allows_what_the_default_does_not() -> None:
    model = manifest(commercial=False)
    free = terms_of(model, parts_of(model, {"model": "org/free"}))
    assert (free.commercial, terms_of(model, parts_of(model, {})).commercial) == (True, False)


def test_it_says_what_may_be_done() -> None:
    said = {use: str(Terms("BSD", "MIT", use)).partition("MIT, ")[2] for use in (True, False, None)}
    assert said == {
        True: "commercial use allowed",
        False: "no commercial use",
        None: "commercial use not known to be allowed",
    }
