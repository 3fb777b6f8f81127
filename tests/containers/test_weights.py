"""Weights on their way into a step, in containers and in virtual environments: had by themselves,
found by name without a network, and safe from what the step does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STUBS, Cvl, environment_for
from tests.support.engine import Engine
from tests.support.hub import Hub, tiny
from tests.support.people import as_user, elsewhere, needs_root

pytestmark = pytest.mark.docker
ENGINES = {"docker": (), "venv": ("--engine", "venv", "--trust")}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"hello": 1, "world": 2, "?": 0}, "unk_token": "?"},
}


def _model(hidden_size: int, seed: int) -> tiny.Files:
    config = {"model_type": "bert", "hidden_size": hidden_size, "num_attention_heads": 2}
    return {
        "config.json": json.dumps(config),
        "tokenizer.json": json.dumps(TOKENIZER),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}),
        "model.safetensors": tiny.weights(4000, seed),
        "unneeded.bin": b"\0" * 5000,
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as started:
        started.push("org/model", _model(32, 1))
        started.push("org/part", _model(48, 2))
        started.push("org/pipeline", {"config.json": '{"model_type": "bert", "part": "org/part"}'})
        files: tiny.Files = {"config.json": "{}", "model.safetensors": tiny.weights(50_000)}
        started.push("org/tiny", files)
        started.push("org/private", {"secret.txt": "nobody's business"})
        yield started


@pytest.fixture
def at_hub(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return hub.environment(tmp_path / "hf")


@pytest.mark.parametrize("engine_name", ENGINES)
def test_the_first_run_downloads_by_itself_and_from_pretrained_finds_repos_by_name_without_a_hub(
    engine_name: str, cvl: Cvl, at_hub: dict[str, str], tmp_path: Path, hub: Hub
) -> None:
    run = ("run", "loader", "predict", *ENGINES[engine_name], "-o", "loaded.json")
    first = cvl(*run, env=at_hub)
    assert first.returncode == 0, first.stderr
    loaded = json.loads((tmp_path / "loaded.json").read_text())
    assert (loaded["hidden_size"], loaded["part"], loaded["tokens"]) == (32, 48, [1, 2])
    assert loaded["tensors"] == loaded["part_tensors"] == {"layer.weight": 500, "layer.bias": 500}
    assert not [r for r in hub.log() if "unneeded.bin" in r.path]
    gone = {**at_hub, "HF_ENDPOINT": "http://127.0.0.1:9"}
    again = cvl(*run, "--no-cache", "--overwrite", env=gone)
    assert again.returncode == 0, again.stderr
    offline = cvl(*run, "--no-cache", "--overwrite", "--offline", env=gone)
    assert offline.returncode == 0, offline.stderr


def _download(environment: dict[str, str], *repos: str) -> None:
    """As another program does."""
    code = "import sys, huggingface_hub as h; [h.snapshot_download(r) for r in sys.argv[1:]]"
    command = [sys.executable, "-c", code, *repos]
    subprocess.run(command, env={**os.environ, **environment}, check=True)


def _look(cvl: Cvl, folder: Path, environment: dict[str, str], *more: str) -> Any:
    result = cvl("run", "weighted", "predict", "-o", "seen.json", *more, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "seen.json").read_text())


def test_a_step_can_change_nothing_in_the_cache_and_sees_no_other_repo(
    cvl: Cvl, at_hub: dict[str, str], tmp_path: Path
) -> None:
    _download(at_hub, "org/private", "org/tiny")
    before = _contents(tmp_path / "hf")
    seen = _look(cvl, tmp_path, at_hub, "--act", "spoil")
    assert set(seen["tried"].values()) == {"OSError"}
    assert {name.split("/")[0] for name in seen["files"]} == {"models--org--tiny"}
    assert seen["offline"] == ["1", "1"]
    assert _contents(tmp_path / "hf") == before


def _contents(folder: Path) -> dict[str, bytes]:
    """Of every file but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {str(path): path.read_bytes() for path in files}


def test_a_repo_folder_that_is_a_link_to_another_disk_works(
    cvl: Cvl, at_hub: dict[str, str], tmp_path: Path
) -> None:
    needs_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)], check=True)
    try:
        (tmp_path / "hf" / "hub").mkdir(parents=True)
        (disk / "tiny").mkdir()
        (tmp_path / "hf" / "hub" / "models--org--tiny").symlink_to(disk / "tiny")
        seen = _look(cvl, tmp_path, at_hub)
        assert any(name.endswith("model.safetensors") for name in seen["files"])
        assert list((disk / "tiny" / "blobs").iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_files_that_only_a_supplementary_group_may_read_are_read(
    engine: Engine, hub: Hub, tmp_path: Path
) -> None:
    needs_root()
    with elsewhere() as private:
        user = as_user(engine, private)
        environment = {**environment_for(engine, private / "home"), **user.environment}
        environment |= {**hub.environment(tmp_path / "hf"), "CVL_EXAMPLES": str(STUBS)}
        _download(environment, "org/tiny")
        group = Path(engine.host.removeprefix("unix://")).stat().st_gid
        for path in (tmp_path / "hf", *(tmp_path / "hf").rglob("*")):
            if not path.is_symlink():
                os.chown(path, 0, group)
                path.chmod(0o750 if path.is_dir() else 0o640)
        for parent in (tmp_path, *tmp_path.parents[:3]):
            parent.chmod(0o755)
        result = subprocess.run(
            [*user.command, "-m", "cvl", "run", "weighted", "predict", "--offline", "-o", "o.json"],
            env=environment, cwd=private, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr


def test_weights_of_ones_own_stand_for_declared_ones_and_are_in_the_key(
    cvl: Cvl, at_hub: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "sub").mkdir(parents=True)
    (own / "config.json").write_text('{"mine": true}')
    (own / "sub" / "model.safetensors").write_bytes(tiny.weights(3000, 7))
    seen = _look(cvl, tmp_path, at_hub, "--weights", f"org/tiny={own}")
    assert {Path(name).name for name in seen["files"]} >= {"config.json", "model.safetensors"}
    cached = cvl("run", "weighted", "predict", "-o", "b.json", "--weights", f"org/tiny={own}")
    assert "cached" in cached.stderr
    (own / "config.json").write_text('{"mine": 1234}')
    changed = ("--weights", f"org/tiny={own}", "--explain", "-o", "c.json")
    again = cvl("run", "weighted", "predict", *changed)
    assert again.returncode == 0 and "the weights" in again.stderr, again.stderr


def test_weights_that_are_missing_offline_are_named_before_anything_is_built(
    cvl: Cvl, at_hub: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    assert cvl("run", "weighted", "predict", "-o", "a.json", env=at_hub).returncode == 0
    for path in (tmp_path / "hf").rglob("model.safetensors"):
        path.unlink()
    result = cvl("run", "weighted", "predict", "--no-cache", "--offline", env=at_hub)
    assert result.returncode == 4
    assert "org/tiny lacks model.safetensors" in result.stderr
    assert "weighted: run" not in result.stderr
