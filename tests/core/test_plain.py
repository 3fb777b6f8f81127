"""Values go into JSON and come back equal; anything that is damaged on the way is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.manifest import ModelManifest, PipelineManifest
from cvl.core.plain import from_plain, to_plain
from tests.support.manifests import FILM, MODEL, PIPELINE, manifest

RICH = (
    FILM
    + """\
weights:
  - {repo: a/b, size_gb: 4.5, files: ["*.safetensors"]}
  - {url: "https://x/y", sha256: "%s", size: 3, to: y, format: pickle}
resources: {gpu: required, vram_gb: 80, memory_limit_gb: 12}
offload: [{mode: none, vram_gb: 96}, {mode: fp8, vram_gb: 61, exact: false}]
samples: {titles: [a, b], mode: good}
"""
    % ("ab" * 32)
)


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        (MODEL, "echo", ModelManifest),
        (RICH, "film", ModelManifest),
        (PIPELINE, "movie", PipelineManifest),
    ],
)
def test_a_manifest_comes_back_equal(text: str, name: str, kind: type) -> None:
    before = manifest(text, name)
    after = from_plain(kind, json.loads(json.dumps(to_plain(before))))
    assert after == before
    assert repr(after) == repr(before)


PLAIN = json.loads(json.dumps(to_plain(manifest(RICH, "film"))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("network", 1),
        ("kind", "pipeline"),
        ("tasks", "text"),
        ("tasks", [1]),
        ("inputs", []),
        ("inputs", {"a": {}}),
        ("resources", {**PLAIN["resources"], "gpus": True}),
        ("resources", {**PLAIN["resources"], "gpus": 1.0}),
        ("resources", {**PLAIN["resources"], "vram_gb": "80"}),
        ("resources", {**PLAIN["resources"], "more": 1}),
        ("license", None),
    ],
)
def test_a_damaged_field_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError):
        from_plain(ModelManifest, {**PLAIN, key: value})


@pytest.mark.parametrize("key", sorted(PLAIN))
def test_a_missing_field_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        from_plain(ModelManifest, {k: v for k, v in PLAIN.items() if k != key})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(JSON)
def test_no_other_json_is_a_manifest(data: Any) -> None:
    with pytest.raises(ValueError):
        from_plain(ModelManifest, data)
