"""Which file system a path is on, by the kernel's list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl import disks
from cvl.disks import file_system, is_network

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


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    listed = tmp_path / "mounts"
    listed.write_text(MOUNTS)
    monkeypatch.setattr(disks, "MOUNTS", listed)
    return listed


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
def test_the_nearest_mount_counts(mounts: Path, path: str, kind: str) -> None:
    assert file_system(Path(path)) == kind


def test_a_link_leads_to_where_it_leads(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/ada/x")
    assert file_system(tmp_path / "link") == "nfs4"


REMOTE = ["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "fuse.sshfs", "9p"]
LOCAL = ["ext4", "xfs", "btrfs", "zfs", "overlay", "fuseblk", "tmpfs"]


@pytest.mark.parametrize("kind", REMOTE + LOCAL)
def test_others_answer_for_a_network_file_system(mounts: Path, kind: str) -> None:
    mounts.write_text(f"x / {kind} rw 0 0\n")
    assert is_network(Path("/a")) is (kind in REMOTE)


def test_without_a_list_nothing_is_known(mounts: Path) -> None:
    mounts.unlink()
    assert file_system(Path("/")) == "" and not is_network(Path("/"))


def test_of_this_machine(tmp_path: Path) -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert not is_network(tmp_path)
