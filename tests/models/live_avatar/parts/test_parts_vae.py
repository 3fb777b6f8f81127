"""The video autoencoder gives upstream's numbers, whole or in pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small_parts
import torch
from live_avatar.vae import (
    VideoAutoencoder,
    VideoAutoencoderSizes,
    VideoDecoding,
    VideoEncoding,
    load_vae,
    sizes_of,
)
from torch.utils.flop_counter import FlopCounterMode

SIZES = small_parts.AUTOENCODER
TINY = VideoAutoencoderSizes(base=SIZES.dim, widths=SIZES.widths, blocks=SIZES.blocks)
GOLDEN = np.load(small_parts.GOLDEN / "vae.npz")
NEAR = 1e-4


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vae") / small_parts.speaking.AUTOENCODER_FILE
    small_parts.write_autoencoder(path)
    return path


@pytest.fixture(scope="module")
def vae(path: Path) -> VideoAutoencoder:
    return load_vae(path)


def apart(ours: torch.Tensor, theirs: np.ndarray | torch.Tensor) -> float:
    """The largest difference."""
    theirs = torch.as_tensor(theirs)
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs.double()).abs().max())


def test_real_names_and_shapes() -> None:
    with torch.device("meta"):
        real = VideoAutoencoder()
    assert small_parts.shapes(real) == GOLDEN["names"].tolist()


def test_weights_show_their_sizes(path: Path) -> None:
    with torch.device("meta"):
        real = VideoAutoencoder()
    assert sizes_of(real.state_dict()) == VideoAutoencoderSizes()
    assert sizes_of(torch.load(path, weights_only=True)) == TINY


def test_no_more_is_computed_than_upstream_computes() -> None:
    """Multiplications and additions at 704 x 384, counted in upstream's modules too: 2.93 and 9.16
    TFLOP to decode the first latent and each other, 99.7 to encode the motion."""
    with torch.device("meta"):
        real = VideoAutoencoder()
        latent, motion = torch.empty(1, 16, 1, 48, 88), torch.empty(1, 3, 73, 384, 704)
    stream = VideoDecoding(real)
    first, other = (tera(lambda: stream(latent)) for _ in range(2))
    assert first == pytest.approx(2.93, rel=0.01)
    assert other == pytest.approx(9.16, rel=0.01)
    assert tera(lambda: real.encode(motion)) == pytest.approx(99.7, rel=0.01)


def tera(compute: Callable[[], torch.Tensor]) -> float:
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops() / 1e12


def test_encodes_the_73_frames_of_motion(vae: VideoAutoencoder) -> None:
    latents = vae.encode(small_parts.video())
    assert latents.shape == (1, 16, 19, 8, 8)
    assert latents.std() > 0.1
    assert apart(latents, GOLDEN["encoded"]) <= NEAR


def test_encodes_a_portrait_that_stands_still(vae: VideoAutoencoder) -> None:
    still = small_parts.video()[:, :, :1].expand(-1, -1, 5, -1, -1)
    assert apart(vae.encode(still), GOLDEN["still"]) <= NEAR


@pytest.mark.parametrize("pieces", [[73], [1] + [4] * 18, [5, 8, 60], [1, 72]])
def test_encodes_pieces_as_the_whole(vae: VideoAutoencoder, pieces: list[int]) -> None:
    stream = VideoEncoding(vae)
    latents = torch.cat([stream(piece) for piece in small_parts.video().split(pieces, 2)], 2)
    assert apart(latents, GOLDEN["encoded"]) <= NEAR


def test_decodes(vae: VideoAutoencoder) -> None:
    video = vae.decode(small_parts.latents())
    assert video.shape == (1, 3, 25, 64, 64)
    assert video.std() > 0.1
    assert apart(video[..., ::5, ::5], GOLDEN["decoded"]) <= NEAR


@pytest.mark.parametrize("pieces", [[7], [1] * 7, [3, 3, 1], [1, 3, 3], [2, 5]])
def test_decodes_blocks_as_the_whole(vae: VideoAutoencoder, pieces: list[int]) -> None:
    """And each block's frames are there before the next block is."""
    stream = VideoDecoding(vae)
    made = [stream(piece) for piece in small_parts.latents().split(pieces, 2)]
    assert [part.shape[2] for part in made] == [4 * pieces[0] - 3, *(4 * n for n in pieces[1:])]
    video = torch.cat(made, 2)
    assert apart(video[..., ::5, ::5], GOLDEN["streamed"]) <= NEAR
    assert apart(video, vae.decode(small_parts.latents())) <= 1e-5


