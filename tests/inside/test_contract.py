"""What a predict.py may rely on, and what cvl may rely on of it: a tiny predictor as a process of
its own, under cvl's control folder and by itself."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.inside.tiny import PREDICT
from tests.support.disks import small_disk
from tests.support.processes import ROOT

EXAMPLE = {
    "name": "tiny",
    "summary": "Tiny 100% test",
    "inputs": {
        "act": {"type": "string", "default": "ok"},
        "text": {"type": "string", "optional": True, "help": "50% of it"},
        "steps": {"type": "integer", "default": 4},
        "loud_voice": {"type": "boolean", "default": False},
        "size": {"type": "choice", "choices": [480, 720], "default": 480},
    },
    "outputs": {
        "result": {"type": "file", "default": "result.txt"},
        "extra": {"type": "file", "default": "extra.txt", "optional": True},
    },
}


@dataclass(frozen=True)
class Ran:
    """A predict.py that ended, and what it left in its control folder."""

    code: int
    out: str
    err: str
    control: Path

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.control / "result.json").read_text())
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.control / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """/app as it is in an image."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "predict.py").write_text(PREDICT)
    (folder / "example.json").write_text(json.dumps(EXAMPLE))
    (folder / "cvl_inside").symlink_to(ROOT / "cvl" / "inside" / "cvl_inside")
    return folder


