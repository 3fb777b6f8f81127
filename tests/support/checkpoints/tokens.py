"""Tokenizers without a download, small enough to read: bytes, characters, chunks of a template."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    ByT5Tokenizer,
    CLIPTokenizer,
    GemmaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    T5Tokenizer,
)

CLIP_LENGTH = 77
CLIP_VOCABULARY = 514
CLIP_SPECIAL = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
T5_VOCABULARY = 98
T5_BYTES_VOCABULARY = T5_VOCABULARY + 256
LLAMA_VOCABULARY = 512
QWEN_VOCABULARY = 512
QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = re.compile(r"<[|\w]+>|\n\n|\s*\w+|\s*[^\w\s]|\s+")


def alphabet() -> list[str]:
    """A printable character for each of the 256 bytes, in a fixed order."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def clip() -> CLIPTokenizer:
    """Bytes, bytes that end a word, and two specials: a prompt of 37 letters is 39 tokens."""
    pieces = [*alphabet(), *(byte + "</w>" for byte in alphabet())]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=CLIP_LENGTH)


def write_legacy_clip(folder: Path, padding: str = "<|endoftext|>") -> None:
    """As repositories of 2022 and 2023 have it: vocab.json and merges.txt, no tokenizer.json."""
    vocabulary = clip().get_vocab()
    (folder / "tokenizer.json").unlink(missing_ok=True)
    write(folder / "vocab.json", dict(sorted(vocabulary.items(), key=lambda item: item[1])))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": padding}
    write(folder / "special_tokens_map.json", special)
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CLIP_LENGTH}
    write(folder / "tokenizer_config.json", {**special, **about, "do_lower_case": True})


def t5_pieces() -> list[tuple[str, float]]:
    """Characters of ASCII, after the specials where T5 has them: pad 0, end 1, unknown 2."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return pieces + [(chr(code), -3.0 - code / 1000) for code in range(33, 127)]


def t5(length: int = 512) -> T5Tokenizer:
    return T5Tokenizer(vocab=t5_pieces(), extra_ids=0, model_max_length=length)


def write_t5_with_bytes(folder: Path) -> None:
    """Characters of ASCII, and bytes for all others, as UMT5 has bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    special, characters = t5_pieces()[:3], t5_pieces()[3:]
    pieces = [*special, *((f"<0x{byte:02X}>", -20.0) for byte in range(256)), *characters]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    backend.add_special_tokens([AddedToken(name) for name, _ in special])
    backend.save(str(folder / "tokenizer.json"))
    _write_t5_names(folder)


def write_sentencepiece_t5(folder: Path) -> None:
    """With spiece.model alone, as LTX-Video and CogVideoX have it.

    To load it takes sentencepiece and protobuf: an image with one of them only fails here.
    """
    (folder / "tokenizer.json").unlink(missing_ok=True)
    (folder / "spiece.model").write_bytes(sentencepiece_model())
    _write_t5_names(folder, model_max_length=226)


def _write_t5_names(folder: Path, **about: int) -> None:
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    about |= {"extra_ids": 0}
    more = {"tokenizer_class": "T5Tokenizer", "additional_special_tokens": []}
    write(folder / "tokenizer_config.json", {**about, **special, **more})
    write(folder / "special_tokens_map.json", special)


def sentencepiece_model() -> bytes:
    """The characters as a SentencePiece unigram model: its protobuf, written by hand."""
    pieces = b"".join(_piece(text, score) for text, score in t5_pieces())
    trainer = _number(3, 1) + _number(4, T5_VOCABULARY) + _number(40, 2)
    trainer += _number(41, (1 << 64) - 1) + _number(42, 1) + _number(43, 0)
    normalizer = _bytes(1, b"identity") + _number(3, 1) + _number(4, 1) + _number(5, 1)
    return pieces + _bytes(2, trainer) + _bytes(3, normalizer)


def _piece(text: str, score: float) -> bytes:
    kind = {"<pad>": 3, "</s>": 3, "<unk>": 2}.get(text, 1)
    value = _varint(2 << 3 | 5) + struct.pack("<f", score)
    return _bytes(1, _bytes(1, text.encode()) + value + _number(3, kind))


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def gemma() -> GemmaTokenizer:
    """Characters, and bytes for all others."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    pieces += [chr(code) for code in range(33, 127)] + [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return GemmaTokenizer(vocab=vocabulary, merges=[], model_max_length=1024)


def byt5() -> ByT5Tokenizer:
    return ByT5Tokenizer()


def qwen(before: str, count: int) -> Qwen2Tokenizer:
    """Bytes, and what a chat has `before` a prompt in `count` tokens, which are cut off again."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {piece: number for number, piece in enumerate([*alphabet(), *special])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], model_max_length=4096)
    tokenizer.add_tokens(whole(in_chunks(before, count)))
    assert len(tokenizer(before)["input_ids"]) == count
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def whole(chunks: list[str]) -> list[AddedToken]:
    return [AddedToken(chunk, normalized=False) for chunk in dict.fromkeys(chunks)]


def llama(template: dict[str, Any]) -> PreTrainedTokenizerFast:
    """Bytes, and what is before the prompt in `template` in as many tokens as it is to have.

    HunyuanVideo cuts the first `crop_start` tokens off, which are those of its own words: with
    other counts it would cut the prompt off, or keep none of it.
    """
    pieces = ["<pad>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", *alphabet()]
    backend = Tokenizer(models.BPE(vocab=dict(zip(pieces, range(512), strict=False)), merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    before = template["template"].partition("{}")[0]
    chunks = in_chunks(before, template["crop_start"] - 1)
    backend.add_tokens(whole(chunks))
    backend.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 1)]
    )
    assert len(backend.encode(before).ids) == template["crop_start"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>", model_max_length=4096, padding_side="right",
    )  # fmt: skip


def in_chunks(text: str, count: int) -> list[str]:
    """`text` in `count` pieces: its words, the last of them joined or cut as needed."""
    words = WORDS.findall(text)
    while len(words) > count:
        words[-2:] = ["".join(words[-2:])]
    while len(words) < count:
        longest = max(range(len(words)), key=lambda n: _room(words, n))
        half = len(words[longest]) // 2
        words[longest : longest + 1] = [words[longest][:half], words[longest][half:]]
    return words


def _room(words: list[str], place: int) -> int:
    """Letters to cut between; one that is there twice stays, for its whole is found first."""
    word = words[place]
    return 0 if word.startswith("<") or words.count(word) > 1 else len(word)


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
