"""From files to networks: all that is read is checked, and nothing of it is run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import hallo_case as case
import pytest
import torch
from hallo2.loading import CheckpointError, Paths, load, load_networks
from hallo2.offload import OFFLOADS, Places, parts
from hallo_checkpoints import SIZES, conditions, frames, small_networks, small_studio, written
from torch import nn


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A small checkpoint of the official layout."""
    return written(tmp_path_factory.mktemp("checkpoint"))


def changed(paths: Paths, folder: Path, change: dict[str, torch.Tensor | None]) -> Paths:
    """The same with other tensors, or without some."""
    tensors = {**torch.load(paths.net, weights_only=True), **change}
    net = folder / "net.pth"
    torch.save({name: t for name, t in tensors.items() if t is not None}, net)
    return Paths(net, paths.unet, paths.vae)


def test_sizes_are_read_off_the_files(paths: Paths) -> None:
    """Of what `config.json` does not say, off the shapes."""
    networks, sizes = load_networks(paths, torch.float32)
    assert sizes == SIZES
    weights = small_networks().state_dict()
    ours = networks.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in ours.items())
    unused = {name for name in weights if name not in ours}
    assert {name.partition(".temporal")[0] for name in unused} == {
        *(f"denoising_unet.down_blocks.3.motion_modules.{n}" for n in range(2)),
        *(f"denoising_unet.up_blocks.0.motion_modules.{n}" for n in range(3)),
    }


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_all_weights_are_of_the_dtype(paths: Paths, dtype: torch.dtype) -> None:
    """Tables of positions too."""
    networks, _ = load_networks(paths, dtype)
    assert {tensor.dtype for tensor in networks.state_dict().values()} == {dtype}


SPOILED = {
    "missing": {"denoising_unet.mid_block.audio_modules.0.proj_in.weight": None},
    "of another model": {"audioproj.proj1.weight": None},
    "unknown": {"denoising_unet.more.weight": torch.zeros(2)},
    "another shape": {"reference_unet.conv_in.weight": torch.zeros(2)},
    "end of the reference": {"reference_unet.conv_out.weight": torch.zeros(4, 32, 3, 3)},
}


@pytest.mark.parametrize("name", SPOILED)
def test_names_and_shapes_must_agree(paths: Paths, tmp_path: Path, name: str) -> None:
    """Every one of them, and the name is told."""
    spoiled = SPOILED[name]
    with pytest.raises(CheckpointError, match=next(iter(spoiled)).replace(".", r"\.")):
        load_networks(changed(paths, tmp_path, spoiled), torch.float32)


class Harmful:
    """Would make a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self._folder),)


def test_a_pickle_that_runs_code_is_refused(paths: Paths, tmp_path: Path) -> None:
    """And does not run it."""
    net = tmp_path / "net.pth"
    torch.save({"weight": Harmful(tmp_path / "harm")}, net)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_networks(Paths(net, paths.unet, paths.vae), torch.float32)
    assert not (tmp_path / "harm").exists()


def test_what_is_no_checkpoint_is_refused(paths: Paths, tmp_path: Path) -> None:
    """A download that was cut off, for one."""
    net = tmp_path / "net.pth"
    net.write_bytes(pickle.dumps({"weight": 1})[:-3])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_networks(Paths(net, paths.unet, paths.vae), torch.float32)


@pytest.mark.parametrize("offload", OFFLOADS)
def test_no_rung_changes_a_frame(paths: Paths, offload: str) -> None:
    """Weights that wait elsewhere, all at once or part by part, are the same weights; part by part
    they are only where they are used."""
    expected = torch.cat(list(frames(small_studio(), steps=1)))
    studio = load(paths, offload=offload)
    if offload == "sequential":
        spoil(studio._networks)
        spoil(studio._vae)
    assert torch.equal(torch.cat(list(frames(studio, steps=1))), expected)


@pytest.mark.parametrize("most_bytes", [1, 50_000, 10_000_000])
def test_parts_bring_every_weight_when_they_are_called(paths: Paths, most_bytes: int) -> None:
    """Where weights wait there are no numbers here, until the first visit is over."""
    networks, _ = load_networks(paths, torch.float32)
    network, given = networks.denoising_unet, conditions()
    latents = case.noise().transpose(1, 2).flatten(0, 1)
    expected = network(latents, torch.tensor(517), given)
    held = [t.clone() for t in weights(network)]
    Places("cpu", "sequential", most_bytes).settle(network)
    spoil(network)
    assert torch.equal(network(latents, torch.tensor(517), given), expected)
    assert all(torch.equal(a, b) for a, b in zip(weights(network), held, strict=True))


def test_parts_are_as_large_as_may_be(paths: Paths) -> None:
    """Few where many bytes are allowed, and none above that which could be divided."""
    network = load_networks(paths, torch.float32)[0].denoising_unet
    counts = []
    for most in (1, 50_000, 100_000_000):
        made = list(parts(network, most))
        counts.append(len(made))
        large = [part for part in made if sum(t.nbytes for t in weights(part)) > most]
        assert all(not list(part.children()) for part in large)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def spoil(network: nn.Module) -> None:
    """No numbers: those that wait are elsewhere."""
    for tensor in weights(network):
        tensor.data = torch.full_like(tensor, torch.nan)


def weights(network: nn.Module) -> list[torch.Tensor]:
    """And tables."""
    return [*network.parameters(), *network.buffers()]


def test_an_unknown_rung_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="no offload 'some', only none, model"):
        load(Paths.of(tmp_path), offload="some")


def test_pictures_may_be_decoded_in_tiles(paths: Paths) -> None:
    """Which small ones are not: so their frames are the same."""
    tiled, whole = load(paths, vae_tiling=True), load(paths)
    ours, theirs = (torch.cat(list(frames(s, 1, steps=1))) for s in (tiled, whole))
    assert torch.equal(ours, theirs)
    assert tiled._vae.use_tiling and not whole._vae.use_tiling


def test_the_layout_is_the_official_one(paths: Paths) -> None:
    """Of the repository fudan-generative-ai/hallo2."""
    root = paths.net.parent.parent
    assert paths == Paths(
        root / "hallo2" / "net.pth", root / "stable-diffusion-v1-5" / "unet", root / "sd-vae-ft-mse"
    )
    assert json.loads((paths.unet / "config.json").read_text()) == case.UNET
