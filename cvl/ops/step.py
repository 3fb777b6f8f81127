"""One step: StepSpec and Placement in, StepResult out. Everything else in cvl only decides when
and where this is called."""

from __future__ import annotations

import contextlib
import json
import os
import secrets as random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cvl import faultpoint
from cvl.core import owner as labels
from cvl.core.dtypes import AUTO
from cvl.core.licensing import Terms
from cvl.core.manifest import ModelManifest
from cvl.core.names import printable
from cvl.core.offload import Attempt
from cvl.core.outcome import Ending, failure_of, warning_of
from cvl.core.plan import Placement, StepSpec, WeightsView, request_for, step_key
from cvl.core.policy import GRACE_S, container_for, container_user, layout_of, private_proxies
from cvl.core.provenance import Origin
from cvl.core.redaction import RedactedStream, Redaction, passwords_in
from cvl.disks import is_full, mount_of, naming_the_mount
from cvl.errors import CvlError, DiskFullError
from cvl.machine.leases import Wanted, leased
from cvl.ops.build import ensure_image, existing_image
from cvl.ops.context import BuildContext
from cvl.ops.follow import BoundedLog, Events, Follower, Watched, read_result
from cvl.ops.history import History
from cvl.ops.reap import fence
from cvl.ops.session import Ghost, Session
from cvl.store.dirs import make_private
from cvl.store.locks import held
from cvl.store.outputs import Produced, check_output
from cvl.store.results import CachedResult
from cvl.store.weights_view import lay_out_weights


@dataclass(frozen=True)
class StepContext:
    """What belongs to a step beside its spec: where its code is, what it may use, how it may be
    told."""

    manifest: ModelManifest
    build: BuildContext
    gpus: Wanted | None
    secrets: dict[str, str]
    log: Path
    use_cache: bool
    before_work: Callable[[], None]
    """Called once it is known that work must be done; may refuse."""
    license: Terms
    weights: Callable[[], AbstractContextManager[WeightsView]] = lambda: nullcontext(WeightsView())
    """Gets what is missing, and sees that nobody deletes it until the container is gone; entered
    before a GPU is taken."""


@dataclass(frozen=True)
class StepResult:
    """A finished step. seed: the one that made the outputs; seconds: wall time of the container, 0
    when cached; offload: the mode of the step; attempts: the containers that ran for it."""

    outputs: dict[str, Produced]
    cached: bool
    made: float
    key: str
    image: str
    seed: int
    origin: Origin
    seconds: float = 0
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    offload: str = "none"
    dtype: str = ""
    attempts: tuple[Attempt, ...] = ()


def run_step(
    session: Session, spec: StepSpec, placement: Placement, context: StepContext
) -> StepResult:
    """Run one step, or find its result.

    The lock on the step key comes first: a second identical run waits here and then finds the
    result. Only under it are ghosts of the same step removed, so that none runs beside its retry.
    """
    session.cancel.check()
    lock_key = step_key(spec, spec.context, any_seed=not spec.seed_given)

    def say_waiting() -> None:
        session.report.phase(spec.step, "wait", "another cvl is doing the same step")

    with held(session.lock_path("step", lock_key), session.cancel.pause, say_waiting):
        faultpoint.reach("lock_taken")
        cached = _lookup(session, spec, context)
        if cached is not None:
            session.report.phase(spec.step, "cached", _when(cached[1].made))
            found = cached[1]
            made_by = _origin(spec, context, cached[2], found.seed)
            return StepResult(
                found.outputs, True, found.made, cached[0], "", found.seed, made_by,
                offload=found.offload, dtype=found.dtype,
            )  # fmt: skip
        context.before_work()
        history = History(session, spec, context.build.digest, use_cache=context.use_cache)
        image = ensure_image(session, context.manifest, context.build, spec.step).id
        fence(session, lock_key)
        with context.weights() as weights, _gpus(session, spec, context) as gpus:
            placed = replace(placement, gpus=gpus, weights=weights)
            session.report.phase(spec.step, "run", history.reason(image))
            result = _execute(session, spec, placed, context, image, lock_key)
            history.remember(image)
            return result


def _lookup(
    session: Session, spec: StepSpec, context: StepContext
) -> tuple[str, CachedResult, str] | None:
    """A result of this step's code: of the image there is, else of any image made of this
    context; with the image that made it."""
    if not _may_repeat(spec, context):
        return None
    image = existing_image(session, context.manifest, context.build)
    codes = [image] if image else session.records.images_of(context.build.digest)
    for code in codes:
        key = step_key(spec, code, any_seed=not spec.seed_given)
        found = session.results.lookup(key)
        if found is not None:
            return key, found, code
    return None


