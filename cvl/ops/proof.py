"""The proof that `cvl doctor` asks for: a container of an image that is here already, hardened like
any other of cvl's, that writes a file and looks for its GPU."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cvl.core import owner as labels
from cvl.core.container import ContainerSpec, FoundImage
from cvl.core.doctor.facts import Problem, ProofFact
from cvl.core.outcome import Ending, failure_of
from cvl.core.plan import Limits, Placement, StepSpec
from cvl.core.policy import container_for
from cvl.errors import CvlError, GpuError, OutputError, TimeoutFault
from cvl.ops.request import new_run_id
from cvl.ops.scratch import scratch_folder
from cvl.ops.session import Session, inside_folder
from cvl.ops.step import lay_out, this_user
from cvl.store.locks import FileLock

GB = 10**9
TIMEOUT_S = 60.0
LIMITS = Limits(memory=GB, shm=1 << 26, file_size=1 << 26, pids=256, tmp=1 << 26)
PROGRAM = """
import ctypes, json
told = {"gpus": 0, "cuda": "", "why": ""}
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    count, version = ctypes.c_int(), ctypes.c_int()
    status = cuda.cuInit(0)
    told["why"] = "cuInit says %d" % status if status else ""
    if not status:
        cuda.cuDeviceGetCount(ctypes.byref(count))
        cuda.cuDriverGetVersion(ctypes.byref(version))
        told["gpus"] = count.value
        told["cuda"] = "%d.%d" % (version.value // 1000, version.value % 1000 // 10)
except OSError as error:
    told["why"] = str(error)
with open("/cvl/out/proof.json", "w") as stream:
    json.dump(told, stream)
"""


def prove(session: Session, gpu: str) -> ProofFact | None:
    """Run it, with the GPU of that UUID if there is one; None when no image of cvl's is here.
    Nothing is pulled or built. When the GPU is what fails, it is tried without as well."""
    started = time.monotonic()
    image = None
    try:
        image = _image(session)
        if image is None:
            return None
        told, gpu_problem = _with_or_without(session, image, gpu)
    except CvlError as error:
        problem = Problem(error.code, error.message, error.hint)
    except (OSError, ValueError) as error:
        problem = Problem("failed", str(error), "")
    else:
        seconds = time.monotonic() - started
        seen = int(told["gpus"]) if gpu else 0
        why = gpu_problem or str(told["why"] if gpu else "")
        cuda = str(told["cuda"])
        return ProofFact(_name(image), int(bool(gpu)), round(seconds, 3), None, seen, why, cuda)
    return ProofFact(_name(image), int(bool(gpu)), time.monotonic() - started, problem)


def _with_or_without(session: Session, image: FoundImage, gpu: str) -> tuple[dict[str, Any], str]:
    """What the container told; why it could not have the GPU."""
    if gpu:
        try:
            return _told(session, image, (gpu,)), ""
        except GpuError as error:
            return {**_told(session, image, ()), "gpus": 0}, error.message
    return _told(session, image, ()), ""


def _image(session: Session) -> FoundImage | None:
    """An image that cvl built: it has Python, like all of them."""
    images = session.engine.images({labels.CONTEXT: ""})
    return next((image for image in images if image.tags), None)


def _name(image: FoundImage | None) -> str:
    return image.tags[0] if image else "an image"


def _told(session: Session, image: FoundImage, gpus: tuple[str, ...]) -> dict[str, Any]:
    """Run the program and read what it wrote; CvlError when any of that does not work."""
    with _folder(session) as (run, folder):
        uid, gid, groups = this_user()
        placement = Placement(
            run, uid, gid, groups, str(folder), str(inside_folder()), str(folder / "jit"), gpus
        )
        lay_out(session, placement)
        container = _container(session, placement, image)
        _run(session, container)
        written = folder / "out" / "proof.json"
        if not written.is_file() or written.stat().st_uid != uid:
            raise OutputError("what it wrote is not there, or not yours")
        told: dict[str, Any] = json.loads(written.read_text())
        return told


@contextlib.contextmanager
def _folder(session: Session) -> Iterator[tuple[str, Path]]:
    """A private folder and the locks that tell a reaper that its owner lives."""
    run = new_run_id()
    with contextlib.ExitStack() as stack:
        for lock in (session.run_lock(run), FileLock(session.lock_path("doctor", run))):
            lock.try_acquire()
            stack.callback(lock.release)
            stack.callback(lock.path.unlink, missing_ok=True)
        yield run, stack.enter_context(scratch_folder(session, "doctor", run))


def _container(session: Session, placement: Placement, image: FoundImage) -> ContainerSpec:
    spec = StepSpec(
        example="doctor", step="doctor", context="", inputs={}, outputs={}, seed=0,
        seed_given=True, device="cpu", dtype="", offload="none", exact_offload=True,
        network=False, secrets=(), cache="never", runtime="", limits=LIMITS,
    )  # fmt: skip
    marks = {
        **session.owner.labels(),
        labels.RUN: placement.run_id,
        labels.STEP: "doctor",
        labels.GPU: ",".join(placement.gpus),
    }
    hardened = container_for(
        spec,
        placement,
        session.engine.facts(),
        image=image.id,
        name=f"cvl-doctor-{placement.run_id}",
        labels=marks,
    )
    return replace(hardened, command=("python", "-c", PROGRAM))


def _run(session: Session, spec: ContainerSpec) -> None:
    log: list[bytes] = []
    try:
        container = session.engine.create(spec)
        run = session.engine.start(container, b"", log.append)
        if not run.wait(TIMEOUT_S):
            raise TimeoutFault(f"it did not end within {TIMEOUT_S:g} s", hint="restart the engine")
        state = session.engine.state(container)
    finally:
        with contextlib.suppress(CvlError):
            session.engine.remove(spec.name)
    ending = Ending(
        exit_code=state.exit_code, oom_killed=state.oom_killed, engine_error=state.error,
        stop_reason="", signum=0, result={"ok": True} if state.exit_code == 0 else {},
        log_tail=b"".join(log)[-4000:].decode(errors="replace"), memory_limit=spec.memory,
        timeout_s=TIMEOUT_S,
    )  # fmt: skip
    failure = failure_of(ending, "doctor", "")
    if failure is not None:
        raise failure
