"""Checkpoints as torch writes them, without torch: zipped, as before torch 1.6, and hostile ones.

Unpickling a hostile one makes a file, so that a test sees whether anything was run.
"""

from __future__ import annotations

import io
import os
import pickle
import shlex
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

MAGIC = 0x1950A86A20F9469CFC6C  # of torch's files before 1.6
PROTOCOL = 1001
SYSTEM = {
    "protocol_version": PROTOCOL,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
START = pickle.PROTO + b"\x02"
DICT = b"ccollections\nOrderedDict\n)R"
Tensors = Mapping[str, bytes]


def torch_zip(tensors: Tensors, name: str = "archive") -> bytes:
    """What torch.save writes: float32 vectors by name, as `torch.load(weights_only=True)` takes."""
    return _zipped(_state(tensors, legacy=False), list(tensors.values()), name)


def torch_legacy(tensors: Tensors) -> bytes:
    """The same before torch 1.6: five pickles, then the storages."""
    return _legacy(_state(tensors, legacy=True), list(tensors.values()))


def hostile(canary: Path) -> dict[str, bytes]:
    """Files that make `canary` when they are unpickled, by how they hide it."""
    command = f"touch {shlex.quote(str(canary))}"
    plain = pickle.dumps(_Runs(command), protocol=2)
    looked_up = pickle.dumps(_LooksUp(command), protocol=4)
    quoted = repr(command).encode()
    inst = b"(S" + quoted + b"\niposix\nsystem\n."
    return {
        "reduce-2.pkl": plain,
        "reduce-4.pkl": pickle.dumps(_Runs(command), protocol=4),
        "getattr.pkl": looked_up,
        "inst-0.pkl": inst,
        "broken.pkl": plain[:-1] + b"\xff",
        "second.pkl": pickle.dumps({"weights": 1}, protocol=2) + plain,
        "pytorch_model.bin": _zipped(_with_weights(plain), [bytes(4)], "archive"),
        "legacy.bin": _legacy(_with_weights(plain), []),
    }


class _Runs:
    """Pickles as a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


class _LooksUp(_Runs):
    """Pickles as a call that names no dangerous function: exec of what it was given."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"getattr(__import__('o' + 's'), 'sys' + 'tem')({self.command!r})",)


def _with_weights(payload: bytes) -> bytes:
    """A pickle of a dict of weights, one of which is a payload (a pickle of its own)."""
    inner = payload[2:-1]  # less its PROTO and STOP
    return START + DICT + b"(" + _text("weights") + inner + b"u."


def _state(tensors: Tensors, legacy: bool) -> bytes:
    """An OrderedDict of tensors whose storages are named by number."""
    parts = [START, DICT, b"("]
    for number, (name, content) in enumerate(tensors.items()):
        parts += [_text(name), _tensor(str(number), len(content) // 4, legacy)]
    return b"".join([*parts, b"u."])


def _tensor(key: str, count: int, legacy: bool) -> bytes:
    """`_rebuild_tensor_v2(storage, 0, (count,), (1,), False, OrderedDict())`."""
    view = b"N" if legacy else b""
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
    storage += _number(count) + view + b"tQ"
    shape = _number(count) + b"\x85" + _number(1) + b"\x85"
    arguments = b"(" + storage + _number(0) + shape + b"\x89" + DICT + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def _text(text: str) -> bytes:
    """BINUNICODE."""
    content = text.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def _number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def _zipped(state: bytes, storages: list[bytes], name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{name}/data.pkl", state)
        archive.writestr(f"{name}/byteorder", "little")
        for number, content in enumerate(storages):
            archive.writestr(f"{name}/data/{number}", content)
        archive.writestr(f"{name}/version", "3\n")
    return packed.getvalue()


def _legacy(state: bytes, storages: list[bytes]) -> bytes:
    head = [pickle.dumps(value, protocol=2) for value in (MAGIC, PROTOCOL, SYSTEM)]
    keys = pickle.dumps([str(number) for number in range(len(storages))], protocol=2)
    bodies = [struct.pack("<q", len(content) // 4) + content for content in storages]
    return b"".join([*head, state, keys, *bodies])
