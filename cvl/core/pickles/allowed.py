"""The names that a pickle of weights may use: what torch takes with weights_only=True, less what
calls other things in turn, and what numpy makes arrays of. Whatever else is named is refused."""

from __future__ import annotations

_TYPES = (
    "Double", "Float", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool", "BFloat16",
    "ComplexDouble", "ComplexFloat", "QUInt8", "QInt8", "QInt32", "QUInt4x2", "QUInt2x4",
)  # fmt: skip
_DTYPES = (
    "float64", "double", "float32", "float", "float16", "half", "bfloat16", "complex32",
    "complex64", "complex128", "int64", "long", "int32", "int", "int16", "short", "int8", "uint8",
    "uint16", "uint32", "uint64", "bool", "quint8", "qint8", "qint32", "quint4x2", "quint2x4",
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip
_REBUILDS = (
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
    "_rebuild_parameter_with_state", "_rebuild_qtensor", "_rebuild_sparse_tensor",
    "_rebuild_nested_tensor", "_rebuild_meta_tensor_no_storage",
    "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
)  # fmt: skip
_BUILTINS = ("set", "frozenset", "bytearray", "bytes", "complex")
_NUMPY = (
    "numpy dtype", "numpy ndarray",
    *(
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray _reconstruct", "multiarray scalar", "numeric _frombuffer")
    ),
)  # fmt: skip

ALLOWED = frozenset(
    [
        *(f"torch._utils {name}" for name in _REBUILDS),
        *(f"torch {name}Storage" for name in _TYPES),
        *(f"torch.cuda {name}Storage" for name in _TYPES),
        *(f"torch {name}" for name in _DTYPES),
        *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
        *_NUMPY,
        "torch Size",
        "torch device",
        "torch Tensor",
        "torch.nn.parameter Parameter",
        "torch.serialization _get_layout",
        "torch.storage TypedStorage",
        "torch.storage _TypedStorage",
        "torch.storage UntypedStorage",
        "torch.storage _UntypedStorage",
        "torch UntypedStorage",
        "collections OrderedDict",
        "collections Counter",
        "_codecs encode",
    ]
)
"""`module name`, as the two lines of GLOBAL."""

PARTS = frozenset(part for allowed in ALLOWED for part in allowed.split(" "))
