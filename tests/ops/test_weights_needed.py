"""Which weights a step needs follows from its inputs."""

from __future__ import annotations

import pytest

from cvl.core.manifest import ModelManifest
from cvl.ops.request import Options
from cvl.ops.weights.needs import UrlNeed, declared, needs_of
from cvl.ops.weights.planned import planned_weights
from cvl.ops.weights.using import name_of, uses_of
from tests.ops.bench import Bench
from tests.support import manifests

SHA = "0" * 64
WEIGHTS = f"""\
weights:
  - {{repo: org/base}}
  - {{repo: org/fine, when: {{quality: fine}}}}
  - {{url: "https://x/sharp.pth", sha256: "{SHA}", size: 9, when: {{quality: fine, edges: sharp}}}}
"""
CHOICES = """\
  quality: {type: choice, choices: [plain, fine], default: plain}
  edges: {type: choice, choices: [soft, sharp], default: sharp}
"""


def model() -> ModelManifest:
    text = manifests.MODEL.replace("inputs:\n", f"{WEIGHTS}inputs:\n{CHOICES}")
    return manifests.model(text, "echo")


@pytest.mark.parametrize(
    ("quality", "edges", "needed"),
    [
        ("plain", "sharp", ["org/base"]),
        ("fine", "soft", ["org/base", "org/fine"]),
        ("fine", "sharp", ["org/base", "org/fine", "sharp.pth"]),
    ],
)
def test_some_weights_are_needed_only_with_what_was_chosen(
    quality: str, edges: str, needed: list[str]
) -> None:
    needs = needs_of(model(), {"quality": quality, "edges": edges})
    assert [need.name if isinstance(need, UrlNeed) else need.repo for need in needs] == needed


def test_entries_of_one_repo_add_files_and_each_has_a_size_of_its_own(bench: Bench) -> None:
    entries = """\
weights:
  - {repo: org/base, files: [plain.bin], size_gb: 5}
  - {repo: org/base, files: [fine.bin], size_gb: 1, when: {quality: fine}}
"""
    text = manifests.MODEL.replace("inputs:\n", f"{entries}inputs:\n{CHOICES}")
    manifest = manifests.model(text, "echo")
    for quality, gb in (("plain", [5]), ("fine", [5, 1])):
        needs = needs_of(manifest, {"quality": quality})
        assert [n.patterns for n in needs] == [("plain.bin",), ("fine.bin",)][: len(gb)]
        planned = planned_weights(bench.session, manifest, {"quality": quality}, Options())
        assert [(w.name, w.needed) for w in planned] == [("org/base", n * 10**9) for n in gb]


def test_what_a_manifest_names_comes_with_the_options_that_ask_for_it() -> None:
    found = [(name_of(one.need), one.options) for one in declared(model())]
    asked = "--quality fine"
    assert found == [("org/base", ""), ("org/fine", asked), ("sharp.pth", asked)]


def test_equal_needs_are_optional_while_no_example_has_them_by_default(bench: Bench) -> None:
    def options() -> list[str]:
        return [used.options for used in uses_of(bench.catalog).weights if used.name == "org/fine"]

    def add(name: str, when: str) -> None:
        entry = f"weights:\n  - {{repo: org/fine{when}}}\n"
        text = manifests.MODEL.replace("inputs:\n", f"{entry}inputs:\n{CHOICES}")
        bench.add(name, text.replace("name: echo", f"name: {name}"))

    add("one", ", when: {quality: fine}")
    assert options() == ["--quality fine"]
    add("other", ", when: {edges: soft}")
    add("same", ", when: {edges: soft}")
    assert options() == ["--quality fine or --edges soft"]
    add("plain", "")
    assert options() == [""]
