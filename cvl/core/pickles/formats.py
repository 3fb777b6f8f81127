"""The formats that pickled weights come in: bare, torch's zip, and torch's before 1.6, which is
several pickles and then the bytes of the tensors."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO, cast

from cvl.core.names import printable
from cvl.core.pickles.machine import Machine, NoPickle, Refused, Source

ZIP = b"PK\x03\x04"
END, END_BYTES = b"PK\x05\x06", 22
END64, END64_BYTES, LOCATOR_BYTES = b"PK\x06\x06", 56, 20
LARGEST_INDEX = 64 << 20
LARGEST_UNPACKED = 64 << 20
"""Of pickles that are compressed. torch does not compress."""
MOST_PICKLES = 1000
DAMAGE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError, zlib.error,
    struct.error,
)  # fmt: skip
OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""After the protocol: the number by which torch knows its own."""
OLD_PICKLES = 5
TAR_HEADER = 512


def scan(stream: BinaryIO, size: int) -> None:
    """Follow everything in a file of `size` bytes that a loader would unpickle; memory stays small
    however large it is.

    Raises Refused, and of that NoPickle where no loader would take it for one.
    """
    stream.seek(0)
    head = stream.read(TAR_HEADER)
    stream.seek(0)
    if head.startswith(ZIP):
        _scan_zip(stream, size)
        return
    if _is_tar(head):
        raise Refused("a tar of pickles, as torch wrote before 0.4")
    source = Source(stream, size)
    if head[2:].startswith(OLD_TORCH) and head[0] == 0x80:
        for _ in range(OLD_PICKLES):
            Machine(source).run()
        return
    while not source.ended or not source.passed:
        Machine(source).run()


def _is_tar(head: bytes) -> bool:
    """By its checksum, as programs tell it."""
    field = head[148:156].strip(b" \0")
    if len(head) < TAR_HEADER or not field or not set(field) <= set(b"01234567"):
        return False
    said = int(field, 8)
    counted = head[:148] + b" " * 8 + head[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in counted)
    return said in (sum(counted), signed)


def _scan_zip(stream: BinaryIO, size: int) -> None:
    """Every pickle in it. Programs differ in what they make of a zip that is not in order, so such
    a one is refused."""
    _check_index(stream, size)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            _check_names(members)
            pickles = [member for member in members if member.filename.lower().endswith(".pkl")]
            _check_sizes(pickles, size)
            for member in pickles:
                _scan_member(archive, member)
    except DAMAGE as error:
        raise Refused(f"a zip that is damaged: {printable(str(error), 100)}") from None
    if not pickles:
        raise NoPickle("a zip without a pickle")


def _check_index(stream: BinaryIO, size: int) -> None:
    """The index ends the file, with nothing before, between or after, and is not huge."""
    stream.seek(max(0, size - END_BYTES - LOCATOR_BYTES - END64_BYTES))
    tail = stream.read(END_BYTES + LOCATOR_BYTES + END64_BYTES)
    end = tail[-END_BYTES:]
    if len(end) < END_BYTES or not end.startswith(END) or end[-2:] != b"\0\0":
        raise Refused("a zip that does not end with its index")
    length, start = int.from_bytes(end[12:16], "little"), int.from_bytes(end[16:20], "little")
    after = END_BYTES
    wide = tail[:END64_BYTES]
    if len(tail) == END_BYTES + LOCATOR_BYTES + END64_BYTES and wide.startswith(END64):
        length, start = (int.from_bytes(wide[i : i + 8], "little") for i in (40, 48))
        after = len(tail)
    if length > LARGEST_INDEX:
        raise Refused("a zip with a huge index")
    if start + length + after != size:
        raise Refused("a zip with more in it than its index says")


def _check_names(members: list[zipfile.ZipInfo]) -> None:
    """torch finds them whatever their case."""
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename.lower()
        if name in seen or member.orig_filename != member.filename:
            raise Refused(f"a zip with an ambiguous name, {printable(name, 100)}")
        seen.add(name)


def _check_sizes(pickles: list[zipfile.ZipInfo], size: int) -> None:
    """No more is read than a file of that size can hold, and little of what is compressed."""
    unpacked = 0
    stored = 0
    for member in pickles:
        if member.compress_type == zipfile.ZIP_STORED:
            stored += max(member.file_size, member.compress_size)
        elif member.compress_type == zipfile.ZIP_DEFLATED:
            unpacked += member.file_size
        else:
            raise Refused("a zip that is compressed in a rare way")
    if stored > size or unpacked > LARGEST_UNPACKED or len(pickles) > MOST_PICKLES:
        raise Refused("a zip that unpacks to much more than it is")


def _scan_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    with archive.open(member) as stream:
        source = Source(cast(BinaryIO, stream), member.file_size)
        try:
            while not source.ended or not source.passed:
                Machine(source).run()
        except NoPickle as error:
            raise Refused(error.what) from None
