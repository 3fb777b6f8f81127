"""A shell where a step ran: the same image, the same limits, the same inputs."""

from __future__ import annotations

import contextlib
import json
import secrets as random
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.core import owner as labels
from cvl.core.container import ContainerSpec
from cvl.core.manifest import InputSpec, Manifest, ModelManifest
from cvl.core.plan import (
    CONTAINER,
    Placement,
    WeightsView,
    host_layout,
    input_file_name,
    request_for,
)
from cvl.core.policy import container_for
from cvl.engine.protocol import Enterable
from cvl.errors import CvlError, EngineError, InputError, StepError
from cvl.machine.leases import leased
from cvl.ops.build import context_of, ensure_image
from cvl.ops.engines import check_trust
from cvl.ops.examples import Catalog
from cvl.ops.kept import GivenFile, KeptStep, read_step
from cvl.ops.place import choose_gpus
from cvl.ops.reap import reap_quietly
from cvl.ops.request import Options, new_run_id
from cvl.ops.runs import find_run
from cvl.ops.scratch import scratch_folder
from cvl.ops.session import Session, inside_folder
from cvl.ops.step import lay_out, this_user
from cvl.ops.weights.step import StepWeights
from cvl.store.locks import FileLock
from cvl.store.staging import check_file, stage

STAY = ("sleep", "infinity")
SHELL = "command -v bash >/dev/null && exec bash; exec sh"
REQUEST = "request.json"
ON_HOST = "venv:"
"""What ids of environments begin with."""


@dataclass(frozen=True)
class Wanted:
    """Where to: a run (id, beginning of one, `last`) and a step, the latest when empty. command:
    run by sh instead of a shell that a person uses. output: receives what it prints, or None for
    it to go where ours goes."""

    run: str
    step: str = ""
    command: str | None = None
    gpus: str | None = None
    output: Callable[[bytes], None] | None = None


@dataclass(frozen=True)
class Visited:
    """A shell that was left, and its exit code."""

    run: str
    step: str
    example: str
    image: str
    status: int


def open_shell(session: Session, catalog: Catalog, wanted: Wanted) -> Visited:
    """Set up where a step ran, let the caller in, and remove it all on every way out."""
    run = find_run(session, wanted.run).id
    kept = read_step(session.dirs.runs / run, run, wanted.step)
    session = _where(session, kept)
    engine = session.engine
    if not isinstance(engine, Enterable):
        raise EngineError("there is no shell in this kind of engine", code="no_shell")
    engine.facts()
    reap_quietly(session)
    image = _image(session, catalog, kept)
    command = ("sh", "-c", SHELL if wanted.command is None else wanted.command)
    with _container(session, catalog, kept, image, wanted.gpus) as (container, request):
        if wanted.command is None:
            again = f"python predict.py < {shlex.quote(request)}"
            session.report.message(f"{kept.step} of {run}; to run it again in there: {again}")
        status = engine.enter(
            container,
            command,
            terminal=wanted.command is None,
            cancelled=lambda: session.cancel.requested,
            output=wanted.output,
        )
        session.cancel.check()
    return Visited(run, kept.step, kept.example, image, status)


def _where(session: Session, kept: KeptStep) -> Session:
    """The session on the engine that the step ran in."""
    images = session.records.images_of(kept.context)
    return session.on_host() if any(image.startswith(ON_HOST) for image in images) else session


def _image(session: Session, catalog: Catalog, kept: KeptStep) -> str:
    """The image that the step ran in while the engine has it, else one of the code as it is now."""
    for image in session.records.images_of(kept.context):
        if session.engine.image_id(image):
            return image
    example = catalog.find(kept.example)
    manifest = _model(example.manifest)
    check_trust(session, example, manifest, on_host=session.is_host)
    context = context_of(session, manifest, example.folder)
    if context.digest != kept.context:
        session.report.warning(
            f"the image of this run is gone and {kept.example} has changed: this is its code now"
        )
    return ensure_image(session, manifest, context, kept.step).id


def _model(manifest: Manifest) -> ModelManifest:
    if not isinstance(manifest, ModelManifest):
        raise InputError(f"{manifest.name} is a pipeline now: it has no image")
    return manifest