def _may_repeat(spec: StepSpec, context: StepContext) -> bool:
    """May an earlier result stand for a new one?"""
    return context.use_cache and spec.cache != "never" and not spec.network


def _when(made: float) -> str:
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(made))
    return f"made {date}; --seed or --no-cache for another"


@contextlib.contextmanager
def _gpus(session: Session, spec: StepSpec, context: StepContext) -> Iterator[tuple[str, ...]]:
    if context.gpus is None:
        yield ()
        return

    def say_waiting(text: str) -> None:
        session.report.phase(spec.step, "wait", text)

    with leased(context.gpus, session.cancel.pause, say_waiting) as uuids:
        yield uuids


def _execute(
    session: Session,
    spec: StepSpec,
    placement: Placement,
    context: StepContext,
    image: str,
    lock_key: str,
) -> StepResult:
    """Create, start, follow, inspect, check, keep; the container is removed whatever happens."""
    lay_out(session, placement)
    container = ""
    log = BoundedLog(context.log)
    hidden = Redaction({**context.secrets, **passwords_in(placement.proxies.values())})
    with naming_the_mount(Path(placement.work)):
        told = Path(placement.work) / "control" / "events.jsonl"
        events = Events(told, spec.step, session.report, hidden.hide)
    started = time.monotonic()
    try:
        container = _create(session, spec, placement, image, lock_key)
        faultpoint.reach("created")
        session.cancel.check()
        streams = hidden.stream(log.write), hidden.stream(log.write)
        watched = _run(session, spec, placement, context, container, streams, events)
        ending = _ending(session, spec, watched, container, placement, log, hidden)
        failure = failure_of(ending, spec.step, str(context.log))
        if failure is not None:
            raise failure
        warnings = [*watched.warnings, *_warn(session, ending, spec.step)]
        out = Path(placement.work) / "out"
        outputs = {n: check_output(spec.step, n, r, out) for n, r in spec.outputs.items()}
    finally:
        events.close()
        log.close()
        if container:
            _remove(session, container)
    faultpoint.reach("outputs_written")
    session.cancel.check()
    dtype = printable(str(ending.result.get("dtype", "")), 32)
    kept, key = _keep(session, spec, context, image, outputs, dtype)
    seconds = time.monotonic() - started
    session.report.phase(spec.step, "done", f"{seconds:.1f} s")
    made_by = _origin(spec, context, image, spec.seed)
    return StepResult(
        kept, False, time.time(), key, image, spec.seed, made_by, seconds,
        watched.metrics, warnings, dtype=dtype,
    )  # fmt: skip


def _origin(spec: StepSpec, context: StepContext, image: str, seed: int) -> Origin:
    return Origin(
        example=spec.example,
        code=context.build.source,
        image=image,
        weights=spec.weights,
        seed=seed,
        device=spec.device,
        offload="" if spec.exact_offload else spec.offload,
        license=context.license,
        dtype="" if spec.dtype == AUTO else spec.dtype,
    )


def lay_out(session: Session, placement: Placement) -> None:
    """The private folders of a step, as its container will see them."""
    work = Path(placement.work)
    with naming_the_mount(work):
        _lay_out(session, placement, work)


def _lay_out(session: Session, placement: Placement, work: Path) -> None:
    for name in ("inputs", "out", "control", "scratch", "home"):
        (work / name).mkdir(mode=0o700, exist_ok=True)
    make_private(Path(placement.jit))
    lay_out_weights(work / "weights", placement.weights, links=session.is_host)
    if session.is_host:
        return
    uid, gid = container_user(placement, session.engine.facts())
    (work / "passwd").write_text(f"cvl:x:{uid}:{gid}:cvl:/home/cvl:/bin/sh\n")
    (work / "group").write_text(f"cvl:x:{gid}:\n")
    files = ["passwd", "group"]
    if placement.ca_bundle:
        files.append("authorities.pem")
        shutil.copyfile(placement.ca_bundle, work / files[-1])
    for name in files:
        (work / name).chmod(0o444)


