"""The small repositories have the layouts of real ones, and the hostile pickles are hostile."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from tests.support.hub import Hub, pickles, tiny

TORCH = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage"}
HOSTILE = sorted(pickles.hostile(Path("canary")))


def header(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file and what follows it."""
    (size,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + size]), file[8 + size :]


def test_safetensors_say_where_each_tensor_is() -> None:
    told, data = header(
        tiny.safetensors({"a": ("F16", (2, 3)), "b": ("F32", (5,)), "c": ("I64", ())})
    )
    assert {name: told[name]["data_offsets"] for name in "abc"} == {
        "a": [0, 12], "b": [12, 32], "c": [32, 40],
    }  # fmt: skip
    assert len(data) == 40
    assert data == header(tiny.safetensors({"all": ("F16", (20,))}))[1]
    assert data != header(tiny.safetensors({"all": ("F16", (20,))}, seed=1))[1]


def test_sizes_are_those_asked_for() -> None:
    assert len(header(tiny.weights(4096))[1]) == 4096
    files = tiny.diffusers(4096)
    assert len(header(bytes_of(files, "unet/diffusion_pytorch_model.fp16.safetensors"))[1]) == 2048


def bytes_of(files: tiny.Files, path: str) -> bytes:
    content = files[path]
    assert isinstance(content, bytes)
    return content


def test_shards_are_named_by_their_index() -> None:
    files = tiny.transformers(9000, shards=3)
    index = json.loads(str(files["model.safetensors.index.json"]))
    for tensor, path in index["weight_map"].items():
        assert tensor in header(bytes_of(files, path))[0]
    assert len(set(index["weight_map"].values())) == 3
    assert index["metadata"]["total_size"] == 9000


def test_a_pipeline_has_what_nobody_needs_at_its_top(hub: Hub, tmp_path: Path) -> None:
    """As much as SVD-XT has, and no disk is taken for it."""
    hub.push("org/svd", tiny.diffusers(4096, unneeded=9_560_000_000))
    where = {"endpoint": hub.url, "cache_dir": tmp_path, "token": False}
    files = huggingface_hub.snapshot_download("org/svd", dry_run=True, **where)
    sizes = {file.filename: file.file_size for file in files}
    assert sum(n for path, n in sizes.items() if fnmatch(path, "*.safetensors")) > 19_000_000_000
    assert sum(n for path, n in sizes.items() if fnmatch(path, "*/*.fp16.*")) < 3 * 2048 + 1024
    index = json.loads(str(tiny.diffusers()["model_index.json"]))
    assert {path.split("/")[0] for path in sizes if "/" in path} == {
        name for name, value in index.items() if isinstance(value, list)
    }
    taken = sum(path.stat().st_blocks * 512 for path in (hub.root / "objects").iterdir())
    assert taken < 1_000_000


def test_a_repository_names_others() -> None:
    assert "part_1: org/b\n" in str(tiny.pipeline_of("org/a", "org/b")["config.yaml"])
    config = json.loads(str(tiny.adapter("org/base")["adapter_config.json"]))
    assert config["base_model_name_or_path"] == "org/base"


class Stored(pickle.Unpickler):
    """Unpickles what torch.load takes with weights_only; a tensor is the key of its storage."""

    def find_class(self, module: str, name: str) -> Any:
        assert f"{module}.{name}" in TORCH
        return dict if name == "OrderedDict" else lambda storage, *_: storage

    def persistent_load(self, pid: Any) -> Any:
        return pid[2:5]


TENSORS = {"a": bytes(8), "b": b"\x01" * 12}


def test_a_zipped_checkpoint_names_its_storages() -> None:
    with zipfile.ZipFile(io.BytesIO(pickles.torch_zip(TENSORS))) as archive:
        state = Stored(archive.open("archive/data.pkl")).load()
        assert state == {"a": ("0", "cpu", 2), "b": ("1", "cpu", 3)}
        assert [archive.read(f"archive/data/{key}") for key in "01"] == list(TENSORS.values())


def test_an_old_checkpoint_is_five_pickles_and_its_storages() -> None:
    file = io.BytesIO(pickles.torch_legacy(TENSORS))
    found = [Stored(file).load() for _ in range(5)]
    assert found[:2] == [pickles.MAGIC, pickles.PROTOCOL]
    assert found[3:] == [{"a": ("0", "cpu", 2), "b": ("1", "cpu", 3)}, ["0", "1"]]
    rest = b"".join(struct.pack("<q", len(c) // 4) + c for c in TENSORS.values())
    assert file.read() == rest


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_runs_code_when_it_is_unpickled(tmp_path: Path, name: str) -> None:
    canary = tmp_path / "it's alive"
    content = pickles.hostile(canary)[name]
    assert not canary.exists()
    unpickle(content)
    assert canary.exists()


def unpickle(content: bytes) -> None:
    """All pickles in a file, as a careless program does."""
    file = io.BytesIO(content)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            file = io.BytesIO(archive.read("archive/data.pkl"))
    file.seek(0)
    with contextlib.suppress(pickle.UnpicklingError, EOFError):
        while True:
            pickle.load(file)
