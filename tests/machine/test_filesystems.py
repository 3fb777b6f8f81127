"""Which file system a path is on, by the kernel's list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.machine.filesystems import file_system_of

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/ada/models xfs rw 0 0
//nas/big\\040disk /mnt/big\\040disk cifs rw 0 0
sshfs#x /mnt/over ext4 rw 0 0
sshfs#x /mnt/over fuse.sshfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/ada/.cache/huggingface/hub", "nfs4"),
        ("/home/ada/models/hub", "xfs"),
        ("/home/ada/models2", "nfs4"),
        ("/mnt/big disk/hub", "cifs"),
        ("/mnt/over/hub", "fuse.sshfs"),
        ("/mnt", "ext4"),
    ],
)
def test_the_nearest_mount_counts(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert file_system_of(path, str(mounts)) == kind


def test_a_link_leads_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/ada/x")
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert file_system_of(str(tmp_path / "link"), str(mounts)) == "nfs4"


def test_without_a_list_nothing_is_known(tmp_path: Path) -> None:
    assert file_system_of("/", str(tmp_path / "no")) == ""


def test_of_this_machine() -> None:
    assert file_system_of("/proc/self") == "proc"
