"""Movie fragments of ISO base media files (ISO/IEC 14496-12, 8.8)."""

from __future__ import annotations

from .isobmff_boxes import Box, child_boxes
from .reader import BoundedReader

_RUN_SAMPLES_READ = 65_536


class Fragments:
    """Adds up the samples of movie fragments per track.

    samples: track_ID to number of samples. end_ticks: track_ID to the end of its last sample in
    ticks of the track's timescale. stated_duration: ticks of the movie extends header, 0 if none.
    """

    def __init__(self, reader: BoundedReader) -> None:
        self._reader = reader
        self._default_ticks: dict[int, int] = {}
        self.samples: dict[int, int] = {}
        self.end_ticks: dict[int, int] = {}
        self.stated_duration = 0

    def read_defaults(self, start: int, end: int) -> None:
        """Read the movie extends box (8.8.1) whose payload lies between two offsets."""
        for child in child_boxes(self._reader, start, end):
            if child.code == b"trex":
                number, ticks = self._reader.unpack(">4xI4xI", child.start)
                self._default_ticks[number] = ticks
            elif child.code == b"mehd":
                version = self._reader.unpack("B", child.start)[0]
                form = ">4xQ" if version == 1 else ">4xI"
                self.stated_duration = self._reader.unpack(form, child.start)[0]

    def read_fragment(self, start: int, end: int) -> None:
        """Add one movie fragment (8.8.4) whose payload lies between two offsets."""
        for child in child_boxes(self._reader, start, end):
            if child.code == b"traf":
                self._read_track_fragment(child)

    def _read_track_fragment(self, traf: Box) -> None:
        children = list(child_boxes(self._reader, traf.start, traf.end))
        header = next((child for child in children if child.code == b"tfhd"), None)
        if header is None:
            raise self._reader.damaged("a track fragment has no header (tfhd)")
        number, default_ticks = self._header(header)
        at = self.end_ticks.get(number, 0)
        for child in children:
            if child.code == b"tfdt":
                version = self._reader.unpack("B", child.start)[0]
                at = self._reader.unpack(">4xQ" if version == 1 else ">4xI", child.start)[0]
            elif child.code == b"trun":
                count, ticks = self._run(child, default_ticks)
                self.samples[number] = self.samples.get(number, 0) + count
                at += ticks
        self.end_ticks[number] = max(at, self.end_ticks.get(number, 0))

    def _header(self, tfhd: Box) -> tuple[int, int]:
        """Return track_ID and the default sample duration in ticks (8.8.7)."""
        flags, number = self._reader.unpack(">II", tfhd.start)
        if not flags & 0x08:
            return number, self._default_ticks.get(number, 0)
        # base_data_offset and sample_description_index come before it where they are present.
        skip = 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
        return number, self._reader.unpack(">I", tfhd.start + skip)[0]

    def _run(self, trun: Box, default_ticks: int) -> tuple[int, int]:
        """Return the number of samples and their ticks (8.8.8)."""
        flags, count = self._reader.unpack(">II", trun.start)
        width = bin(flags & 0xF00).count("1")
        skip = 8 + (4 if flags & 0x01 else 0) + (4 if flags & 0x04 else 0)
        if skip + count * width * 4 > trun.end - trun.start:
            raise self._reader.damaged("a run of samples (trun) is larger than its box")
        if not flags & 0x100:
            return count, count * default_ticks
        if count > _RUN_SAMPLES_READ:
            raise self._reader.damaged("a run of samples (trun) has too many entries")
        table = self._reader.unpack(f">{count * width}I", trun.start + skip)
        return count, sum(table[::width])
