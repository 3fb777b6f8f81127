"""Under which licence weights are is said once before they are downloaded, and not again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl.core.manifest import ModelManifest
from cvl.engine.fake import FakeContainer, FakeEngine
from cvl.ops.request import Options
from cvl.ops.session import Session
from cvl.ops.weights.step import StepWeights
from tests.hub.homes import TINY, Home
from tests.ops.bench import Bench, Recorder, end_with, output_of
from tests.support.hub import Hub

FREE = "licence of {}: code MIT, weights Apache-2.0, commercial use allowed"
PAID = "licence of {}: code MIT, weights CC-BY-NC-4.0, no commercial use"
CHOOSES = """\
name: {name}
summary: Any repo
license:
  code: MIT
  weights: Apache-2.0
  commercial: true
  models: {{org/other: {{weights: CC-BY-NC-4.0}}}}
resources: {{memory_limit_gb: 0.2}}
inputs: {{model: {{type: string, default: org/tiny}}}}
outputs: {{result: {{type: file, default: result.txt}}}}
weights: [{{repo: "${{inputs.model}}"}}]
"""
TWICE = """\
name: twice
kind: pipeline
summary: The same weights in two steps
inputs: {}
steps:
  a: {uses: chooses}
  b: {uses: chooses, with: {model: org/tiny}}
  both: {uses: gather, with: {parts: ["${a.result}", "${b.result}"]}}
outputs: {result: "${both.result}"}
"""
ENTRIES = """\
name: sharpens
summary: One repo, of which an option needs more
license: {code: MIT, weights: Apache-2.0, commercial: true}
resources: {memory_limit_gb: 0.2}
inputs: {sharp: {type: choice, choices: ["no", "yes"], default: "no"}}
outputs: {result: {type: file, default: result.txt}}
weights:
  - {repo: org/tiny, files: [config.json, unet/one.safetensors]}
  - repo: org/tiny
    files: [unet/two.safetensors]
    when: {sharp: "yes"}
    license: {weights: S-Lab}
"""
GATHER = """\
name: gather
summary: Many files
license: {code: MIT}
resources: {memory_limit_gb: 0.2}
inputs: {parts: {type: list, of: file}}
outputs: {result: {type: file, default: result.txt}}
"""
SAFE = {path: content for path, content in TINY.items() if not path.endswith(".bin")}


@pytest.fixture
def told(own_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a run that downloads says."""
    monkeypatch.setenv("CVL_LEASE_DIR", str(tmp_path / "leases"))
    for repo in ("org/tiny", "org/other"):
        own_hub.push(repo, SAFE)
    yield []


def bench_on(folder: Path, told: list[str]) -> Bench:
    def make(container: FakeContainer) -> int:
        output_of(container).write_text(f"{len(container.stdin)}")
        return end_with(container, 0)

    engine, report = FakeEngine(make), Recorder()
    report.message = told.append  # type: ignore[method-assign]
    bench = Bench(folder, engine, Session(report=report, connect=lambda: engine), report)
    bench.add("chooses", CHOOSES.format(name="chooses"))
    return bench


def licences(told: list[str]) -> list[str]:
    return [text for text in told if text.startswith("licence ")]


def test_a_run_says_it_before_a_download_and_not_when_all_is_here(
    told: list[str], tmp_path: Path
) -> None:
    bench = bench_on(tmp_path, told)
    bench.run("chooses")
    assert licences(told) == [FREE.format("chooses")]
    bench.session = Session(report=bench.report, connect=lambda: bench.engine)
    bench.run("chooses", output="b.txt", use_cache=False)
    assert licences(told) == [FREE.format("chooses")]
    bench.run("chooses", output="c.txt", model="org/other")
    assert licences(told)[1:] == [PAID.format("chooses")]


def test_an_option_fetches_its_own_files_of_a_repo_and_says_their_licence(
    own_hub: Hub, told: list[str], tmp_path: Path
) -> None:
    """In the container they are beside the others."""
    bench = bench_on(tmp_path, told)
    bench.add("sharpens", ENTRIES)

    def fetched(sharp: str) -> set[str]:
        own_hub.forget()
        bench.run("sharpens", output=f"{sharp}.txt", sharp=sharp)
        return {
            request.file for request in own_hub.log(repo="org/tiny") if request.file[:4] != "api:"
        }

    assert "unet/two.safetensors" not in fetched("no")
    assert licences(told) == [FREE.format("sharpens")]
    assert fetched("yes") == {"unet/two.safetensors"}
    (said,) = licences(told)[1:]
    assert said.endswith("weights Apache-2.0 and S-Lab, no commercial use")
    manifest = bench.catalog.find("sharpens").manifest
    assert isinstance(manifest, ModelManifest)
    with StepWeights(bench.session, manifest, {"sharp": "yes"}, Options()).get() as view:
        (place,) = view.paths.values()
        names = {"config.json", "unet/one.safetensors", "unet/two.safetensors"}
        assert set(view.files) == {f"{place}/{name}" for name in names}


def test_two_steps_say_it_once(told: list[str], tmp_path: Path) -> None:
    bench = bench_on(tmp_path, told)
    bench.add("gather", GATHER)
    bench.add("twice", TWICE)
    bench.run("twice")
    assert licences(told) == [FREE.format("chooses")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Hub(tmp_path / "served") as hub:
        for repo in ("org/tiny", "org/other", "org/strange"):
            hub.push(repo, TINY)
        home = Home(tmp_path, hub)
        for name in ("chooses", "picks"):
            place = tmp_path / "examples" / name
            place.mkdir(parents=True)
            (place / "example.yaml").write_text(CHOOSES.format(name=name))
        yield home


def test_pull_says_it_for_each_example_once(home: Home) -> None:
    result = home.models("pull", "chooses")
    assert licences(result.stderr.splitlines()) == [FREE.format("chooses"), FREE.format("picks")]
    assert licences(home.models("pull", "chooses").stderr.splitlines()) == []
    (item,) = home.data("pull", "chooses", "--dry-run")["weights"]
    terms = {"code": "MIT", "weights": "Apache-2.0", "commercial": True}
    assert item["licenses"] == [{"example": name, **terms} for name in ("chooses", "picks")]


def test_pull_of_a_repo_says_what_examples_know_of_it_or_that_nobody_does(home: Home) -> None:
    result = home.models("pull", "org/other")
    assert licences(result.stderr.splitlines()) == [PAID.format("chooses"), PAID.format("picks")]
    result = home.models("pull", "org/strange", "--files", "*.json")
    assert licences(result.stderr.splitlines()) == [
        "licence of org/strange: not known to cvl; the repo's page says it"
    ]
    assert home.data("pull", "org/strange")["weights"][0]["licenses"] == []