def test_two_videos_at_once_know_nothing_of_each_other(vae: VideoAutoencoder) -> None:
    one, other = VideoDecoding(vae), VideoDecoding(vae)
    alone = vae.decode(small_parts.latents())
    made = []
    for piece in small_parts.latents().split(1, 2):
        made.append(one(piece))
        other(-piece)
    assert apart(torch.cat(made, 2), alone) <= 1e-5


def test_what_is_kept_of_a_video_does_not_grow(vae: VideoAutoencoder) -> None:
    """Nor is it a view of something larger."""
    stream, held = VideoDecoding(vae), []
    for piece in small_parts.latents().split(1, 2):
        stream(piece)
        held.append(sum(past.untyped_storage().nbytes() for past in stream._past.values()))
        assert all(past.untyped_storage().nbytes() == past.nbytes for past in stream._past.values())
    assert held[1] == held[-1]


def test_channels_last_is_only_a_layout(vae: VideoAutoencoder, path: Path) -> None:
    other = load_vae(path, channels_last=True)
    assert other.decoder.conv1.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert apart(other.decode(small_parts.latents()), vae.decode(small_parts.latents())) <= 1e-5
    assert apart(other.encode(small_parts.video()), vae.encode(small_parts.video())) <= 1e-5


def test_channels_last_lasts_through_the_network(path: Path) -> None:
    """Each layer keeps it: in bfloat16, for which a CPU has convolutions in this layout."""
    half = load_vae(path, dtype=torch.bfloat16, channels_last=True)
    out, back = VideoDecoding(half), VideoEncoding(half)
    back(out(small_parts.latents()))
    held = {**out._past, **{f"encoder.{name}": past for name, past in back._past.items()}}
    for as_it_came in ("conv1", "encoder.conv1"):
        held.pop(as_it_came)
    wrong = [name for name, past in held.items() if not channels_last(past)]
    assert held and not wrong


def channels_last(video: torch.Tensor) -> bool:
    return video.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_decoder_compiles_whole_and_once_for_all_later_blocks(path: Path) -> None:
    vae, graphs = load_vae(path), []

    def count(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    whole = vae.decode(small_parts.latents())
    vae.decoder = torch.compile(vae.decoder, fullgraph=True, backend=count)
    stream = VideoDecoding(vae)
    pieces = [stream(piece) for piece in small_parts.latents().split([1, 2, 2, 2], 2)]
    assert apart(torch.cat(pieces, 2), whole) <= 1e-5
    assert len(graphs) == 2


def test_bfloat16_is_close(vae: VideoAutoencoder, path: Path) -> None:
    half = load_vae(path, dtype=torch.bfloat16)
    made = half.decode(small_parts.latents())
    assert made.dtype == torch.float32
    assert (made - vae.decode(small_parts.latents())).abs().mean() < 0.03


@pytest.mark.parametrize(("frames", "rows"), [(4, 64), (2, 64), (1, 60)])
def test_frames_that_fill_no_latent_are_refused(
    vae: VideoAutoencoder, frames: int, rows: int
) -> None:
    with pytest.raises(ValueError, match=rf"no {frames} frames of 64 x {rows}"):
        VideoEncoding(vae)(torch.zeros(1, 3, frames, rows, 64))


def test_a_file_of_another_model_is_refused_by_its_names(tmp_path: Path) -> None:
    small_parts.write_text(tmp_path)
    with pytest.raises(RuntimeError, match=r"encoder\.conv1\.weight"):
        load_vae(tmp_path / small_parts.speaking.TEXT_FILE)
