"""Which engine runs a model: docker, or a virtual environment on this machine; and whether an
example may run at all."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from cvl.core.graph import candidates, check_graph
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.errors import CvlError, EngineError, UserError
from cvl.ops.build import context_of, existing_image
from cvl.ops.context import source_of
from cvl.ops.examples import Catalog, Example
from cvl.ops.session import Session
from cvl.store.trust import approve, approved

NOT_ISOLATED = "it keeps the examples from neither your files nor the network"


@dataclass(frozen=True)
class Choice:
    """The session on the engine of a model, and why it is this one; empty when it was asked for."""

    session: Session
    why: str = ""


def session_for(session: Session, example: Example, manifest: ModelManifest) -> Session:
    """The session on the engine that runs this model.

    Raises UserError when the example is not trusted or cannot run where it was asked to,
    EngineError when there is no engine for it.
    """
    choice = choose(session, example, manifest)
    chosen = choice.session
    check_trust(session, example, manifest, on_host=chosen.is_host)
    if chosen.is_host:
        why = f"engine: venv, because {choice.why}" if choice.why else "engine: venv"
        session.tell_once("engine venv", f"{why}; {NOT_ISOLATED}")
    elif choice.why:
        session.tell_once("engine docker", f"engine: docker, because {choice.why}")
    return chosen


def choose(session: Session, example: Example, manifest: ModelManifest) -> Choice:
    """What `--engine` says; `auto` is docker where it can be, else venv for trusted examples."""
    asked, can = session.wanted_engine, manifest.engines
    if asked != "auto":
        if asked not in can:
            raise UserError(
                f"{manifest.name} cannot run in {asked}: its manifest says engines: "
                f"[{', '.join(can)}]",
                hint=f"give --engine {can[0]}",
                code="engine_not_allowed",
            )
        return Choice(session.on_host() if asked == "venv" else session)
    if "docker" not in can:
        return Choice(session.on_host(), f"{manifest.name} runs nowhere else")
    problem = _problem(session, example, manifest)
    if problem is None:
        return Choice(session, "its engine answers" if "venv" in can else "")
    if "venv" not in can:
        raise problem
    if not example.trusted:
        raise _with_hint(problem, "--engine venv --trust runs it without Docker, as you")
    return Choice(session.on_host(), problem.message)


def _problem(session: Session, example: Example, manifest: ModelManifest) -> EngineError | None:
    """Why docker cannot run this model: no engine answers, or there is neither its image nor
    something that builds it."""
    problem = session.engine_problem
    if problem is not None or manifest.image:
        return problem
    # Asking for the image is one call; looking for a client that can build starts programs.
    context = context_of(session, manifest, example.folder)
    if existing_image(session, manifest, context) or session.records.images_of(context.digest):
        return None  # of an image that was pruned, results may be there
    if not session.engine.can_build():
        return EngineError(
            f"there is no image of {manifest.name}, and no docker client that could build it",
            hint="run: cvl doctor",
            code="no_builder",
        )
    if "venv" in manifest.engines and context.base_image:
        return _base_problem(session, context.base_image)
    return None  # whatever else there is, the build says


def _base_problem(session: Session, base: str) -> EngineError | None:
    """Why the base image of a build cannot be had, when there is another engine to go to; asked
    once. It is pulled here: a build would do that next."""
    if base not in session.base_problems:
        session.base_problems[base] = None
        try:
            if session.engine.image_id(base) is None:
                session.report.message(f"docker: pulling the base image {base}")
                session.engine.pull(base, lambda progress: None, lambda: session.cancel.requested)
                session.cancel.check()
        except EngineError as error:
            session.base_problems[base] = error
    return session.base_problems[base]


def _with_hint(error: EngineError, more: str) -> EngineError:
    told = copy.copy(error)
    told.hint = f"{error.hint}; {more}" if error.hint else more
    return told


def check_trust(
    session: Session, example: Example, manifest: ModelManifest, *, on_host: bool
) -> None:
    """Refuse an example that was found where the user works, until they say that they trust it: in
    containers once for these very files, on the host every time."""
    if example.trusted:
        return
    where = (
        f"{manifest.name} was found in {example.source}, and you have not said that you trust it"
    )
    if on_host:
        if session.trust and session.engine_named and session.wanted_engine == "venv":
            return
        raise UserError(
            f"{where}; in a virtual environment it can do whatever you can",
            hint=f"read {example.folder}, then give --engine venv --trust",
            code="not_trusted",
        )
    digest = source_of(manifest, example.folder)
    if session.trust:
        approve(session.dirs, example.folder, digest)
    elif approved(session.dirs, example.folder, digest) is None:
        raise UserError(
            f"{where}; its Dockerfile runs as root while it is built",
            hint=f"read {example.folder}, then give --trust once",
            code="not_trusted",
        )


def check_engines(session: Session, catalog: Catalog, example: Example) -> None:
    """Raise what stands in the way when nothing of an example can run; told before anything is
    written down."""
    first: CvlError | None = None
    for model in models_of(catalog, example).values():
        manifest = model.manifest
        assert isinstance(manifest, ModelManifest)
        try:
            problem: CvlError | None = session_for(session, model, manifest).engine_problem
        except (EngineError, UserError) as error:
            problem = error
        if problem is None:
            return
        first = first or problem
    if first is not None:
        raise first


def models_of(catalog: Catalog, example: Example, by_default: bool = False) -> dict[str, Example]:
    """The models that an example may run, itself or the ones its steps name: with every choice, or
    with the choices that are made by default."""
    manifest = example.manifest
    if isinstance(manifest, ModelManifest):
        return {example.name: example}

    def lookup(name: str) -> Manifest:
        return catalog.find(name).manifest

    assert isinstance(manifest, PipelineManifest)
    check_graph(manifest, example.document, lookup)
    found: dict[str, Example] = {}
    chosen = {name: spec.default for name, spec in manifest.inputs.items()} if by_default else None
    for step in manifest.steps.values():
        for name in candidates(manifest, step, chosen):
            found.update(models_of(catalog, catalog.find(name), by_default))
    return found
