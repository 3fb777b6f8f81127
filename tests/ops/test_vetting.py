"""Weights are looked at before a step gets them: a pickle that would run something never reaches a
container, and one that is harmless is scanned once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cvl.core.weights import Lora
from cvl.errors import WeightsError
from tests.ops.bench import Bench
from tests.support.hub import pickles, tiny

PAGE = b"\n<!DOCTYPE html><title>Sign in</title>"
MANIFEST = """\
name: heavy
summary: Has weights
license: {{code: Apache-2.0}}
loras: true
weights:
  - {{repo: org/heavy, files: ["*"], size_gb: 0.001, format: {format}}}
resources: {{gpu: none, memory_limit_gb: 1}}
inputs:
  text: {{type: string, default: hi}}
  file: {{type: file, optional: true}}
outputs:
  result: {{type: file, default: result.txt}}
"""


def heavy(bench: Bench, **files: bytes) -> dict[str, str]:
    """Own weights for org/heavy; of names, `_` is `.`."""
    folder = bench.folder / "own"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return {"org/heavy": str(folder)}


def refused(bench: Bench, weights: dict[str, str], **options: object) -> WeightsError:
    """The error, of a run that started nothing."""
    with pytest.raises(WeightsError) as caught:
        bench.run("heavy", weights=weights, **options)
    assert bench.calls("create", "start") == [] and bench.leftovers() == []
    return caught.value


@pytest.mark.parametrize("kind", ["reduce-2.pkl", "getattr.pkl", "legacy.bin", "pytorch_model.bin"])
def test_a_pickle_that_runs_something_never_starts(bench: Bench, kind: str) -> None:
    canary = bench.folder / "canary"
    bench.add("heavy", MANIFEST.format(format="pickle"))
    error = refused(bench, heavy(bench, model_bin=pickles.hostile(canary)[kind]))
    assert error.code == "pickle_refused" and "model.bin of org/heavy" in error.message
    assert any(name in error.message for name in (".system", "builtins.exec"))
    assert "safetensors" in error.hint and not canary.exists()


def test_what_is_refused_stays_refused(bench: Bench) -> None:
    bench.add("heavy", MANIFEST.format(format="pickle"))
    weights = heavy(bench, model_bin=pickles.hostile(bench.folder / "canary")["reduce-2.pkl"])
    first, second = refused(bench, weights), refused(bench, weights)
    assert first.message == second.message
    assert [phase for _, phase, _ in bench.report.phases].count("check") == 1


def test_a_harmless_pickle_is_scanned_once_whatever_it_is_called(bench: Bench) -> None:
    content = pickles.torch_zip({"layer": bytes(64)})
    bench.add("heavy", MANIFEST.format(format="pickle"))
    weights = heavy(bench, model_bin=content, other_pt=content)
    for text in ("a", "b"):
        bench.run("heavy", weights=weights, text=text, output=f"{text}.txt")
    assert [p for p in bench.report.phases if p[1] == "check"] == [
        ("model.bin", "check", "a pickle: what would it run?")
    ]


def test_a_pickle_has_to_be_declared(bench: Bench) -> None:
    bench.add("heavy", MANIFEST.format(format="safetensors"))
    error = refused(bench, heavy(bench, model_ckpt=pickles.torch_zip({})))
    assert error.code == "pickle_undeclared" and "format: pickle" in error.hint


def test_a_bin_of_another_program_is_let_through_where_it_was_declared(bench: Bench) -> None:
    bench.add("heavy", MANIFEST.format(format="other"))
    bench.run("heavy", weights=heavy(bench, model_bin=b"\x06\x00\x00\x00 of CTranslate2"))


def test_that_is_no_way_around_the_rules(bench: Bench) -> None:
    bench.add("heavy", MANIFEST.format(format="other"))
    hostile = pickles.hostile(bench.folder / "canary")["broken.pkl"]
    assert refused(bench, heavy(bench, model_bin=hostile)).code == "pickle_refused"


GOOD = tiny.weights(64)
OTHERS = {
    "model_safetensors": [
        (PAGE, "a web page"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of git LFS"),
        (gzip.compress(GOOD), "no safetensors file"),
        (GOOD[:40], "no safetensors file"),
        (GOOD[:8] + b"{" * (len(GOOD) - 8), "a safetensors file with a damaged"),
    ],
    "model_gguf": [(PAGE, "a web page"), (b"GGML" + bytes(64), "no GGUF file")],
    "model_onnx": [(PAGE, "a web page")],
    "model_bin": [(PAGE, "a web page"), (b"\x80\x04", "no pickle")],
}
CASES = [(name, *case) for name, cases in OTHERS.items() for case in cases]


@pytest.mark.parametrize(("name", "content", "expected"), CASES)
def test_what_is_no_such_file_is_told(
    bench: Bench, name: str, content: bytes, expected: str
) -> None:
    bench.add("heavy", MANIFEST.format(format="pickle"))
    error = refused(bench, heavy(bench, **{name: content}))
    assert error.code == "not_weights" and f"is {expected}" in error.message


def test_files_that_are_what_they_are_called_run(bench: Bench) -> None:
    bench.add("heavy", MANIFEST.format(format="safetensors"))
    good = heavy(
        bench, a_safetensors=GOOD, b_gguf=b"GGUF" + bytes(20), c_onnx=b"\x08\x07", d_txt=b""
    )
    bench.run("heavy", weights=good)


def test_a_lora_may_be_no_pickle(bench: Bench, tmp_path: Path) -> None:
    bench.add("heavy", MANIFEST.format(format="pickle"))
    lora = tmp_path / "lora.pt"
    lora.write_bytes(pickles.torch_zip({}))
    own = heavy(bench, a_safetensors=GOOD)
    assert refused(bench, own, loras=(Lora(str(lora)),)).code == "pickle_undeclared"
