"""An example's own smoke test: its samples in, its outputs checked, a JUnit file out."""

from __future__ import annotations

import contextlib
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.core.names import printable
from cvl.errors import CvlError, InputError
from cvl.ops.examples import Catalog, Example
from cvl.ops.predict import run_request
from cvl.ops.request import Options, Request, new_run_id
from cvl.ops.samples import sample_inputs
from cvl.ops.scratch import scratch_folder
from cvl.ops.session import Session
from cvl.store.atomic import write_atomic
from cvl.store.locks import FileLock

SEED = 42


@dataclass(frozen=True)
class SelfTest:
    """failure is None when the example passed."""

    failure: CvlError | None
    seconds: float


def run_selftest(
    session: Session, catalog: Catalog, example: Example, junit: Path, options: Options
) -> SelfTest:
    """Run `example` on its samples, never from the result store."""
    if not junit.absolute().parent.is_dir():
        raise InputError(f"--junit: there is no folder {junit.absolute().parent}")
    started = time.monotonic()
    failure: CvlError | None = None
    with _folder(session) as folder:
        seed = SEED if options.seed is None else options.seed
        fixed = replace(options, use_cache=False, overwrite=True, seed=seed)
        request = Request(example, sample_inputs(example), _outputs(example, folder), {}, fixed)
        try:
            run_request(session, catalog, request, verb="test")
        except CvlError as error:
            failure = error
    seconds = time.monotonic() - started
    write_atomic(junit.absolute(), _junit(example, failure, seconds), mode=0o644)
    if failure is not None:
        session.cancel.check()
    return SelfTest(failure, seconds)


@contextlib.contextmanager
def _folder(session: Session) -> Iterator[Path]:
    """Where the outputs go while they are checked."""
    name = new_run_id()
    lock = FileLock(session.lock_path("test", name))
    lock.try_acquire()
    try:
        with scratch_folder(session, "test", name) as folder:
            yield folder
    finally:
        lock.path.unlink(missing_ok=True)
        lock.release()


def _outputs(example: Example, folder: Path) -> dict[str, str]:
    """Every output that is made without being asked for, in a folder that goes away."""
    from cvl.core.manifest import OutputSpec

    outputs = {}
    for name, spec in example.manifest.outputs.items():
        if isinstance(spec, OutputSpec):
            if not spec.optional:
                outputs[name] = str(folder / spec.default)
        else:
            outputs[name] = str(folder / name)
    return outputs


def _junit(example: Example, failure: CvlError | None, seconds: float) -> bytes:
    failed = "0" if failure is None else "1"
    suite = ElementTree.Element(
        "testsuite", name="cvl", tests="1", failures=failed, errors="0", time=f"{seconds:.3f}"
    )
    case = ElementTree.SubElement(
        suite, "testcase", classname="cvl", name=example.name, time=f"{seconds:.3f}"
    )
    if failure is not None:
        told = ElementTree.SubElement(
            case, "failure", message=printable(failure.message, 300), type=failure.code
        )
        told.text = "\n".join(printable(line) for line in failure.message.splitlines())
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document
