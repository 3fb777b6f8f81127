"""run(): request in, events and a result out, an exit code that says what kind of end it was."""

import contextlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Dict, NoReturn, Optional, Type

from . import decoding, disk, memory, runtime
from .events import PROTOCOL, Events
from .predictor import Context, InputError, Predictor
from .standalone import request_from_argv

EXIT_INPUT = 65
EXIT_DISK = 74
EXIT_OOM = 75
EXIT_OUTPUT = 76
RESULT_BYTES = 16384


def run(predictor: Type[Predictor]) -> NoReturn:
    """Run one prediction and end the process: 0 ok, 65 bad input, 74 disk full, 75 out of memory,
    76 bad output."""
    control = os.environ.get("CVL_CONTROL")
    if control:
        with contextlib.suppress(OSError):
            os.dup2(1, 2)  # an engine mixes two streams as they come: last words must come last
    events = Events(control)
    if control:
        _reserve_result(Path(control))
    result = _predict(predictor, events)
    for name, value in memory.peaks().items():
        events.emit("metric", name=name, value=value, unit="bytes")
    if control:
        _write_result(Path(control), result)
    elif result["status"] != "ok":
        print(f"error: {result['message']}", file=sys.stderr)
        if result.get("hint"):
            print(f"hint: {result['hint']}", file=sys.stderr)
    else:
        print(json.dumps(result["outputs"]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads that a library left behind would keep the container alive.
    os._exit(int(result["exit"]))


def _predict(predictor: Type[Predictor], events: Events) -> Dict[str, Any]:
    try:
        request = _read_request()
        settings = runtime.resolve(request.get("options", {}))
        ctx = Context(request, events, settings)
        started = time.monotonic()
        model = predictor()
        model.setup(ctx)
        events.emit("metric", name="setup_s", value=time.monotonic() - started, unit="s")
        started = time.monotonic()
        written = {
            name: str(path) for name, path in model.predict(ctx, **request["inputs"]).items()
        }
        events.emit("metric", name="predict_s", value=time.monotonic() - started, unit="s")
        decoding.check_all(written, request)
        return {"status": "ok", "exit": 0, "outputs": written, "dtype": settings.dtype}
    except InputError as error:
        return _failure(EXIT_INPUT, "input", error.message, hint=error.hint, code=error.code)
    except decoding.OutputError as error:
        return _failure(EXIT_OUTPUT, "output", str(error))
    except Exception as error:
        traceback.print_exc()
        device = _oom_device(error)
        if device is not None:
            return _failure(EXIT_OOM, "oom", str(error), device=device)
        number = disk.full_errno(error)
        if number:
            return _disk_full(error, number)
        return _failure(1, "error", f"{type(error).__name__}: {error}")


def _disk_full(error: BaseException, number: int) -> Dict[str, Any]:
    told = f"{type(error).__name__}: {error}"
    return _failure(EXIT_DISK, "disk", told, errno=number, place=disk.full_place())


def _failure(exit_code: int, status: str, message: str, **more: Any) -> Dict[str, Any]:
    return {"status": status, "exit": exit_code, "message": message[:2000], **more}


def _read_request() -> Dict[str, Any]:
    """From stdin under cvl, so that no value is ever in argv or the environment; else from argv."""
    if not os.environ.get("CVL_CONTROL"):
        return request_from_argv(sys.argv[1:])
    request: Dict[str, Any] = json.loads(sys.stdin.buffer.read())
    with contextlib.suppress(OSError):
        sys.stdin.close()
    if request.get("protocol") != PROTOCOL:
        raise RuntimeError(
            f"protocol {request.get('protocol')} is not {PROTOCOL}: rebuild the image"
        )
    os.environ.update(request.get("environment", {}))
    return request


def _oom_device(error: BaseException) -> Optional[str]:
    """Which memory ran out: "cuda", "mps", "cpu", or None when it is another kind of error."""
    if isinstance(error, MemoryError):
        return "cpu"
    text = str(error).lower()
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text:
        return "mps" if "mps" in text else "cuda" if "cuda" in text or "gpu" in text else "cpu"
    return None


def _reserve_result(control: Path) -> None:
    """Room for the result: a program that fills the disk must still be able to say so."""
    with contextlib.suppress(OSError):
        (control / "result.json.part").write_bytes(os.urandom(RESULT_BYTES))


def _write_result(control: Path, result: Dict[str, Any]) -> None:
    """In the room that was kept for it. Without a result, the exit code speaks."""
    temporary = control / "result.json.part"
    try:
        with open(str(temporary), "r+b" if temporary.exists() else "wb") as stream:
            stream.write(json.dumps(result).encode())
            stream.truncate()
        temporary.replace(control / "result.json")
    except OSError as error:
        print(f"the result cannot be written: {error}", file=sys.stderr)
