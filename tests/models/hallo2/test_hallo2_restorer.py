"""Faces are restored as upstream's network restores them, one frame after the other."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import restorer_case as case
import torch
from hallo2.loading import CheckpointError, load_restorer
from hallo2.restorer import FaceRestorer
from hallo2.sizes import RestorerSizes
from hallo_checkpoints import counting
from torch import nn

SIZES = RestorerSizes(
    channels=tuple(case.BASE * multiple for multiple in case.MULTIPLES), codes=case.CODES,
    width=case.WIDTH, inner=2 * case.WIDTH, layers=case.LAYERS,
)  # fmt: skip
NEAR = 1e-4


@cache
def small(sizes: RestorerSizes = SIZES) -> FaceRestorer:
    """Filled as upstream's is."""
    restorer = FaceRestorer(sizes)
    case.prepare(restorer)
    return restorer.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@cache
def golden() -> dict[str, torch.Tensor]:
    """Upstream's numbers."""
    with np.load(case.GOLDEN / "restorer.npz") as arrays:
        return {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind in "fu"}


def official() -> dict[str, list[int]]:
    """Names and shapes of upstream's network at the real size."""
    packed = (case.GOLDEN / "restorer_state_dict.json.gz").read_bytes()
    return dict(json.loads(gzip.decompress(packed)))


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest absolute difference."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("frames", case.FRAMES)
def test_the_encoder_and_the_codes_agree(frames: int) -> None:
    """What it makes of each place, how well each code suits that, and which one is taken."""
    restorer, theirs = small(), golden()
    latents = torch.cat([restorer.encoder(face) for face in case.faces(frames).split(1)])
    scores: list[torch.Tensor] = []
    watch = restorer.idx_pred_layer.register_forward_hook(lambda *seen: scores.append(seen[2]))
    codes = restorer.codes(latents)
    watch.remove()
    assert apart(latents[:, ::8, ::2, ::2], theirs[f"{frames} latents"]) <= NEAR
    assert apart(scores[0][:, ::16], theirs[f"{frames} scores"]) <= NEAR
    assert torch.equal(codes, theirs[f"{frames} codes"].long())


def test_the_generator_agrees() -> None:
    """By itself, of numbers that no book has."""
    drawn, theirs = small().generator(case.latents(), {}), golden()
    assert apart(case.seen(drawn), theirs["drawn"]) <= NEAR
    assert apart(case.moments(drawn), theirs["drawn moments"]) <= NEAR


@pytest.mark.parametrize("fidelity", case.FIDELITIES)
@pytest.mark.parametrize("frames", case.FRAMES)
def test_restored_faces_agree(frames: int, fidelity: float) -> None:
    """Some of the pixels, and the means of all."""
    faces, theirs = case.faces(frames), golden()
    restored = small()(faces, fidelity)
    assert restored.shape == faces.shape
    assert apart(case.seen(restored), theirs[f"{frames} restored {fidelity}"]) <= NEAR
    assert apart(case.moments(restored), theirs[f"{frames} moments {fidelity}"]) <= NEAR


def test_names_and_shapes_are_the_official_ones() -> None:
    """At the real size, so that a checkpoint loads strictly; sizes are read off its shapes. There
    are no buffers: all of it is weights."""
    with torch.device("meta"):
        restorer = FaceRestorer(RestorerSizes())
    ours = restorer.state_dict()
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == official()
    assert RestorerSizes.of(ours) == RestorerSizes()
    assert not list(restorer.buffers())


def test_golden_numbers_are_of_one_commit() -> None:
    """And say which files of it were run."""
    path = case.GOLDEN / "restorer.npz"
    with np.load(path) as arrays:
        origin = json.loads(str(arrays["origin"]))
    assert origin["commit"] == "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
    assert set(origin["sha256"]) == {
        f"basicsr/archs/{name}_arch.py" for name in ("codeformer", "vqgan")
    }
    assert path.stat().st_size < 200_000


def test_a_frame_is_restored_in_the_light_of_the_others() -> None:
    """Places are followed through them: alone it is drawn of other codes."""
    alone, together = golden()["1 codes"][0], golden()["5 codes"][0]
    assert (alone != together).float().mean() > 0.1


def test_memory_does_not_grow_with_the_frames() -> None:
    """But for the faces themselves, and for a code of each place of them: no frame's features
    are kept while another one is drawn."""
    restorer, held = small(), {}
    for frames in (1, 4):
        faces, most = case.faces(frames), 0
        with counting() as alive:

            def look(*_: object) -> None:
                nonlocal most
                most = max(most, alive())

            watched = (*restorer.fuse_convs_dict.values(), restorer.encoder.blocks[-1])
            watches = [module.register_forward_hook(look) for module in watched]
            restorer(faces, 0.5)
        for watch in watches:
            watch.remove()
        held[frames] = most
    face, code = case.faces(1).nbytes, SIZES.latent * SIZES.side**2 * 4
    assert held[4] - held[1] <= 3 * (2 * face + 2.1 * code)
    assert held[1] > 4 * face


