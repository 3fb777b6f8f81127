"""cvl info."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import STUBS, Run, envelope_of, make_example
from tests.cli.terminals import on_terminal

FULL = """summary: Has everything
tasks: [text-to-video]
license:
  code: MIT
  weights: OpenRAIL
  commercial: false
  models: {a/free: {weights: BSD-3, commercial: true}, a/paid: {weights: CC-BY-NC-4.0}}
source: {repo: "https://github.com/a/b", paper: "https://arxiv.org/abs/1"}
weights:
  - {repo: a/b, size_gb: 49, gated: true}
  - {url: "https://x/y.pth", sha256: "%s", size: 348632874, to: y.pth, format: pickle,
     when: {mode: b}}
resources:
  {gpu: required, gpus: 2, vram_gb: 80, ram_gb: 64, disk_gb: 60, min_compute_capability: "8.0"}
offload:
  - {mode: none, vram_gb: 96}
  - {mode: fp8, vram_gb: 61, exact: false}
inputs:
  prompt: {type: string, help: What to show, max_length: 100}
  steps: {type: integer, default: 4, min: 1, max: 50}
  clips: {type: list, of: video, optional: true, max_items: 5}
  mode: {type: choice, choices: [a, b], default: a}
outputs:
  video: {type: video, default: out.mp4}
  poster: {type: image, default: p.jpg, optional: true}
secrets: [KEY]
network: true
""" % ("0" * 64)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    return make_example(tmp_path / "examples", "full", FULL)


def test_shows_everything(bare: Run, full: Path) -> None:
    text = bare("info", "full").stdout
    for wanted in (
        "full - Has everything", str(full), "./examples", "no commercial use", "arxiv.org/abs/1",
        "--prompt", "[required]", "[1 to 50] [default: 4]", "list of video", "at most 5 items",
        "One of: a, b.", "Made only when asked for.", "required, 2, 80 GB, compute capability 8.0",
        "fp8", "61 GB, changes the result", "49 GB, safetensors, revision main, gated",
        "code MIT, weights OpenRAIL", "BSD-3, commercial use allowed",
        "CC-BY-NC-4.0, no commercial use",
        "349 MB, pickle", "only with --mode b", "KEY", "used while it predicts",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_tag_is_known_when_the_base_is_pinned(bare: Run, full: Path) -> None:
    first = envelope_of(bare("info", "full", "--json"), "info")["data"]["model"]["image"]
    assert first.startswith("cvl/full:")
    base = f"debian@sha256:{'1' * 64}"
    (full / "Dockerfile").write_text(f"ARG BASE_IMAGE={base}\nFROM ${{BASE_IMAGE}}\n")
    second = envelope_of(bare("info", "full", "--json"), "info")["data"]["model"]["image"]
    assert second.startswith("cvl/full:") and second != first
    (full / "Dockerfile").write_text("ARG BASE_IMAGE=debian:12\nFROM ${BASE_IMAGE}\n")
    assert envelope_of(bare("info", "full", "--json"), "info")["data"]["model"]["image"] is None


def test_a_pipeline_shows_its_steps(bare: Run) -> None:
    data = envelope_of(bare("info", "twostep", "--json"), "info")["data"]
    assert data["model"] is None
    assert [(step["name"], step["uses"]) for step in data["steps"]] == [
        ("first", ["stub"]), ("second", ["stub"]),
    ]  # fmt: skip
    assert data["outputs"]["result"]["default"] == "result.txt"
    assert "second" in bare("info", "twostep").stdout


def test_a_pipeline_shows_what_runs_for_each_item_and_what_takes_over(
    bare: Run, tmp_path: Path
) -> None:
    make_example(
        tmp_path / "more",
        "many",
        """\
kind: pipeline
summary: Many
inputs: {acts: {type: list, of: string}}
steps:
  each: {uses: stub, foreach: {act: "${inputs.acts}"}, with: {act: "${act}"}, fallback: [other]}
  last: {uses: gather, with: {parts: "${each.result}"}}
outputs: {result: "${last.result}"}
""",
    )
    stub = (STUBS / "stub" / "example.yaml").read_text()
    gather = stub.replace("file: {type: file, optional: true}", "parts: {type: list, of: file}")
    for name, text in (("other", stub), ("gather", gather)):
        make_example(tmp_path / "more", name, text.partition("\n")[2])
    env = {"CVL_EXAMPLES": f"{tmp_path / 'more'}:{STUBS}"}
    step = envelope_of(bare("info", "many", "--json", env=env), "info")["data"]["steps"][0]
    assert (step["foreach"], step["fallback"]) == ({"act": "${inputs.acts}"}, ["other"])
    shown = bare("info", "many", env=env).stdout
    assert "stub with act = ${act} for each act of ${inputs.acts} else other" in shown
    assert envelope_of(bare("validate", "many", "--json", env=env), "validate")["ok"]
    run = ("run", "many", "predict", "--acts", "ok", "--acts", "copy", "--dry-run")
    steps = envelope_of(bare(*run, "--json", env=env), "run")["data"]["steps"]
    assert [(s["step"], s["inputs"].get("act"), s["fallback"]) for s in steps] == [
        ("each.0", "ok", ["other"]), ("each.1", "copy", ["other"]), ("last", None, []),
    ]  # fmt: skip
    assert "    else other" in bare(*run, env=env).stdout


def test_wraps_on_a_terminal(bare_env: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cvl", "info", "postprocess"]
    status, screen = on_terminal(command, bare_env, tmp_path)
    assert status == 0
    assert max(map(len, screen.splitlines())) <= 80


def test_every_example_of_the_package(bare: Run) -> None:
    listed = envelope_of(bare("list", "--json"), "list")["data"]["examples"]
    for row in listed:
        envelope_of(bare("info", row["name"], "--json"), "info")


@pytest.mark.parametrize("without", [("HOME",), ("HOME", "CVL_HOME")])
def test_works_without_a_home(bare: Run, without: tuple[str, ...]) -> None:
    assert "speech.wav" in bare("info", "tts", without=without).stdout


def test_works_where_nothing_can_be_written(bare: Run) -> None:
    result = bare("info", "tts", env={"HOME": "/proc/x", "CVL_HOME": "/proc/x"})
    assert result.returncode == 0 and "speech.wav" in result.stdout


def test_hyphens_and_capitals_do_not_matter(bare: Run) -> None:
    assert bare("info", "GPU-Stub").stdout.startswith("gpu_stub - ")


def test_the_nearest_name(bare: Run) -> None:
    result = bare("info", "tss")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: there is no example 'tss'",
        "hint: did you mean tts?",
    ]
    assert (
        envelope_of(bare("info", "tss", "--json"), "info", 2)["error"]["code"] == "unknown_example"
    )


def test_a_broken_example(bare: Run, full: Path) -> None:
    (full / "example.yaml").write_text("name: full\nkind: modle\n")
    result = bare("info", "full")
    assert result.returncode == 2
    assert "example.yaml:2: kind is 'modle'" in result.stderr
