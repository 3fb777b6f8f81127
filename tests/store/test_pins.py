"""What is known of a repo is changed by several at once, and nothing of it is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cvl.store.pins import Pin, Pins


def test_changes_at_the_same_time_all_count(tmp_path: Path) -> None:
    def change(number: int) -> None:
        Pins(tmp_path).change("org/a", lambda lock: lock.with_pin(f"v{number}", Pin("0" * 40, 0)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(24)))
    assert len(Pins(tmp_path).of("org/a").pins) == 24
    assert [lock.repo for lock in Pins(tmp_path).all()] == ["org/a"]