def test_only_what_is_asked_for_is_computed() -> None:
    """Without fidelity nothing is fused; with it, the encoder's levels are seen as far down as
    they are fused."""
    restorer = small()
    never = (*restorer.fuse_convs_dict.values(), *restorer.encoder.blocks)
    calls: list[nn.Module] = []
    watches = [m.register_forward_hook(lambda m, *_: calls.append(m)) for m in never]
    face = case.faces(1)
    restorer(face, 0.0)
    assert calls == list(restorer.encoder.blocks)
    calls.clear()
    restorer(face, 0.5)
    for watch in watches:
        watch.remove()
    again = [m for m in calls if m in set(restorer.encoder.blocks)][len(restorer.encoder.blocks) :]
    assert again == list(restorer.encoder.blocks)[:15]
    assert len(calls) == len(restorer.encoder.blocks) + 15 + len(SIZES.fused)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float16, 0.01), (torch.bfloat16, 0.08)])
def test_half_precision_is_near(tmp_path: Path, dtype: torch.dtype, near: float) -> None:
    """Of the numbers' deviation, in the mean, where the same codes are taken; which are, but for
    those that are nearly alike. A CPU is slow at this: the picture is small."""
    whole = small(replace(SIZES, side=3))
    half = load_restorer(written(tmp_path, whole), "cpu", dtype)
    face = case.faces(1)[:, :, : whole.pixels, : whole.pixels]
    latents = whole.encoder(face)
    drawn = whole.quantize(whole.codes(latents))
    fusions, halved = whole._fusions(face, 0.5), half._fusions(face.to(dtype), 0.5)
    same = half.codes(latents.to(dtype)) == whole.codes(latents)
    assert same.float().mean() > 0.9
    for ours, exact in (
        (half.encoder(face.to(dtype)), latents),
        (half.generator(drawn.to(dtype), halved), whole.generator(drawn, fusions)),
    ):
        assert ours.dtype == dtype
        assert (ours.float() - exact).abs().mean() <= near * exact.std()
    assert half(face.to(dtype), 0.5).isfinite().all()


def written(folder: Path, restorer: FaceRestorer, **change: torch.Tensor | None) -> Path:
    """A file as upstream's training leaves it; with other tensors, or without some."""
    tensors = {**restorer.state_dict(), **change}
    trained = {name: torch.full_like(t, torch.nan) for name, t in restorer.state_dict().items()}
    path = folder / "net_g.pth"
    means = {name: t for name, t in tensors.items() if t is not None}
    torch.save({"params": trained, "params_ema": means}, path)
    return path


def test_a_checkpoint_is_read(tmp_path: Path) -> None:
    """Its sizes off the tensors; and the means of what was trained."""
    path = written(tmp_path, small())
    restorer = load_restorer(path, "cpu", torch.float32)
    weights = small().state_dict()
    assert RestorerSizes.of(weights) == SIZES
    ours = restorer.state_dict()
    assert ours.keys() == weights.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in weights.items())
    assert not restorer.training
    assert not any(parameter.requires_grad for parameter in restorer.parameters())


SPOILED = {
    "missing": {"generator.blocks.7.v.bias": None},
    "no book": {"quantize.embedding.weight": None},
    "unknown": {"encoder.more.weight": torch.zeros(2)},
    "another shape": {"feat_emb.weight": torch.zeros(2, 2)},
    "half a fusion": {"fuse_convs_dict.64.scale.0.weight": None},
}


@pytest.mark.parametrize("name", SPOILED)
def test_names_and_shapes_must_agree(tmp_path: Path, name: str) -> None:
    """Every one of them, and the name is told."""
    spoiled = SPOILED[name]
    tensor = next(iter(spoiled)).replace("scale.0.weight", "encode_enc").replace(".", r"\.")
    with pytest.raises(CheckpointError, match=tensor):
        load_restorer(written(tmp_path, small(), **spoiled), "cpu", torch.float32)


def test_tokens_that_heads_do_not_divide_are_refused(tmp_path: Path) -> None:
    """The number of heads is not in the file."""
    odd = {"position_emb": torch.zeros(256, 60)}
    with pytest.raises(CheckpointError, match="60 wide"):
        load_restorer(written(tmp_path, small(), **odd), "cpu", torch.float32)


class Harmful:
    """Would make a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self._folder),)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """And none of it is run."""
    path, harm = tmp_path / "net_g.pth", tmp_path / "harm"
    for content, told in (
        ({"params_ema": {"w": Harmful(harm)}}, "cannot be read"),
        ({"params": {}}, "no params_ema"),
        ([torch.zeros(2)], "no params_ema"),
    ):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=told):
            load_restorer(path, "cpu", torch.float32)
    path.write_bytes(bytes(4000))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_restorer(path, "cpu", torch.float32)
    assert not harm.exists()
