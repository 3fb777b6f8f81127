"""Repositories that a user gives by mistake."""

from __future__ import annotations

from pathlib import Path

from transformers import BertConfig, BertModel

from . import tokens


def not_a_pipeline(folder: Path) -> None:
    """A model of transformers, with its config and weights at the top."""
    config = BertConfig(
        vocab_size=tokens.T5_VOCABULARY, hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokens.t5().save_pretrained(folder)
