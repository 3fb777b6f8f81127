"""Items, and what takes over, on a real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STUBS, Cvl, data_of

pytestmark = pytest.mark.docker
SCRIPT = """\
name: script
summary: Twelve scenes, of which one may be bad
license: {code: Apache-2.0}
inputs: {bad: {type: integer, default: -1}}
outputs: {scenes: {type: json, default: scenes.json}}
"""
COLLECT = """\
name: collect
summary: Files in a row
license: {code: Apache-2.0}
inputs: {parts: {type: list, of: file}}
outputs: {result: {type: file, default: result.txt}}
"""
SCENES = """\
name: scenes
kind: pipeline
summary: A file per scene, and all in one
inputs: {bad: {type: integer, default: -1}}
steps:
  script: {uses: script, with: {bad: "${inputs.bad}"}}
  clip:
    uses: stub
    foreach: {scene: "${script.scenes}"}
    with: {act: "${scene.act}", amount: "${scene.number}"}
  film: {uses: collect, with: {parts: "${clip.result}"}}
outputs: {result: "${film.result}"}
"""
SPARE = """\
name: spare
kind: pipeline
summary: A model that needs a GPU, and one that does not
inputs: {maker: {type: choice, choices: [gpu_stub, cpu_stub], default: gpu_stub}}
steps:
  make: {uses: "${inputs.maker}", with: {seconds: 0}, fallback: [cpu_stub]}
outputs: {result: "${make.result}"}
"""
PREDICT = """\
import json
from pathlib import Path
from cvl_inside import Predictor, run


class Act(Predictor):
    def predict(self, ctx, *, bad=-1, parts=()):
        name = "scenes" if not parts else "result"
        path = Path(ctx.output(name))
        rows = [{"act": "raise_error" if n == bad else "ok", "number": n} for n in range(12)]
        path.write_text("".join(Path(p).read_text() for p in parts) or json.dumps(rows))
        return {name: path}


if __name__ == "__main__":
    run(Act)
"""


@pytest.fixture
def examples(tmp_path: Path) -> dict[str, str]:
    """Environment in which the examples of this file, and the stubs, are found."""
    folder = tmp_path / "more"
    dockerfile = (STUBS / "gpu_stub" / "Dockerfile").read_text()
    stub = (STUBS / "gpu_stub" / "example.yaml").read_text()
    spare = stub.replace("gpu_stub", "cpu_stub").replace("gpu: required", "gpu: none")
    texts = {
        "script": SCRIPT, "collect": COLLECT, "scenes": SCENES, "spare": SPARE, "cpu_stub": spare,
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "example.yaml").write_text(text)
        (folder / name / "Dockerfile").write_text(dockerfile)
        (folder / name / "predict.py").write_text(PREDICT)
    gpu = (STUBS / "gpu_stub" / "predict.py").read_text()
    (folder / "cpu_stub" / "predict.py").write_text(gpu)
    return {"CVL_EXAMPLES": f"{folder}:{STUBS}"}


def _failed(result: Any, status: int) -> dict[str, str]:
    assert result.returncode == status, result.stdout + result.stderr
    error: dict[str, str] = json.loads(result.stdout)["error"]
    return error


def test_of_twelve_items_one_fails_the_rest_finish_and_the_next_run_does_that_one_only(
    cvl: Cvl, examples: dict[str, str], tmp_path: Path
) -> None:
    run = ("run", "scenes", "predict", "--json")
    error = _failed(cvl(*run, "--bad", "7", env=examples), 1)
    assert error["message"].startswith("item 7 of clip (raise_error): clip.7 failed (exit 1)")
    again = data_of(cvl(*run, env=examples))
    ran = {name for name, step in again["steps"].items() if not step["cached"]}
    assert ran == {"script", "clip.7", "film"}
    assert len((tmp_path / "result.txt").read_text().splitlines()) == 12
    assert all(step["cached"] for step in data_of(cvl(*run, env=examples))["steps"].values())


def test_without_a_gpu_another_takes_over_unless_the_user_named_the_example(
    cvl: Cvl, examples: dict[str, str], tmp_path: Path
) -> None:
    run = ("run", "spare", "predict", "--json", "-o", "gpu.json", "--seed", "1")
    data = data_of(cvl(*run, env=examples))
    assert (data["degraded"], data["fallbacks"][0]["used"]) == (True, "cpu_stub")
    assert json.loads((tmp_path / "gpu.json").read_text())["device"] == "cpu"
    error = _failed(cvl(*run, "--maker", "gpu_stub", env=examples), 3)
    assert (error["code"], error["message"][:15]) == ("no_gpu", "make (gpu_stub)")
    assert "--fallback" in error["hint"]
    named = data_of(cvl(*run, "--maker", "gpu_stub", "--fallback", env=examples))
    assert (named["degraded"], named["steps"]["make"]["cached"]) == (True, True)
    plain = data_of(cvl(*run, "--maker", "cpu_stub", env=examples))
    assert (plain["degraded"], plain["fallbacks"]) == (False, [])
