"""Networks of a few operators as ONNX files, written by hand: what makes them need not be installed
where an example runs.

The numbers of the fields are those of onnx.proto, which does not change them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

VARINT, BYTES = 0, 2
FLOAT, INT64 = 1, 7
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7
IR_VERSION, OPSET = 8, 17
Shape = Sequence[int | str]


@dataclass(frozen=True)
class Node:
    operator: str
    takes: Sequence[str]
    gives: str
    settings: Mapping[str, int | Sequence[int]] = field(default_factory=dict)
    name: str = ""


def write(
    path: Path, takes: tuple[str, Shape], gives: Mapping[str, Shape], nodes: Sequence[Node],
    constants: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """takes, gives: names and shapes, of float32; a word in a shape is a side of any length."""
    graph = b"".join(_field(1, _node(node)) for node in nodes) + _field(2, b"small")
    graph += b"".join(_field(5, _tensor(name, array)) for name, array in constants.items())
    graph += _field(11, _value(*takes))
    graph += b"".join(_field(12, _value(name, shape)) for name, shape in gives.items())
    version = _field(1, b"") + _number(2, OPSET)
    path.write_bytes(_number(1, IR_VERSION) + _field(8, version) + _field(7, graph))


def _node(node: Node) -> bytes:
    made = b"".join(_field(1, name.encode()) for name in node.takes)
    made += _field(2, node.gives.encode()) + _field(3, (node.name or node.gives).encode())
    made += _field(4, node.operator.encode())
    return made + b"".join(_field(5, _setting(n, value)) for n, value in node.settings.items())


def _setting(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _number(3, value) + _number(20, ATTRIBUTE_INT)
    numbers = b"".join(_number(8, each) for each in value)
    return _field(1, name.encode()) + numbers + _number(20, ATTRIBUTE_INTS)


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind, array = (INT64, array) if array.dtype == np.int64 else (FLOAT, array.astype("<f4"))
    sides = b"".join(_number(1, side) for side in array.shape)
    return sides + _number(2, kind) + _field(8, name.encode()) + _field(9, array.tobytes())


def _value(name: str, shape: Shape) -> bytes:
    sides = b"".join(
        _field(1, _field(2, side.encode()) if isinstance(side, str) else _number(1, side))
        for side in shape
    )
    tensor = _number(1, FLOAT) + _field(2, sides)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
