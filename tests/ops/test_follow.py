"""Following a container: why it was stopped, what it says, and what it cannot make us believe."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cvl.engine.fake import TERMINATED, FakeContainer, FakeEngine, Program, timed_out
from cvl.ops import follow
from cvl.ops.cancel import Cancel
from cvl.ops.follow import BoundedLog, Events, Follower, Watched, read_result
from cvl.ops.report import Progress, Silent
from tests.support.container_specs import bare_container

MIB = 1 << 20


@dataclass
class Told(Silent):
    """Keeps progress and warnings."""

    seen: list[Progress] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.seen.append(progress)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def events(path: Path, told: Told) -> Events:
    return Events(path, "talk", told)


Follow = Callable[..., Watched]


@pytest.fixture
def followed(events: Events, told: Told) -> Follow:
    """Start a program and follow it to its end."""

    def start(
        program: Program,
        *,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
        grace_s: float = 0.05,
        fault: str = "",
    ) -> Watched:
        engine = FakeEngine(program)
        container = engine.create(bare_container(engine.add_image("image")))
        if fault == "kill":
            engine.fail("kill", timed_out())
        run = engine.start(container, b"", lambda data: None)
        watched = Follower(
            engine, container, run, events, cancel or Cancel(), timeout_s, grace_s, told, "talk"
        ).follow()
        engine.containers[container].kill()
        return watched

    return start


def until_stopped(container: FakeContainer) -> int:
    container.wait_for_stop()
    return TERMINATED


def until_killed(container: FakeContainer) -> int:
    container.wait_for_kill()
    return 0


def test_a_program_that_ends_by_itself_was_stopped_by_nobody(followed: Follow) -> None:
    assert followed(lambda container: 3).stop_reason == ""


@pytest.mark.parametrize("program", [until_stopped, until_killed])
def test_the_clock_is_named_as_the_reason(program: Program, followed: Follow) -> None:
    assert followed(program, timeout_s=0.01).stop_reason == "timeout"


@pytest.mark.parametrize("program", [until_stopped, until_killed])
def test_the_user_is_named_as_the_reason(program: Program, followed: Follow) -> None:
    cancel = Cancel()
    cancel.request(signal.SIGINT)
    assert followed(program, cancel=cancel).stop_reason == "cancelled"


def test_the_user_counts_for_more_than_the_clock(followed: Follow) -> None:
    cancel = Cancel()

    def ask(container: FakeContainer) -> int:
        container.wait_for_stop()
        cancel.request(signal.SIGINT)
        return 0

    assert followed(ask, cancel=cancel, timeout_s=0.01, grace_s=60).stop_reason == "cancelled"


def test_a_cancel_in_the_moment_of_a_good_end_is_still_a_cancel(followed: Follow) -> None:
    cancel = Cancel()

    def ask(container: FakeContainer) -> int:
        cancel.request(signal.SIGINT)
        return 0

    assert followed(ask, cancel=cancel).stop_reason == "cancelled"


def test_a_connection_that_breaks_is_named_as_the_reason(followed: Follow) -> None:
    def cut(container: FakeContainer) -> int:
        container.disconnect()
        return until_killed(container)

    assert followed(cut).stop_reason == "engine_lost"


def test_a_stop_that_breaks_the_connection_keeps_its_reason(followed: Follow) -> None:
    def cut(container: FakeContainer) -> int:
        container.wait_for_stop()
        container.disconnect()
        return until_killed(container)

    assert followed(cut, timeout_s=0.01, grace_s=60).stop_reason == "timeout"


def test_an_engine_that_cannot_even_kill_does_not_hold_us_up(followed: Follow) -> None:
    cancel = Cancel()
    cancel.request(signal.SIGINT)
    cancel.request(signal.SIGINT)
    watched = followed(until_killed, cancel=cancel, grace_s=3600, fault="kill")
    assert watched.stop_reason == "cancelled"


def test_events_of_the_last_moment_are_read(followed: Follow, path: Path) -> None:
    def talk(container: FakeContainer) -> int:
        path.write_text('{"event": "metric", "name": "fps", "value": 24}\n')
        return 0

    assert followed(talk).metrics == {"fps": 24.0}


def append(path: Path, *lines: Any) -> None:
    with path.open("ab") as stream:
        for line in lines:
            data = line if isinstance(line, bytes) else json.dumps(line).encode()
            stream.write(data + b"\n")


def test_progress_metrics_and_warnings_are_told(path: Path, events: Events, told: Told) -> None:
    append(
        path,
        {"event": "progress", "done": 1, "total": 4, "unit": "frames"},
        {"event": "metric", "name": "fps", "value": 24.5},
        {"event": "warning", "message": "dark"},
        {"event": "preview", "file": "preview-0.jpg"},
    )
    events.poll()
    assert told.seen == [Progress("talk", "run", 1, 4, "frames")]
    assert (events.metrics, events.warnings) == ({"fps": 24.5}, ["dark"])
    assert told.warnings == ["talk: dark"]


def test_an_event_that_is_half_written_waits_for_its_other_half(
    path: Path, events: Events, told: Told
) -> None:
    line = b'{"event": "progress", "done": 1, "total": 4}\n'
    for part in (line[:20], line[20:]):
        with path.open("ab") as stream:
            stream.write(part)
        events.poll()
    assert [p.done for p in told.seen] == [1]


FORGED: list[Any] = [
    b"",
    b"\x00\xff\xfe not text",
    b"{",
    b"[" * 100_000,
    b'{"event": ' * 50_000,
    b"null",
    b"7",
    b'"event"',
    b"[]",
    b"{}",
    b'{"event": "progress", "done": 1' + b"0" * 400 + b', "total": 1}',
    b'{"event": "progress", "done": 1' + b"0" * 5000 + b', "total": 1}',
    b'{"event": "progress", "done": 1e999, "total": 1}',
    b'{"event": "progress", "done": NaN, "total": 1}',
    b'{"event": "progress", "done": 1, "total": -Infinity}',
    b'{"event": "metric", "name": "n", "value": NaN}',
    b'{"event": "metric", "name": "n", "value": 1' + b"0" * 400 + b"}",
    {"event": ["progress"]},
    {"event": {"progress": 1}},
    {"event": "progress"},
    {"event": "progress", "done": None, "total": {}},
    {"event": "progress", "done": "one", "total": []},
    {"event": "metric", "name": "n", "value": [1]},
    {"event": "metric", "value": 1},
    {"event": "warning"},
    {"event": "phase", "step": "talk", "phase": "done"},
    {"event": "result", "status": "ok"},
]


@pytest.mark.parametrize("line", FORGED, ids=lambda line: str(line)[:40])
def test_a_forged_event_is_passed_over_and_the_next_one_is_read(
    line: Any, path: Path, events: Events, told: Told
) -> None:
    append(path, line, {"event": "progress", "done": 2, "total": 4})
    events.poll()
    assert told.seen == [Progress("talk", "run", 2, 4, "")]
    assert (events.metrics, events.warnings) == ({}, [])


def test_no_event_can_drive_a_terminal_or_fill_the_memory(
    path: Path, events: Events, told: Told
) -> None:
    append(
        path,
        {"event": "warning", "message": "\x1b]0;owned\x07\x1b[2Jred\n\rline" + "x" * 9000},
        {"event": "metric", "name": "\x1b[31mfps" + "x" * 9000, "value": 1},
        {"event": "progress", "done": 1, "total": 2, "unit": "\x1b[2J" + "u" * 9000},
    )
    events.poll()
    texts = [*events.warnings, *events.metrics, told.seen[0].unit]
    assert not any(ord(character) < 32 for text in texts for character in text)
    assert [len(text) for text in texts] == [500, 64, 32]


def test_warnings_and_metrics_have_an_end(path: Path, events: Events) -> None:
    append(path, *({"event": "warning", "message": str(n)} for n in range(300)))
    append(path, *({"event": "metric", "name": str(n), "value": n} for n in range(3000)))
    events.poll()
    assert (len(events.warnings), len(events.metrics)) == (100, 1000)


def test_of_a_flood_of_events_the_end_counts_and_one_progress_is_told_at_a_time(
    path: Path, events: Events, told: Told
) -> None:
    progress = json.dumps({"event": "progress", "done": 1, "total": 9}).encode() + b"\n"
    with path.open("ab") as stream:
        stream.write(progress * (4 * MIB // len(progress)))
    append(
        path, {"event": "metric", "name": "peak", "value": 7}, {"event": "warning", "message": "w"}
    )
    append(path, {"event": "progress", "done": 8, "total": 9})
    events.poll()
    assert (events.metrics, events.warnings) == ({"peak": 7.0}, ["w"])
    assert [p.done for p in told.seen] == [8]


def test_a_line_without_an_end_is_dropped(path: Path, events: Events) -> None:
    for _ in range(20):
        with path.open("ab") as stream:
            stream.write(b"x" * MIB)
        events.poll()
        assert len(events._rest) <= follow.MAX_EVENT


@pytest.mark.parametrize("size", [0, 1 << 40], ids=["emptied", "a terabyte of nothing"])
def test_a_file_of_another_length_is_harmless(
    size: int, path: Path, events: Events, told: Told
) -> None:
    append(path, {"event": "progress", "done": 1, "total": 2})
    events.poll()
    os.truncate(path, size)
    events.poll()
    assert len(told.seen) == 1
    assert len(events._rest) <= follow.MAX_EVENT


@pytest.mark.parametrize("how", ["symlink", "fifo"])
def test_what_is_put_in_the_place_of_the_file_is_not_read(
    how: str, path: Path, events: Events, told: Told
) -> None:
    bait = path.with_name("bait")
    append(bait, {"event": "warning", "message": "believe me"})
    path.unlink()
    if how == "symlink":
        path.symlink_to(bait)
    else:
        os.mkfifo(path)
    events.poll()
    assert told.warnings == []


def test_a_file_that_is_there_already_is_not_taken_for_ours(path: Path, told: Told) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(FileExistsError):
        Events(path, "talk", told)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": "' + b"x" * (2 * MIB) + b'"}'],
    ids=lambda data: repr(data[:10]),
)
def test_a_result_that_is_none_is_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(data)
    assert read_result(tmp_path / "result.json") == {}


@pytest.mark.parametrize("how", ["symlink", "fifo", "folder", "hard link", "missing"])
def test_a_result_that_is_no_plain_file_is_nothing(how: str, tmp_path: Path) -> None:
    bait, place = tmp_path / "bait", tmp_path / "result.json"
    bait.write_text('{"status": "ok"}')
    makers: dict[str, Callable[[], object]] = {
        "symlink": lambda: place.symlink_to(bait),
        "fifo": lambda: os.mkfifo(place),
        "folder": place.mkdir,
        "hard link": lambda: os.link(bait, place),
        "missing": lambda: None,
    }
    makers[how]()
    assert read_result(place) == {}


def test_a_plain_result_is_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"status": "ok", "exit": 0}')
    assert read_result(tmp_path / "result.json") == {"status": "ok", "exit": 0}


def test_a_log_keeps_its_newest_part_and_never_grows_past_twice_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOG_BYTES", 1000)
    log = BoundedLog(tmp_path / "talk.log")
    for number in range(1000):
        log.write(b"%05d\n" % number)
    log.close()
    text = (tmp_path / "talk.log.old").read_text() + (tmp_path / "talk.log").read_text()
    assert len(text) <= 2100
    numbers = [int(line) for line in text.split()]
    assert numbers == list(range(numbers[0], 1000))
    assert log.tail.endswith("00999\n")


def test_a_log_that_cannot_be_written_costs_the_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOG_BYTES", 10)
    (tmp_path / "logs").mkdir()
    log = BoundedLog(tmp_path / "logs" / "talk.log")
    log.write(b"x" * 20)
    (tmp_path / "logs" / "talk.log").unlink()
    (tmp_path / "logs").rmdir()
    for _ in range(3):
        log.write(b"more\n")
    assert log.tail.endswith("more\nmore\nmore\n")
    log.close()
