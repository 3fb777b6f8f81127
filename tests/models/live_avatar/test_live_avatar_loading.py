"""Checkpoints, the LoRA in them, and the ways to run faster."""

from __future__ import annotations

import json
from pathlib import Path

import avatar_case as case
import pytest
import torch
import torch.nn.functional as F
from avatar_checkpoints import changed_layers, counting, small_model, written
from filling import filled
from live_avatar import loading
from live_avatar.compiled import compile_parts
from live_avatar.fp8 import Float8Linear
from live_avatar.generation import Conditions, generate
from live_avatar.loading import INDEX, CheckpointError, load_transformer
from live_avatar.lora import Lora
from live_avatar.sizes import Sizes
from live_avatar.timeline import audio_blocks
from safetensors.torch import load_file, save_file


def video(model: torch.nn.Module, blocks: int = 5) -> torch.Tensor:
    """Latents of some blocks."""
    conditions = Conditions(case.reference(), case.motion(), case.text())
    made = generate(model, conditions, audio_blocks(case.audio(blocks)), seed=2)
    return torch.cat(list(made), 1).float()


def test_a_sharded_checkpoint_loads_to_the_very_weights(tmp_path: Path) -> None:
    """By its index, strictly by name."""
    folder, _ = written(tmp_path)
    loaded = load_transformer(folder, dtype=torch.float32).state_dict()
    expected = small_model().state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_weights_are_in_the_dtype_asked_for_but_small_networks_in_float32(tmp_path: Path) -> None:
    """And the model then computes in it."""
    model = load_transformer(written(tmp_path)[0], dtype=torch.bfloat16)
    kept = {n for n, t in model.state_dict().items() if t.dtype == torch.float32}
    assert {n.split(".")[0] for n in kept} == {
        "time_embedding", "time_projection", "casual_audio_encoder", "head",
    }  # fmt: skip
    exact, half = video(small_model()), video(model)
    assert 1e-3 < (exact - half).abs().mean() < 0.05


def test_streamed_layers_give_the_same_video_and_room_is_for_two(tmp_path: Path) -> None:
    folder, lora = written(tmp_path)
    whole = load_transformer(folder, lora, dtype=torch.float32)
    streamed = load_transformer(folder, lora, dtype=torch.float32, streamed=True)
    waiting = {name: tensor.clone() for name, tensor in streamed.state_dict().items()}
    assert torch.equal(video(whole), video(streamed))
    assert all(torch.equal(waiting[n], t) for n, t in streamed.state_dict().items())
    used = {next(layer.parameters()).data_ptr() for layer in streamed.layers}
    assert len(used) == 2 < len(streamed.blocks)


