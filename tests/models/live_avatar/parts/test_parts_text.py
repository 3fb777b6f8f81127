"""The prompt becomes upstream's tokens and upstream's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_parts
import torch
from live_avatar.text import (
    LONGEST,
    Prompts,
    TextEncoder,
    TextEncoderSizes,
    clean,
    encode_prompt,
    load_text_encoder,
    sizes_of,
)

TINY = TextEncoderSizes(
    vocabulary=small_parts.TEXT.vocabulary, width=32, attention=32, hidden=64, heads=4, layers=2
)
GOLDEN = np.load(small_parts.GOLDEN / "text.npz")
NUMBERS = range(len(small_parts.PROMPTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    small_parts.write_text(folder)
    return folder


def test_real_names_and_shapes() -> None:
    with torch.device("meta"):
        real = TextEncoder()
    assert small_parts.shapes(real) == GOLDEN["names"].tolist()


def test_weights_show_their_sizes(folder: Path) -> None:
    with torch.device("meta"):
        real = TextEncoder()
    assert sizes_of(real.state_dict()) == TextEncoderSizes()
    tensors = torch.load(folder / small_parts.speaking.TEXT_FILE, weights_only=True)
    assert sizes_of(tensors) == TINY


@pytest.mark.parametrize("number", NUMBERS)
def test_tokens(folder: Path, number: int) -> None:
    prompt = small_parts.PROMPTS[number]
    assert clean(prompt) == GOLDEN["cleaned"][number]
    tokens = Prompts(folder / small_parts.speaking.TOKENIZER_FOLDER).tokens(prompt)
    assert tokens[0].tolist() == GOLDEN[f"tokens_{number}"].tolist()


def test_the_prompts_show_what_can_go_wrong(folder: Path) -> None:
    """Bytes for what has no character, an end alone, and an end where it is cut."""
    tokens = [
        Prompts(folder / small_parts.speaking.TOKENIZER_FOLDER).tokens(prompt)[0]
        for prompt in small_parts.PROMPTS
    ]
    assert 3 + 0xE8 in tokens[2]
    assert tokens[3].tolist() == [1]
    assert len(tokens[4]) == LONGEST
    assert all(one[-1] == 1 for one in tokens)


@pytest.mark.parametrize("number", NUMBERS)
def test_context(folder: Path, number: int) -> None:
    encoder = load_text_encoder(folder / small_parts.speaking.TEXT_FILE, dtype=torch.float32)
    context = encode_prompt(
        encoder,
        Prompts(folder / small_parts.speaking.TOKENIZER_FOLDER),
        small_parts.PROMPTS[number],
    )
    theirs = torch.from_numpy(GOLDEN[f"context_{number}"])
    assert context.shape == theirs.shape
    assert float((context - theirs).abs().max()) <= 1e-4


def test_half_precision_as_it_is_on_disk(folder: Path) -> None:
    encoder = load_text_encoder(folder / small_parts.speaking.TEXT_FILE)
    assert encoder.norm.weight.dtype == torch.bfloat16
    context = encode_prompt(
        encoder, Prompts(folder / small_parts.speaking.TOKENIZER_FOLDER), small_parts.PROMPTS[0]
    )
    theirs = torch.from_numpy(GOLDEN["context_0"])
    assert float((context.float() - theirs).abs().mean()) < 0.03