def _create(
    session: Session, spec: StepSpec, placement: Placement, image: str, lock_key: str
) -> str:
    """The owner's labels are in the request itself: there is no moment at which a container of ours
    has none. The name is ours too, so that it can be removed even if the answer never comes."""
    marks = {
        **session.owner.labels(),
        labels.RUN: placement.run_id,
        labels.STEP: spec.step,
        labels.KEY: lock_key,
        labels.EXAMPLE: spec.example,
        labels.GPU: ",".join(placement.gpus),
        labels.WEIGHTS: ",".join(placement.weights.leases),
    }
    name = f"cvl-{spec.step}-{random.token_hex(12)}"
    container = container_for(
        spec, placement, session.engine.facts(), image=image, name=name, labels=marks
    )
    try:
        return session.engine.create(container)
    except BaseException:
        _remove(session, name)
        # It may be made yet, by an engine that was asked and did not answer.
        session.ghosts.append(Ghost(session.engine, name))
        raise


def _run(
    session: Session,
    spec: StepSpec,
    placement: Placement,
    context: StepContext,
    container: str,
    streams: tuple[RedactedStream, RedactedStream],
    events: Events,
) -> Watched:
    layout = layout_of(placement, session.engine.facts())
    told = request_for(spec, context.secrets, layout, private_proxies(placement), placement.weights)
    # One each: what one says may come in the middle of what the other does.
    log, errors = streams
    request = json.dumps(told).encode()
    run = session.engine.start(container, request, log.write, errors.write)
    faultpoint.reach("started")
    follower = Follower(
        engine=session.engine,
        container=container,
        run=run,
        events=events,
        cancel=session.cancel,
        timeout_s=spec.limits.timeout_s,
        grace_s=GRACE_S,
        report=session.report,
        step=spec.step,
    )
    try:
        return follower.follow()
    finally:
        for stream in streams:
            stream.close()


def _ending(
    session: Session,
    spec: StepSpec,
    watched: Watched,
    container: str,
    placement: Placement,
    log: BoundedLog,
    hidden: Redaction,
) -> Ending:
    # Whoever ended it is what counts then, and the engine may be away.
    state = None if watched.stop_reason else session.engine.state(container)
    result = read_result(Path(placement.work) / "control" / "result.json")
    return Ending(
        exit_code=state.exit_code if state else -1,
        oom_killed=bool(state and state.oom_killed),
        engine_error=state.error if state else "",
        stop_reason=watched.stop_reason,
        signum=session.cancel.signum,
        result=hidden.hide_all(result),
        log_tail=log.tail,
        memory_limit=spec.limits.memory,
        timeout_s=spec.limits.timeout_s,
        on_host=session.is_host,
        full_mount=_full_mount(placement.work, result if session.is_host else {}),
        tmp_limit=spec.limits.tmp,
    )


def _full_mount(work: str, result: dict[str, Any]) -> str:
    """Mount point of the disk that a step writes to, when that is full: asked while what it wrote
    is still there. Of a process of this machine, also of the folder that it says is full."""
    told = result.get("place")
    for path in (work, *((told,) if isinstance(told, str) and os.path.isabs(told) else ())):
        if is_full(Path(path)):
            return str(mount_of(Path(path)))
    return ""


def _warn(session: Session, ending: Ending, step: str) -> list[str]:
    text = warning_of(ending, step)
    if text is None:
        return []
    session.report.warning(text)
    return [text]


def _remove(session: Session, container: str) -> None:
    """Also when the engine is in trouble: what stays is found by the next step of this process, or
    by its labels at the next run."""
    try:
        session.engine.remove(container)
    except CvlError:
        session.ghosts.append(Ghost(session.engine, container))


def _keep(
    session: Session,
    spec: StepSpec,
    context: StepContext,
    image: str,
    outputs: dict[str, Produced],
    dtype: str,
) -> tuple[dict[str, Produced], str]:
    """Into the result store: under the key with the seed, and under the one without when nothing is
    there yet; a run that did not ask for results takes their places. Folders are not kept; they
    stay where the container left them."""
    key = step_key(spec, image)
    if any(produced.path.is_dir() for produced in outputs.values()):
        return outputs, key
    anew = not _may_repeat(spec, context)
    commit = partial(
        session.results.commit,
        dtype=dtype,
        seed=spec.seed,
        offload=spec.offload,
        example=spec.example,
    )
    kept = commit(key, outputs, replace=anew).outputs
    with contextlib.suppress(DiskFullError):  # it is kept; it will be found by its seed alone
        commit(step_key(spec, image, any_seed=True), kept, replace=anew and not spec.seed_given)
    return kept, key


def this_user() -> tuple[int, int, tuple[int, ...]]:
    """(uid, gid, supplementary groups) of the caller."""
    groups = tuple(g for g in os.getgroups() if g != os.getgid())
    return os.getuid(), os.getgid(), groups