def test_loading_holds_the_model_and_one_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a shard, not the weights before and after merging."""
    folder, lora = written(tmp_path, shards=1)
    load_transformer(folder, lora)
    put, spare = loading.put, []

    def watched(model: torch.nn.Module, name: str, tensor: torch.Tensor) -> None:
        put(model, name, tensor)
        held = sum(t.nbytes for t in model.state_dict().values() if not t.is_meta)
        spare.append(alive() - held)

    monkeypatch.setattr(loading, "put", watched)
    with counting() as alive:
        model = load_transformer(folder, lora, dtype=torch.float32)
    largest = max(t.nbytes for t in model.state_dict().values())
    assert len(spare) == len(model.state_dict())
    assert max(spare) <= largest


def test_a_merged_lora_is_the_lora_beside_the_layer(tmp_path: Path) -> None:
    """For each layer it changes: W x + alpha / rank B A x."""
    folder, file = written(tmp_path)
    base, merged = small_model(), load_transformer(folder, file, dtype=torch.float32)
    factors = load_file(file)
    layers = changed_layers(base)
    assert len(layers) == len(factors) / 2 == 38
    for name, (_, into) in layers.items():
        x = filled(f"{name} input", (7, into))
        down, up = (factors[f"{name}.lora_{f}.default.weight"] for f in "AB")
        beside = base.get_submodule(name)(x) + 64 / case.LORA_RANK * F.linear(F.linear(x, down), up)
        assert torch.allclose(merged.get_submodule(name)(x), beside, atol=1e-4), name


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
@pytest.mark.parametrize("middle", ["", ".default"])
def test_all_spellings_of_a_loras_keys_are_read(tmp_path: Path, prefix: str, middle: str) -> None:
    """With and without what peft puts around a name."""
    tensors = {
        f"{prefix}blocks.0.ffn.0.lora_{f}{middle}.weight": torch.ones(shape)
        for f, shape in (("A", (2, 3)), ("B", (4, 2)))
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    lora = Lora(tmp_path / "lora.safetensors", alpha=1.0)
    assert lora.weights == {"blocks.0.ffn.0.weight"}
    assert torch.equal(lora.merged("blocks.0.ffn.0.weight", torch.zeros(4, 3)), torch.ones(4, 3))
    assert torch.equal(lora.merged("blocks.0.ffn.0.bias", torch.zeros(4)), torch.zeros(4))


def test_a_lora_for_another_model_is_refused(tmp_path: Path) -> None:
    """Upstream says nothing and leaves such weights out."""
    folder, file = written(tmp_path)
    save_file({"blocks.0.ffn.0.diff": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is no factor of a LoRA"):
        load_transformer(folder, tmp_path / "other.safetensors")
    half = {k: v for k, v in load_file(file).items() if "lora_A" in k}
    save_file(half, tmp_path / "half.safetensors")
    with pytest.raises(ValueError, match="one factor without the other"):
        load_transformer(folder, tmp_path / "half.safetensors")
    moved = {f"more.{k}": v for k, v in load_file(file).items()}
    save_file(moved, tmp_path / "moved.safetensors")
    with pytest.raises(CheckpointError, match="changes 38 unknown weights"):
        load_transformer(folder, tmp_path / "moved.safetensors")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    """Before anything is computed: names, shapes, and the kind of model."""
    folder, _ = written(tmp_path)
    index = json.loads((folder / INDEX).read_text())
    lacking = {n: f for n, f in index["weight_map"].items() if n != "head.modulation"}
    (folder / INDEX).write_text(json.dumps({"weight_map": lacking}))
    with pytest.raises(CheckpointError, match=r"lacks 1 weights \['head.modulation'\]"):
        load_transformer(folder)
    (folder / INDEX).write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({**case.CONFIG, "ffn_dim": 65}))
    with pytest.raises(CheckpointError, match="expected"):
        load_transformer(folder)
    with pytest.raises(ValueError, match="enable_framepack"):
        Sizes.from_config({**case.CONFIG, "enable_framepack": False})


def test_float8_keeps_the_result_near_and_the_weights_small(tmp_path: Path) -> None:
    """Computed with quantized numbers on the CPU; a fifth of the signal is rounding here."""
    folder, _ = written(tmp_path)
    model = load_transformer(folder, dtype=torch.float32, float8=True)
    layers = [m for m in model.modules() if isinstance(m, Float8Linear)]
    assert len(layers) == 38 + 2
    assert {m.weight.dtype for m in layers} == {torch.float8_e4m3fn}
    exact, rough = video(small_model()), video(model)
    assert 0 < (exact - rough).abs().mean() < 0.2 * exact.abs().mean()


def test_compiled_parts_give_the_same_and_are_compiled_once_for_all_layers() -> None:
    """Traced and run part by part; also at the ring's end, where places change."""
    import torch._dynamo.testing as testing

    exact, model = video(small_model(), 6), small_model()
    counter = testing.CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    compile_parts(model, backend=counter)
    assert (video(model, 6) - exact).abs().max() < 1e-4
    # Both halves of a block, what is heard, and the head.
    assert counter.frame_count == 4
