"""What a process that downloads has to end with is removed: also what is closed and not renamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from cvl.hub.unfinished import Unfinished


def test_own_files_go_by_their_names_and_no_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    unfinished = Unfinished()
    mine, probe, branch = (unfinished.uuid4() for _ in range(3))
    repo = tmp_path / "models--org--x"
    ours = [
        repo / "blobs" / f"{'a' * 40}.{mine.hex[:8]}.incomplete",
        repo / "blobs" / f"tmp_{probe}",
        repo / "refs" / f"main.{branch.hex[:8]}.tmp",
    ]
    others = [
        repo / "blobs" / f"{'a' * 40}.0123abcd.incomplete",
        repo / "blobs" / f"{mine.hex[:8]}.whole",
        repo / "refs" / "main",
    ]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    unfinished.remove()
    assert not [path for path in ours if path.exists()]
    assert [path.name for path in others if not path.exists()] == []
