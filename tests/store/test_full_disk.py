"""Results and outputs on a disk without room: none of it stays, and nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cvl.errors import DiskFullError
from cvl.store.digests import Digests
from cvl.store.numbering import publish_all
from cvl.store.publishing import Finished
from cvl.store.results import Results
from cvl.store.targets import STAGING, Target
from tests.support.disks import small_disk
from tests.support.files import produced

KEY, OTHER = "ab" * 32, "cd" * 32


def test_what_cannot_be_kept_on_a_full_disk_takes_no_room_of_it(tmp_path: Path) -> None:
    """The blob is only renamed into the store; for the few bytes that would lead to it there is no
    room."""
    with small_disk(tmp_path / "disk", 4) as disk:
        results = Results(disk.mount / "results")
        results.commit(KEY, {"text": produced(disk.mount / "small", b"hello")}, "fp32")
        made = produced(disk.mount / "made", os.urandom(1 << 20))
        used = disk.used
        disk.fill()
        with pytest.raises(DiskFullError, match=f"the disk at {disk.mount} is full"):
            results.commit(OTHER, {"text": made}, "fp32")
        assert used - disk.used >= 1 << 20
        assert [path.read_bytes() for path in results.blobs()] == [b"hello"]
        disk.clear()
        assert results.lookup(OTHER) is None
        assert results.lookup(KEY) is not None


def test_a_blob_that_was_found_before_its_commit_failed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process made the same bytes and got them from here."""
    results = Results(tmp_path / "results")
    made = {"text": produced(tmp_path / "made", b"both made this")}

    def found_meanwhile(path: Path, data: bytes) -> None:
        assert results.find(made["text"].sha256) is not None
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cvl.store.results.write_atomic", found_meanwhile)
    with pytest.raises(DiskFullError):
        results.commit(KEY, made, "fp32")
    assert results.find(made["text"].sha256) is not None


def test_several_outputs_are_all_written_before_any_is_replaced(tmp_path: Path) -> None:
    """The second has no room: the first is not published either."""
    with small_disk(tmp_path / "disk", 3) as disk:
        data = {"a": b"new a", "b": bytes(2 << 20)}
        targets, finished = {}, {}
        for name, content in data.items():
            path = disk.mount / f"{name}.txt"
            path.write_text("old")
            targets[name] = Target(path, disk.mount / f"{STAGING}1", overwrite=True)
            finished[name] = Finished(produced(tmp_path / name, content), None)
        disk.fill(1 << 20)
        with pytest.raises(DiskFullError, match=f"the disk at {disk.mount} is full"):
            publish_all(finished, targets, lambda: None)
        assert [target.path.read_text() for target in targets.values()] == ["old", "old"]
        disk.clear()
        publish_all(finished, targets, lambda: None)
        assert [target.path.read_bytes() for target in targets.values()] == list(data.values())


def test_what_a_file_holds_is_read_again_where_it_cannot_be_remembered(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        digests, identity = Digests(disk.mount / "digests"), (1, 2, 2 << 20, 3, 4)
        disk.fill()
        digests.remember(identity, "a" * 64)
        assert digests.known(identity) == ""
        assert list((disk.mount / "digests").iterdir()) == []
        disk.clear()
        digests.remember(identity, "a" * 64)
        assert digests.known(identity) == "a" * 64
