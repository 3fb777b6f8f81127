"""What a pickle would run is found without running it: a file of weights passes, and no way that is
known to hide a call does."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy
import pytest

from cvl.core.pickles import NoPickle, Refused, scan
from tests.support.hub import pickles

STATE = {"layer.weight": bytes(64), "layer.bias": bytes(16)}
RUN = b"cos\nsystem\n(S'true'\ntR."
"""os.system, of protocol 0."""


def verdict(content: bytes) -> str:
    """What is refused; empty when nothing is."""
    try:
        scan(io.BytesIO(content), len(content))
    except Refused as error:
        return error.what
    return ""


def zipped(*members: tuple[str, bytes], packed: bool = False, comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.comment = comment
        for name, content in members:
            how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), content, how)
    return made.getvalue()


def text(word: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(word)]) + word.encode()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("N.")  # which is a pickle of None as well
        info.size = len(RUN)
        archive.addfile(info, io.BytesIO(RUN))
    return made.getvalue()


ORDERED = collections.OrderedDict([("a", [1, 2.5, None, True, "x", b"y", 1 << 80, (1, 2, 3)])])
ARRAYS = {"a": numpy.arange(6.0).reshape(2, 3), "b": numpy.float32(1.5), "c": numpy.dtype("<f2")}
HARMLESS = {
    "torch_zip": pickles.torch_zip(STATE),
    "torch_legacy": pickles.torch_legacy(STATE),
    "empty_state": pickles.torch_zip({}),
    **{f"numpy_{number}": pickle.dumps(ARRAYS, number) for number in range(2, 6)},
    "several": pickle.dumps(ORDERED, 2) + pickle.dumps({"more": 1}, 4),
    "large_value": pickle.dumps({"a": bytes(300_000), "b": "x" * 70_000}, 4),
    "shared": pickle.dumps([["a"] * 3] * 5000, 4),
    "packed": zipped(("x/data.pkl", pickle.dumps(ORDERED, 2)), packed=True),
    **{f"protocol_{number}": pickle.dumps(dict(ORDERED), number) for number in range(1, 6)},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_weights_pass(name: str) -> None:
    assert verdict(HARMLESS[name]) == ""


CALL = text("true") + b"\x85R."
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
HOSTILE: dict[str, tuple[bytes, str]] = {
    "global": (RUN, "os.system"),
    "eval": (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
    "never_called": (b"\x80\x02cos\nsystem\n0N.", "os.system"),
    "stack_global": (b"\x80\x04" + text("os") + text("system") + b"\x93" + CALL, "os.system"),
    "by_memo": (
        b"\x80\x04" + text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93" + CALL,
        "os.system",
    ),
    "computed_name": (
        b"\x80\x04" + text("os") + b"c_codecs\nencode\n" + text("x") + b"\x85R\x93.",
        "a name that is not written down but made",
    ),
    "escaped_name": (b"\x80\x04Vo\\u0073\n" + text("system") + b"\x93.", "not written down"),
    "bytes_as_name": (b"\x80\x04U\x02os" + text("system") + b"\x93.", "not written down"),
    "dotted": (
        b"\x80\x04" + text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93.",
        "collections.OrderedDict.__init__.__globals__",
    ),
    "like_an_allowed_one": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v22\n.", "_v22"),
    "getattr": (b"\x80\x02cbuiltins\ngetattr\n.", "builtins.getattr"),
    "python_2": (b"\x80\x02c__builtin__\nexecfile\n.", "__builtin__.execfile"),
    "torch_load": (b"\x80\x02ctorch\nload\n.", "torch.load"),
    "inst": (b"(S'true'\nios\nsystem\n.", "INST"),
    "obj": (b"(ctorch\nSize\nS'true'\no.", "OBJ"),
    "newobj_ex": (b"\x80\x04ctorch\nSize\n)}\x92.", "NEWOBJ_EX"),
    "ext": (b"\x80\x02\x82\x01.", "EXT"),
    "persid": (b"Psomething\n.", "PERSID"),
    "call_of_a_result": (b"\x80\x02ctorch\nSize\n)R)R.", "no name"),
    "call_of_persistent": (b"\x80\x02N\x51)R.", "no name"),
    "change_of_a_function": (b"\x80\x02" + REBUILD + b"}b.", "a change of torch._utils."),
    "change_through_memo": (b"\x80\x02" + REBUILD + b"q\x000h\x00}b.", "a change of torch."),
    "item_of_a_class": (b"\x80\x02ccollections\nOrderedDict\nK\x01K\x02s.", "a change of"),
    "two_memos": (b"\x80\x04" + text("os") + b"q\x05" + text("x") + b"\x94.", "two ways"),
    "in_the_second": (pickle.dumps(1) + RUN, "os.system"),
    "after_old_torch": (pickle.dumps(pickles.MAGIC, 2) + RUN, "os.system"),
    "zip_member": (zipped(("x/data.pkl", pickle.dumps(1)), ("x/constants.pkl", RUN)), "os.system"),
    "zip_upper_case": (zipped(("x/DATA.PKL", RUN)), "os.system"),
    "zip_twice": (
        zipped(("x/data.pkl", pickle.dumps(1)), ("X/Data.pkl", pickle.dumps(1))), "ambiguous",
    ),
    "zip_packed": (zipped(("x/data.pkl", RUN), packed=True), "os.system"),
    "zip_bomb": (
        zipped(("x/data.pkl", b"\x80\x04" + bytes(80 << 20)), packed=True), "unpacks to much more",
    ),
    "zip_comment": (zipped(("x/data.pkl", pickle.dumps(1)), comment=b"PK"), "end with its index"),
    "zip_with_a_tail": (zipped(("x/data.pkl", pickle.dumps(1))) + RUN, "end with its index"),
    "zip_after_a_zip": (
        zipped(("a/data.pkl", RUN)) + zipped(("b/data.pkl", pickle.dumps(1))), "more in it",
    ),
    "zip_damaged": (
        zipped(("x/data.pkl", b"K\x01.")).replace(b"K\x01.", b"K\x02.", 1), "damaged",
    ),
    "tar": (tarred(), "a tar of pickles"),
    "deep": (b"(" * 1_000_002, "a stack without end"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_something_is_refused(name: str) -> None:
    content, expected = HOSTILE[name]
    assert expected in verdict(content)


def test_files_that_do_run_something_are_refused(tmp_path: Path) -> None:
    """The same bytes are unpickled, so that they are known to be hostile."""
    canary = tmp_path / "canary"
    made = pickles.hostile(canary)
    assert all(verdict(content) for content in made.values())
    for name in ("reduce-2.pkl", "reduce-4.pkl", "inst-0.pkl", "getattr.pkl"):
        pickle.loads(made[name])
        assert canary.exists(), name
        canary.unlink()


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>", b"\x06\x00\x00\x00\x10", b"lmgg", zipped(("a.txt", b"x"))],
)
def test_what_is_no_pickle_is_told_from_one_that_is_refused(content: bytes) -> None:
    with pytest.raises(NoPickle):
        scan(io.BytesIO(content), len(content))


@pytest.mark.parametrize("name", HARMLESS)
def test_a_file_that_is_cut_is_no_pickle_or_a_damaged_zip(name: str) -> None:
    content = HARMLESS[name]
    assert verdict(content[: len(content) // 2])


class Sparse(io.RawIOBase):
    """A pickle of `size` bytes, zeros but for its ends, which are on no disk and in no memory."""

    def __init__(self, size: int) -> None:
        self._head = b"\x80\x04\x8e" + struct.pack("<Q", size)
        self._size = size
        self._at = 0
        self.read_bytes = 0

    @property
    def size(self) -> int:
        return len(self._head) + self._size + 1

    def read(self, size: int = -1) -> bytes:
        start, end = self._at, min(self.size, self._at + size)
        content = self._head[start:end].ljust(end - start, b"\0")
        if start < end == self.size:
            content = content[:-1] + b"."
        self._at = end
        self.read_bytes += len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._at + offset
        return self._at


def test_ten_gigabytes_are_passed_over_in_little_memory() -> None:
    stream = Sparse(10 << 30)
    tracemalloc.start()
    scan(_binary(stream), stream.size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20 and stream.read_bytes < 1 << 20


def _binary(stream: io.RawIOBase) -> BinaryIO:
    found: BinaryIO = stream  # type: ignore[assignment]
    return found
