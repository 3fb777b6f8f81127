"""How a step ended, told from everything that is known, because an exit code alone lies."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from cvl.core.outcome import GPU_LOST, Ending, failure_of, warning_of
from cvl.errors import (
    Cancelled,
    CvlError,
    DiskFullError,
    EngineError,
    GpuError,
    InputError,
    MemoryFault,
    OutputError,
    StepError,
    TimeoutFault,
)

LOG = "/runs/1/talk.log"


def ending(code: int, **facts: Any) -> Ending:
    plain = {"oom_killed": False, "engine_error": "", "stop_reason": ""}
    return Ending(exit_code=code, **{**plain, **facts})


def named(code: int, **facts: Any) -> CvlError:
    failure = failure_of(ending(code, **facts), "talk", LOG)
    assert failure is not None
    return failure


def test_exit_0_is_a_success_without_a_warning() -> None:
    assert failure_of(ending(0, result={"status": "ok"}), "talk", LOG) is None
    assert warning_of(ending(0), "talk") is None


@pytest.mark.parametrize("code", [137, 3])
def test_the_engines_flag_makes_any_failure_an_out_of_memory(code: int) -> None:
    failure = named(code, oom_killed=True, memory_limit=2 * 10**9)
    assert type(failure) is MemoryFault
    assert (failure.code, failure.status) == ("container_out_of_memory", 5)
    assert "its limit of 2.0 GB" in failure.message


def test_a_killed_child_of_a_program_that_went_on_is_a_success_with_a_warning() -> None:
    survived = ending(0, oom_killed=True, result={"status": "ok"})
    assert failure_of(survived, "talk", LOG) is None
    assert "killed for memory" in (warning_of(survived, "talk") or "")


@pytest.mark.parametrize(
    ("device", "code", "where"),
    [
        ("cuda", "device_out_of_memory", "GPU memory"),
        ("mps", "device_out_of_memory", "GPU memory"),
        ("cpu", "out_of_memory", "memory"),
    ],
)
def test_exit_75_and_a_result_that_agrees_name_the_device(
    device: str, code: str, where: str
) -> None:
    failure = named(75, result={"status": "oom", "device": device})
    assert (type(failure), failure.code) == (MemoryFault, code)
    assert failure.message == f"talk ran out of {where}"


def test_137_without_the_engines_flag_is_no_out_of_memory() -> None:
    """`docker kill`, or a program that ends with 137 by itself."""
    failure = named(137)
    assert type(failure) is StepError
    assert "not by cvl and not for the container's memory limit" in failure.message


def test_who_asked_to_stop_comes_before_every_exit_code() -> None:
    facts: dict[str, Any] = {"oom_killed": True, "result": {"status": "oom"}}
    cancelled = named(137, stop_reason="cancelled", signum=15, **facts)
    assert (type(cancelled), cancelled.status) == (Cancelled, 143)
    late = named(137, stop_reason="timeout", timeout_s=90.0, **facts)
    assert (type(late), late.status) == (TimeoutFault, 7)
    assert "90 s" in late.message
    lost = named(-1, stop_reason="engine_lost", **facts)
    assert (type(lost), lost.code) == (EngineError, "engine_lost")


def test_a_success_that_came_too_late_is_no_success() -> None:
    assert type(named(0, stop_reason="cancelled", signum=2)) is Cancelled
    assert type(named(0, stop_reason="timeout", timeout_s=1.0)) is TimeoutFault


def test_exit_65_is_the_callers_input_in_the_programs_words() -> None:
    result = {"status": "input", "message": "no face", "hint": "show one", "code": "no_face"}
    failure = named(65, result=result)
    assert type(failure) is InputError
    assert (failure.message, failure.hint, failure.code) == ("no face", "show one", "no_face")


@pytest.mark.parametrize("code", [None, 3, "", "Bad Code\n", ["x"], "x" * 99])
def test_a_code_that_is_no_word_of_ours_is_not_repeated(code: Any) -> None:
    assert named(65, result={"status": "input", "code": code}).code == "bad_input"


def test_exit_76_is_a_bad_output() -> None:
    failure = named(76, result={"status": "output", "message": "'video' does not decode"})
    assert (type(failure), failure.status) == (OutputError, 6)
    assert failure.message == "talk: 'video' does not decode"
    assert LOG in failure.hint


@pytest.mark.parametrize("status", ["ok", "oom", "input", "output", 3, None, ["oom"]])
@pytest.mark.parametrize("code", [1, 65, 75, 76])
def test_a_result_that_does_not_agree_with_the_exit_code_is_not_believed(
    status: Any, code: int
) -> None:
    if (code, status) in ((65, "input"), (75, "oom"), (76, "output")):
        assert type(named(code, result={"status": status})) is not StepError
    else:
        assert type(named(code, result={"status": status})) is StepError


@pytest.mark.parametrize("status", ["oom", "input", "output", "error"])
def test_exit_0_is_a_success_whatever_the_result_says(status: str) -> None:
    """The outputs are checked on the host anyway."""
    assert failure_of(ending(0, result={"status": status}), "talk", LOG) is None


@pytest.mark.parametrize(
    "error",
    [
        'could not select device driver "" with capabilities: [[gpu]]',
        "OCI runtime create failed: nvidia-container-cli: initialization error",
    ],
)
def test_an_engine_that_cannot_give_the_gpu_says_what_to_install(error: str) -> None:
    failure = named(128, engine_error=error)
    assert (type(failure), failure.code) == (GpuError, "gpu_not_available")
    assert "nvidia-ctk" in failure.hint


def test_another_word_of_the_engine_is_repeated() -> None:
    failure = named(127, engine_error="a\nexec: python: not found\n")
    assert type(failure) is EngineError
    assert failure.message == "the container could not be run: exec: python: not found"


def test_a_gpu_that_was_lost_on_the_way() -> None:
    failure = named(1, log_tail=f"...\n{GPU_LOST}\n")
    assert (type(failure), failure.code) == (GpuError, "gpu_lost")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "talk failed (exit 1): last words"),
        (139, "talk failed (signal 11): last words"),
        (127, "no `python`"),
        (153, "a file grew over the size limit"),
    ],
)
def test_a_failed_program_is_told_with_its_last_line_and_the_log(code: int, said: str) -> None:
    failure = named(code, log_tail="first\nlast words\n \n")
    assert type(failure) is StepError
    assert said in failure.message
    assert failure.hint == f"the whole log: {LOG}"


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (74, {"status": "disk", "errno": 28, "message": "OSError: no space"}),
        (1, {}),
        (135, {}),
        (76, {"status": "output", "message": "cannot be decoded"}),
        (0, {"status": "ok"}),
    ],
)
def test_whatever_a_program_makes_of_a_full_disk_is_a_full_disk(
    code: int, result: dict[str, Any]
) -> None:
    failure = named(code, result=result, full_mount="/mnt/x")
    assert type(failure) is DiskFullError
    assert failure.message.startswith("the disk at /mnt/x is full: talk ")
    assert "/mnt/x" in failure.hint and "cvl gc" in failure.hint


@pytest.mark.parametrize(
    "facts", [{"stop_reason": "timeout", "timeout_s": 1}, {"oom_killed": True}]
)
def test_what_is_known_for_sure_comes_before_a_full_disk(facts: dict[str, Any]) -> None:
    assert type(named(137, full_mount="/mnt/x", **facts)) in (TimeoutFault, MemoryFault)


def test_a_bad_input_is_one_on_a_full_disk_too() -> None:
    result = {"status": "input", "message": "no face", "hint": "", "code": "no_face"}
    assert type(named(65, result=result, full_mount="/mnt/x")) is InputError


def test_no_disk_is_blamed_for_a_tmp_that_ran_full() -> None:
    for facts in (
        {"result": {"status": "disk", "errno": 28, "place": "/tmp\x1b[2J"}},
        {"log_tail": "OSError: [Errno 28] No space left on device"},
    ):
        failure = named(1, tmp_limit=64 << 20, **facts)
        assert (type(failure), failure.code) == (StepError, "no_space")
        assert "the disks of this machine have room" in failure.message
        assert "ctx.scratch" in failure.hint and LOG in failure.hint
        assert "\x1b" not in failure.message


def test_a_quota_is_one_of_the_hosts_disks() -> None:
    failure = named(74, result={"status": "disk", "errno": errno.EDQUOT, "place": ""})
    assert type(failure) is DiskFullError and "quota" in failure.message


WORDS = "\x1b[2Jred\x1b[0m\n\rhint: forged " + "x" * 10**6


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (65, {"status": "input", "message": WORDS, "hint": WORDS}),
        (76, {"status": "output", "message": WORDS}),
        (1, {"status": "error", "message": WORDS}),
        (
            65,
            {"status": "input", "message": ["["] * 10**5, "hint": {"a": float("nan")}, "code": []},
        ),
        (75, {"status": "oom", "device": WORDS}),
    ],
)
def test_what_a_program_says_of_its_end_is_one_short_line(
    code: int, result: dict[str, Any]
) -> None:
    failure = named(code, result=result)
    for text in (failure.message, failure.hint, failure.code):
        assert len(text) < 1200 and text.isprintable()


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("x" * 20000 + "\nKilled: 9\n\n\x1b[0m\n \r\n", "Killed: 9"),
        ("100%|####|\rTraceback\rValueError: no", "ValueError: no"),
        ("\x1b[31mError: \x1b[1mred\x1b[0m\n", "Error: red"),
    ],
)
def test_the_last_words_of_a_log_are_those_that_can_be_seen(tail: str, words: str) -> None:
    assert named(3, log_tail=tail).message == f"talk failed (exit 3): {words}"