@contextlib.contextmanager
def _container(
    session: Session, catalog: Catalog, kept: KeptStep, image: str, gpus: str | None
) -> Iterator[tuple[str, str]]:
    """A started container, hardened like that of the step, which waits, and the request of the step
    as seen in it; removed with its folder. On the host there is nothing that has to wait."""
    with (
        _folder(session) as (name, work),
        _weights(session, catalog, kept) as weights,
        _gpus(session, catalog, kept, gpus) as uuids,
    ):
        uid, gid, groups = this_user()
        placed = Placement(
            name, uid, gid, groups, str(work), str(inside_folder()), kept.jit, uuids,
            weights=weights,
        )  # fmt: skip
        lay_out(session, placed)
        restage(session, kept, work / "inputs")
        layout = host_layout(placed) if session.is_host else CONTAINER
        request = json.dumps(request_for(kept.spec(), {}, layout, weights=weights))
        (work / "scratch" / REQUEST).write_text(request)
        spec = _specification(session, kept, placed, image)
        try:
            session.engine.create(spec)
            if not session.is_host:
                _start(session, kept, spec.name)
            yield spec.name, str(layout.scratch / REQUEST)
        finally:
            with contextlib.suppress(CvlError):
                session.engine.remove(spec.name)


def _weights(
    session: Session, catalog: Catalog, kept: KeptStep
) -> contextlib.AbstractContextManager[WeightsView]:
    """What the step saw, of today's manifest; fetched again when it is gone."""
    if not kept.weights:
        return contextlib.nullcontext(WeightsView())
    manifest = _model(catalog.find(kept.example).manifest)
    options = Options(weights=kept.own_weights, loras=kept.loras)
    return StepWeights(session, manifest, kept.values, options).get()


def _start(session: Session, kept: KeptStep, container: str) -> None:
    session.engine.start(container, b"", lambda chunk: None)
    session.cancel.check()
    if not session.engine.state(container).running:
        raise StepError(f"{kept.step}: the image has no `{STAY[0]}` to wait with")


def _specification(
    session: Session, kept: KeptStep, placed: Placement, image: str
) -> ContainerSpec:
    marks = {
        **session.owner.labels(),
        labels.RUN: placed.run_id,
        labels.STEP: kept.step,
        labels.EXAMPLE: kept.example,
        labels.GPU: ",".join(placed.gpus),
        labels.WEIGHTS: ",".join(placed.weights.leases),
    }
    name = f"cvl-shell-{random.token_hex(12)}"
    facts = session.engine.facts()
    spec = container_for(kept.spec(), placed, facts, image=image, name=name, labels=marks)
    return replace(spec, command=STAY)


@contextlib.contextmanager
def _folder(session: Session) -> Iterator[tuple[str, Path]]:
    """(name, private folder) of this visit. The name is that of a run without a record: a reaper
    takes container and folder once this process is gone."""
    name = new_run_id()
    lock = FileLock(session.lock_path("shell", name))
    lock.try_acquire()
    try:
        with scratch_folder(session, "shell", name) as folder:
            yield name, folder
    finally:
        lock.path.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def _gpus(
    session: Session, catalog: Catalog, kept: KeptStep, asked: str | None
) -> Iterator[tuple[str, ...]]:
    """A GPU of its own when the step had one."""
    if kept.device == "cpu" or asked == "none":
        yield ()
        return
    manifest = _model(catalog.find(kept.example).manifest)
    choice = choose_gpus(session, manifest, asked)
    if choice.wanted is None:
        yield ()
        return

    def say_waiting(text: str) -> None:
        session.report.phase(kept.step, "wait", text)

    with leased(choice.wanted, session.cancel.pause, say_waiting) as uuids:
        yield uuids


def restage(session: Session, kept: KeptStep, folder: Path) -> None:
    """The inputs of the step, under the names they had. What is not what it was is told."""
    for name, files in kept.files.items():
        for index, file in enumerate(files):
            position = index if name in kept.lists else None
            _restage(session, name, file, folder / input_file_name(name, file.staged, position))


def _restage(session: Session, name: str, file: GivenFile, target: Path) -> None:
    known = None if file.folder else session.results.find(file.sha256)
    spec = InputSpec(type="directory" if file.folder else "file")
    path = file.path if known is None else str(known)
    try:
        staged = stage(name, check_file(name, spec, path), target)
    except InputError as error:
        session.report.warning(f"left out: {error.message}")
        return
    if staged.sha256 != file.sha256:
        session.report.warning(f"--{name}: {path} has changed since: this is what it holds now")
