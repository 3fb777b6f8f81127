"""Is a file what its name says? By its first bytes: an error page or a pointer of git LFS that is
named like weights is told as what it is."""

from __future__ import annotations

import json
from typing import BinaryIO

LARGEST_HEADER = 100_000_000
"""Bytes of the header of a .safetensors file, as its own library has it."""
GGUF = b"GGUF"
LFS = b"version https://git-lfs"
PAGES = (b"<!doctype", b"<html", b"<?xml")
HEAD = 512


def mistaken(name: str, stream: BinaryIO, size: int) -> str:
    """What a file is that is named like weights and is none; empty when it looks right, or when
    nothing is known of such names."""
    name = name.lower()
    stream.seek(0)
    head = stream.read(HEAD)
    if name.endswith(".safetensors"):
        return _other(head) or _safetensors(head, stream, size)
    if name.endswith(".gguf"):
        return "" if head.startswith(GGUF) else _other(head) or "no GGUF file"
    if name.endswith((".onnx", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")):
        return _other(head)
    return ""


def _other(head: bytes) -> str:
    """What is often there instead."""
    if not head:
        return "empty"
    if head.lstrip().lower().startswith(PAGES):
        return "a web page"
    return "a pointer of git LFS, not the file itself" if head.startswith(LFS) else ""


def _safetensors(head: bytes, stream: BinaryIO, size: int) -> str:
    """8 bytes of length, then so many of JSON, then the tensors."""
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > min(LARGEST_HEADER, size - 8) or head[8:9] != b"{":
        return "no safetensors file"
    stream.seek(8)
    try:
        header = json.loads(stream.read(length))
    except (ValueError, RecursionError):
        header = None
    return "" if isinstance(header, dict) else "a safetensors file with a damaged header"
