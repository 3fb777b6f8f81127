"""Still and animated images, by their headers only: nothing is decompressed.

Sources: PNG (W3C, third edition), ITU-T T.81 annex B (JPEG), GIF89a, BITMAPINFOHEADER (Microsoft),
TIFF 6.0 and BigTIFF, RFC 9649 (WebP).
"""

from __future__ import annotations

from collections.abc import Callable

from .info import MediaInfo
from .reader import BoundedReader
from .riff import chunks
from .tracks import image_info

_JPEG_READ_BYTES = 7 << 20
_GIF_READ_BYTES = 4 << 20
_IFD_ENTRIES = 4096
_TIFF_PAGES = 1000


def inspect_image(reader: BoundedReader, format: str) -> MediaInfo:
    """Describe an image: width and height in pixels, frames (or pages), seconds if animated.

    format: `png`, `jpg`, `gif`, `bmp`, `tiff` or `webp`.
    Raises MediaError where the image states no size or ends before its last part.
    """
    info = _PARSERS[format](reader)
    if not info.width or not info.height:
        raise reader.damaged(f"it states a size of {info.width}x{info.height} pixels")
    return info


def _png(reader: BoundedReader) -> MediaInfo:
    length, code, width, height = reader.unpack(">I4sII", 8)
    if code != b"IHDR" or length != 13:
        raise reader.damaged("it does not start with its header (IHDR)")
    at, frames = 8, 1
    while code != b"IEND":
        reader.step()
        if at + 12 > reader.size:
            raise reader.truncated("it ends before its last part (IEND)")
        length, code = reader.unpack(">I4s", at)
        if not code.isalpha():
            raise reader.damaged("its parts do not follow each other")
        if code == b"acTL":
            frames = reader.unpack(">I", at + 8)[0]
        at += 12 + length
    return image_info("png", width, height, frames)


def _jpeg(reader: BoundedReader) -> MediaInfo:
    """Walk the marker segments to the frame header (SOFn: C0-CF but DHT, JPG and DAC)."""
    at, size = 2, None
    while True:
        reader.step()
        mark, code = reader.unpack("BB", at)
        if mark != 0xFF:
            raise reader.damaged("its segments do not follow each other")
        if code == 0xFF:  # a fill byte
            at += 1
            continue
        if code in (0x01, *range(0xD0, 0xD8)):
            at += 2
            continue
        length = reader.unpack(">H", at + 2)[0]
        if code == 0xD9 or length < 2:
            raise reader.damaged("it has no picture")
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            size = reader.unpack(">xHH", at + 4)
        at += 2 + length
        if code == 0xDA:
            break
    if size is None:
        raise reader.damaged("its pixels come before their size")
    _require_jpeg_end(reader, at)
    return image_info("jpg", size[1], size[0])


def _require_jpeg_end(reader: BoundedReader, at: int) -> None:
    """FF is stuffed within a scan, so that FF D9 after its start can only be the end marker."""
    length = reader.size - at
    if length <= _JPEG_READ_BYTES and b"\xff\xd9" not in reader.read(at, length):
        raise reader.truncated("its end marker is missing")


def _gif(reader: BoundedReader) -> MediaInfo:
    width, height, flags = reader.unpack("<HHB", 6)
    if reader.size > _GIF_READ_BYTES:
        return image_info("gif", width, height, None)
    at = 13 + _colour_table(flags)
    frames, hundredths = _gif_frames(reader, reader.read(0, reader.size), at)
    return image_info("gif", width, height, frames, hundredths / 100 if frames > 1 else None)


def _gif_frames(reader: BoundedReader, data: bytes, at: int) -> tuple[int, int]:
    """Count pictures and add up their delays in hundredths of a second."""
    frames = hundredths = 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x21:
            if data[at + 1 : at + 3] == b"\xf9\x04":
                hundredths += int.from_bytes(data[at + 4 : at + 6], "little")
            at = _skip_blocks(reader, data, at + 2)
        elif data[at] == 0x2C and at + 10 <= len(data):
            at = _skip_blocks(reader, data, at + 11 + _colour_table(data[at + 9]))
            frames += 1
        else:
            raise reader.damaged("its blocks do not follow each other")
    if not frames:
        raise reader.truncated("it has no picture")
    return frames, hundredths


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(reader: BoundedReader, data: bytes, at: int) -> int:
    while at < len(data):
        reader.step()
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    raise reader.truncated("it ends within a picture")