def start(app: Path, *argv: str, stdin: str = "", **environment: str) -> Ran:
    control = app.parent / "control"
    control.mkdir(exist_ok=True)
    result = subprocess.run(
        [sys.executable, "predict.py", *argv],
        cwd=app,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Ran(result.returncode, result.stdout, result.stderr, control)


def under_cvl(app: Path, act: str, **changes: Any) -> Ran:
    """Run it as cvl does: the request on stdin, everything else in the control folder."""
    request = {
        "protocol": 1,
        "inputs": {"act": act, "text": None, "steps": 4, "loud_voice": False},
        "outputs": {"result": str(app.parent / "result.txt")},
        "expect": {"result": {"type": "file", "expect": {}}},
        "options": {"seed": 7, "device": "cpu", "dtype": "auto", "offload": "none"},
        "secrets": {"API_KEY": "s3cret"},
        **changes,
    }
    control = str(app.parent / "control")
    return start(app, stdin=json.dumps(request), CVL_CONTROL=control)


def test_a_good_run_writes_its_output_its_result_and_its_metrics(app: Path) -> None:
    ran = under_cvl(app, "ok")
    assert (ran.code, ran.out) == (0, "loading\n")
    assert (app.parent / "result.txt").read_text() == "7 fp32"
    assert ran.result["status"] == "ok"
    assert ran.result["dtype"] == "fp32"
    assert metrics_of(ran).keys() == {"setup_s", "predict_s", "peak_rss_bytes"}


def metrics_of(ran: Ran) -> dict[str, float]:
    return {event["name"]: event["value"] for event in ran.events("metric")}


def test_the_most_memory_that_the_process_and_its_children_took_is_measured(app: Path) -> None:
    ran = under_cvl(app, "eat")
    assert ran.code == 0
    # A process begins with the peak of the one that forked it: here the tests, in a container none.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 210 << 20 < metrics_of(ran)["peak_rss_bytes"] < (400 << 20) + ours


TORCH = """
class cuda:
    used = {0: 10, 1: 30}
    is_initialized = staticmethod(lambda: INITIALIZED)
    device_count = staticmethod(lambda: 2)
    max_memory_allocated = staticmethod(lambda device: cuda.used[device])
"""


@pytest.mark.parametrize(
    ("torch", "expected"),
    [
        (TORCH.replace("INITIALIZED", "True"), 30),
        (TORCH.replace("INITIALIZED", "False"), None),
        (TORCH.replace("INITIALIZED", "1 / 0"), None),
        ("", None),
    ],
)
def test_memory_of_the_fullest_gpu_is_measured_where_torch_was_used(
    app: Path, torch: str, expected: int | None
) -> None:
    (app / "torch.py").write_text(torch)
    assert "peak_vram_bytes" not in metrics_of(under_cvl(app, "ok"))
    (app.parent / "control" / "events.jsonl").unlink()
    assert metrics_of(under_cvl(app, "torch")).get("peak_vram_bytes") == expected


@pytest.mark.parametrize(
    ("act", "code", "status", "message"),
    [
        ("input", 65, "input", "no face"),
        ("cuda", 75, "oom", "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0)"),
        ("mps", 75, "oom", "MPS backend out of memory"),
        ("memory", 75, "oom", ""),
        ("crash", 1, "error", "ValueError: bad luck"),
        ("forget", 76, "output", "predict() returned no 'result'"),
        ("missing", 76, "output", "output 'result' was not written"),
        ("empty", 76, "output", "output 'result' is empty"),
        ("wants", 1, "error", "KeyError"),
    ],
)
def test_each_kind_of_end_has_its_exit_code_and_its_word(
    app: Path, act: str, code: int, status: str, message: str
) -> None:
    ran = under_cvl(app, act)
    assert (ran.code, ran.result["exit"], ran.result["status"]) == (code, code, status)
    assert ran.result["message"].startswith(message)


def test_a_bad_input_keeps_its_hint_and_its_code_and_shows_no_traceback(app: Path) -> None:
    ran = under_cvl(app, "input")
    assert (ran.result["hint"], ran.result["code"]) == ("show one", "no_face")
    assert "Traceback" not in ran.out
    assert "Traceback" in under_cvl(app, "crash").out


def test_under_cvl_there_is_one_stream_so_that_last_words_come_last(app: Path) -> None:
    ran = under_cvl(app, "crash")
    assert ran.err == ""
    assert start(app, "--act", "crash").err != ""


@pytest.mark.parametrize(("act", "device"), [("cuda", "cuda"), ("mps", "mps"), ("memory", "cpu")])
def test_out_of_memory_names_the_device(app: Path, act: str, device: str) -> None:
    assert under_cvl(app, act).result["device"] == device


def test_an_output_somewhere_else_is_refused(app: Path) -> None:
    ran = under_cvl(app, "elsewhere")
    assert ran.code == 76
    assert "not to ctx.output()" in ran.result["message"]


@pytest.mark.parametrize(
    ("kind", "name"), [("audio", "result.wav"), ("video", "result.mp4"), ("image", "result.png")]
)
def test_an_output_that_does_not_decode_is_refused(app: Path, kind: str, name: str) -> None:
    ran = under_cvl(
        app,
        "ok",
        outputs={"result": str(app.parent / name)},
        expect={"result": {"type": kind, "expect": {}}},
    )
    assert (ran.code, ran.result["status"]) == (76, "output")


def test_an_output_that_is_no_json_is_refused(app: Path) -> None:
    expect = {"result": {"type": "json", "expect": {}}}
    inputs = {"act": "ok", "text": '{"a": 1}'}
    assert under_cvl(app, "ok", expect=expect, inputs=inputs).code == 0
    assert "is not JSON" in under_cvl(app, "ok", expect=expect).result["message"]


def test_progress_is_throttled_and_the_last_one_always_comes(app: Path) -> None:
    events = under_cvl(app, "many").events("progress")
    assert len(events) < 100
    assert (events[-1]["done"], events[-1]["total"], events[-1]["unit"]) == (2000, 2000, "steps")


def test_warnings_metrics_and_previews_are_events(app: Path) -> None:
    ran = under_cvl(app, "talk")
    assert ran.events("warning")[0]["message"] == "it is late"
    assert {"name": "fps", "value": 12.5}.items() <= ran.events("metric")[1].items()
    preview = ran.events("preview")[0]["file"]
    assert (ran.control / preview).read_bytes() == b"jpeg"


def test_a_secret_reaches_the_predictor_and_nothing_that_is_written(app: Path) -> None:
    for act in ("talk", "crash", "input"):
        ran = under_cvl(app, act)
        written = [path.read_text() for path in ran.control.iterdir()]
        assert not [text for text in [ran.out, ran.err, *written] if "s3cret" in text]


def test_a_setup_that_fails_is_a_failure(app: Path) -> None:
    ran = under_cvl(app, "ok", secrets={"API_KEY": "setup"})
    assert (ran.code, ran.result["message"]) == (1, "RuntimeError: no weights")


def test_a_thread_that_a_library_left_does_not_keep_the_process(app: Path) -> None:
    assert under_cvl(app, "thread").code == 0


def test_a_request_that_is_not_understood_says_to_rebuild(app: Path) -> None:
    ran = under_cvl(app, "ok", protocol=99)
    assert (ran.code, "rebuild the image" in ran.result["message"]) == (1, True)
    broken = start(app, stdin="{", CVL_CONTROL=str(app.parent / "control"))
    assert (broken.code, broken.result["status"]) == (1, "error")


def test_by_itself_it_takes_options_and_prints_where_the_outputs_are(app: Path) -> None:
    ran = start(app, "--text", "hi", "--output", "out.txt", "--seed", "3", "--loud-voice", "yes")
    assert ran.code == 0
    assert json.loads(ran.out.splitlines()[-1]) == {"result": str(app / "out.txt")}
    assert (app / "out.txt").read_text() == "hi"


def test_by_itself_a_choice_may_be_a_number(app: Path) -> None:
    assert start(app, "--act", "size", "--size", "720").code == 0


def test_by_itself_it_writes_the_outputs_that_are_not_optional(app: Path) -> None:
    assert start(app).code == 0
    assert (app / "result.txt").read_text() == "0 fp32"
    assert not (app / "extra.txt").exists()


def test_by_itself_it_says_what_went_wrong(app: Path) -> None:
    ran = start(app, "--act", "input")
    assert (ran.code, ran.err) == (65, "error: no face\nhint: show one\n")
    assert start(app, "--act", "cuda").code == 75
    assert start(app, "--steps", "many").code == 2
    assert start(app, "--size", "721").code == 2
    assert start(app, "--tex", "abbreviated").code == 2


def test_by_itself_it_has_help(app: Path) -> None:
    ran = start(app, "--help")
    assert ran.code == 0
    assert "Tiny 100% test" in ran.out and "50% of it" in ran.out


def test_it_runs_on_python_3_8() -> None:
    """Its syntax, and what of the standard library it may use: ruff knows both."""
    folder = ROOT / "cvl" / "inside" / "cvl_inside"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F,UP036"]
    checked = subprocess.run(
        [*command, "--target-version", "py38", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_variables_that_nobody_else_may_see_come_with_the_request(app: Path) -> None:
    private = {"https_proxy": "http://ada:opensesame@proxy:1"}
    assert under_cvl(app, "proxy", environment=private).code == 0
    assert under_cvl(app, "proxy").code == 1


@pytest.mark.parametrize("act", ["fill", "fill behind"])
def test_a_program_that_fills_the_disk_can_still_say_so(act: str, app: Path) -> None:
    """Output, result and events are on the same disk, as they are under cvl."""
    with small_disk(app.parent / "small", 2) as disk:
        (disk.mount / "control").mkdir()
        (app.parent / "control").symlink_to(disk.mount / "control")
        outputs = {"result": str(disk.mount / "result.txt")}
        ran = under_cvl(app, act, outputs=outputs)
        assert disk.free < 1 << 14
        assert (ran.code, ran.result["status"], ran.result["errno"]) == (74, "disk", errno.ENOSPC)
        assert ran.result["place"] == str(app.parent / "control")


def test_what_a_program_quotes_counts_and_no_place_is_named_that_has_room(app: Path) -> None:
    ran = under_cvl(app, "quote")
    assert (ran.code, ran.result["status"], ran.result["place"]) == (74, "disk", "")


def test_events_that_cannot_be_written_cost_no_result(app: Path) -> None:
    with small_disk(app.parent / "control", 1) as disk:
        (disk.mount / "result.json.part").write_bytes(bytes(1 << 14))
        disk.fill()
        ran = under_cvl(app, "many")
        assert (ran.code, ran.result["status"]) == (0, "ok")
