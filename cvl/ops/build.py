"""Build an example's image, once: the tag is the digest of its context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvl.core import owner as labels
from cvl.core.manifest import ModelManifest
from cvl.core.names import printable
from cvl.core.redaction import Redaction, passwords_in
from cvl.disks import naming_the_mount
from cvl.engine.protocol import BuildProgress, BuildSpec, OnBuild
from cvl.errors import BuildError, DiskFullError
from cvl.ops.authorities import give_to_build, proxies
from cvl.ops.context import (
    BuildContext,
    base_image_of,
    prebuilt_context,
    read_context,
    write_context,
)
from cvl.ops.report import Progress
from cvl.ops.scratch import scratch_folder
from cvl.ops.session import Session, inside_folder
from cvl.store.locks import held


@dataclass(frozen=True)
class Image:
    """The image of an example at one context; `built` is False when it was there already."""

    id: str
    tag: str
    context: str
    built: bool


def context_of(session: Session, manifest: ModelManifest, folder: Path) -> BuildContext:
    """The build context with the base image resolved: pinned digest, else local id, else the id
    that it had when something was last built upon it, else reference."""
    if session.is_host:
        python = session.engine.facts().version
        return read_context(manifest, folder, base_image="", base_identity=python, engine="venv")
    if manifest.image:
        return prebuilt_context(manifest.image, folder)
    reference = base_image_of(folder, session.base_image)
    identity = reference
    if reference and "@sha256:" not in reference:
        identity = session.engine.image_id(reference) or _last_base(session, reference)
    return read_context(manifest, folder, base_image=reference, base_identity=identity)


def _last_base(session: Session, reference: str) -> str:
    """A base that was pruned is still the one that results were made upon."""
    known = session.dirs.database.exists() and session.records.base_of(reference)
    return known or reference


def tag_of(example: str, digest: str) -> str:
    """Name of the image of a context."""
    return f"cvl/{example}:{digest[:20]}"


def _tag(manifest: ModelManifest, context: BuildContext) -> str:
    return context.prebuilt or tag_of(manifest.name, context.digest)


def existing_image(session: Session, manifest: ModelManifest, context: BuildContext) -> str | None:
    """Id of the image of this context, when the engine has it."""
    return session.engine.image_id(_tag(manifest, context))


def ensure_image(
    session: Session, manifest: ModelManifest, context: BuildContext, step: str
) -> Image:
    """The image of the context, built (or pulled) when it is not there. A second process waits for
    the first."""
    tag = _tag(manifest, context)
    lock = session.lock_path("build", context.digest)

    def say_waiting() -> None:
        session.report.phase(step, "wait", "another cvl is building the same")

    with held(lock, session.cancel.pause, say_waiting):
        found = session.engine.image_id(tag)
        if found is not None:
            _remember(session, context, found)
            return Image(found, tag, context.digest, built=False)
        session.report.phase(step, "pull" if context.prebuilt else "build", tag)
        make = _pull if context.prebuilt else _build
        image = make(session, manifest, context, tag, step)
        session.cancel.check()
        _remember(session, context, image)
        return Image(image, tag, context.digest, built=True)


def _remember(session: Session, context: BuildContext, image: str) -> None:
    """What cannot be written down costs a build when the image is pruned, never this run."""
    try:
        session.records.remember_image(
            context.digest, image, base=context.base_image, base_id=context.base_identity
        )
    except DiskFullError as error:
        session.report.warning(f"which image was used is not written down: {error.message}")


def _reporter(
    session: Session, step: str, phase: str, unit: str, hide: Callable[[str], str] = str
) -> OnBuild:
    def on_progress(progress: BuildProgress) -> None:
        text = printable(hide(progress.text), 200)
        session.report.progress(Progress(step, phase, progress.done, progress.total, unit, text))

    return on_progress


def _pull(
    session: Session, manifest: ModelManifest, context: BuildContext, tag: str, step: str
) -> str:
    on_progress = _reporter(session, step, "pull", "layers")
    return session.engine.pull(tag, on_progress, lambda: session.cancel.requested)


def _build_args(session: Session, context: BuildContext) -> dict[str, str]:
    if session.is_host:
        return {"SOURCE_BUILDS": "1"} if session.trust else {}
    return {"BASE_IMAGE": context.base_image} if context.base_image else {}


def _build(
    session: Session, manifest: ModelManifest, context: BuildContext, tag: str, step: str
) -> str:
    hidden = Redaction(passwords_in(proxies().values()))
    on_progress = _reporter(session, step, "build", "steps", hidden.hide)
    with scratch_folder(session, "build", context.digest) as folder:
        place = folder / "context"
        with naming_the_mount(folder):
            place.mkdir()
            write_context(context, inside_folder(), place)
            secrets = give_to_build(session.ca_bundle, place, folder)
        spec = BuildSpec(
            context_dir=str(place),
            id_file=str(folder / "id"),
            tag=tag,
            labels={labels.EXAMPLE: manifest.name, labels.CONTEXT: context.digest},
            args=_build_args(session, context),
            network=session.build_network,
            secrets=secrets,
            inherited=tuple(proxies()),
            withheld=manifest.secrets,
        )
        try:
            return session.engine.build(spec, on_progress, lambda: session.cancel.requested)
        except BuildError as error:
            session.cancel.check()
            message = f"{manifest.name}: {hidden.hide(error.message)}"
            raise BuildError(message, hint=error.hint, code=error.code) from None