def _bmp(reader: BoundedReader) -> MediaInfo:
    """The pixels of an uncompressed bitmap take rows of whole 4-byte words."""
    pixels, header = reader.unpack("<II", 10)
    if header == 12:
        width, height, bits, packing = (*reader.unpack("<HH2xH", 18), 0)
    else:
        width, height, bits, packing = reader.unpack("<ii2xHI", 18)
    needed = pixels + (abs(width) * bits + 31) // 32 * 4 * abs(height)
    if packing in (0, 3) and needed > reader.size:
        raise reader.truncated(f"its pixels should end at byte {needed}")
    return image_info("bmp", abs(width), abs(height))


def _tiff(reader: BoundedReader) -> MediaInfo:
    """Read the size of the first image file directory and count the directories."""
    order, version = reader.unpack("2sH", 0)
    end = "<" if order == b"II" else ">"
    version = reader.unpack(end + "H", 2)[0]
    big = version == 43
    at = reader.unpack(end + ("8xQ" if big else "4xI"), 0)[0]
    size, pages, seen = None, 0, set()
    while at and pages < _TIFF_PAGES:
        if at in seen:
            raise reader.damaged("its pages go round in a circle")
        seen.add(at)
        pages += 1
        here, at = _tiff_directory(reader, at, end, big)
        size = size or here
    if size is None:
        raise reader.damaged("it states no size")
    return image_info("tiff", size[0], size[1], pages)


def _tiff_directory(
    reader: BoundedReader, at: int, end: str, big: bool
) -> tuple[tuple[int, int] | None, int]:
    """Return the size in pixels of one directory, None if it has none, and the next offset."""
    reader.step()
    count = reader.unpack(end + ("Q" if big else "H"), at)[0]
    if count > _IFD_ENTRIES:
        raise reader.damaged("a page has an impossible number of fields")
    start, width = (at + 8, 20) if big else (at + 2, 12)
    found: dict[int, int] = {}
    entries = reader.exactly(start, count * width)
    for entry in (entries[i : i + width] for i in range(0, len(entries), width)):
        tag, kind = (_integer(entry[i : i + 2], end) for i in (0, 2))
        field = entry[12:] if big else entry[8:]
        if tag in (256, 257):
            found[tag] = _integer(field[: {3: 2, 4: 4}.get(kind, len(field))], end)
    following = reader.unpack(end + ("Q" if big else "I"), start + count * width)[0]
    return ((found[256], found[257]) if len(found) == 2 else None), following


def _integer(data: bytes, end: str) -> int:
    return int.from_bytes(data, "little" if end == "<" else "big")


def _webp(reader: BoundedReader) -> MediaInfo:
    stated = reader.unpack("<4xI", 0)[0] + 8
    if stated > reader.size:
        raise reader.truncated(f"it should end at byte {stated}, the file has {reader.size} bytes")
    size, frames, milliseconds = None, 0, 0
    for chunk in chunks(reader, 12, stated):
        if chunk.code == b"VP8X":
            size = _three_byte_sizes(reader.exactly(chunk.start + 4, 6))
        elif chunk.code == b"ANMF":
            frames += 1
            milliseconds += int.from_bytes(reader.exactly(chunk.start + 12, 3), "little")
        elif chunk.code in (b"VP8 ", b"VP8L") and size is None:
            size = _webp_bitstream(reader, chunk.code, chunk.start)
    if size is None:
        raise reader.damaged("it has no picture")
    return image_info("webp", *size, frames or 1, milliseconds / 1000 if frames > 1 else None)


def _three_byte_sizes(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:3], "little") + 1, int.from_bytes(data[3:], "little") + 1


def _webp_bitstream(reader: BoundedReader, code: bytes, at: int) -> tuple[int, int]:
    """Read two 14-bit sizes: of a VP8 key frame (RFC 6386, 9.1), or of VP8L, which are minus 1."""
    if code == b"VP8 ":
        mark, width, height = reader.unpack("<3x3sHH", at)
        if mark != b"\x9d\x01\x2a":
            raise reader.damaged("its picture does not start with a key frame")
        return width & 0x3FFF, height & 0x3FFF
    mark, packed = reader.unpack("<BI", at)
    if mark != 0x2F:
        raise reader.damaged("its lossless picture has no signature")
    return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1


_PARSERS: dict[str, Callable[[BoundedReader], MediaInfo]] = {
    "png": _png,
    "jpg": _jpeg,
    "gif": _gif,
    "bmp": _bmp,
    "tiff": _tiff,
    "webp": _webp,
}
