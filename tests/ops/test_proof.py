"""The container that the doctor runs: on what, how hardened, and what its failures become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvl.core import owner as labels
from cvl.core.doctor.facts import Problem
from cvl.engine.fake import FakeContainer, refused, unreachable
from cvl.errors import GpuError
from cvl.ops.doctor import cvl_folders
from cvl.ops.fixes import Repair, repair
from cvl.ops.proof import PROGRAM, prove
from tests.ops.bench import Bench


def tell(container: FakeContainer, gpus: int = 0) -> int:
    told = {"gpus": gpus, "cuda": "12.8" if gpus else "", "why": "" if gpus else "no libcuda"}
    container.host("/cvl/out/proof.json").write_text(json.dumps(told))
    return 0


@pytest.fixture
def image(bench: Bench) -> str:
    bench.play(tell)
    return bench.engine.add_image("cvl/say:1", {labels.CONTEXT: "abc", labels.EXAMPLE: "say"})


def test_there_is_no_proof_without_an_image_and_none_is_pulled(bench: Bench) -> None:
    bench.engine.add_image("debian:12")
    assert prove(bench.session, "") is None
    assert bench.calls("pull", "build", "create") == []


def test_a_hardened_container_of_ours_writes_a_file(bench: Bench, image: str) -> None:
    seen: list[FakeContainer] = []

    def program(container: FakeContainer) -> int:
        seen.append(container)
        return tell(container)

    bench.play(program)
    found = prove(bench.session, "")
    assert found is not None and (found.image, found.problem) == ("cvl/say:1", None)
    spec = seen[0].spec
    assert (spec.image, spec.network, spec.command) == (image, "none", ("python", "-c", PROGRAM))
    assert spec.security == ("no-new-privileges",) and spec.gpus == ()
    assert labels.RUN in spec.labels and f"{labels.PREFIX}owner.pid" in spec.labels
    assert bench.leftovers() == []


def test_it_says_what_the_gpu_said(bench: Bench, image: str) -> None:
    bench.play(lambda container: tell(container, len(container.spec.gpus)))
    found = prove(bench.session, "GPU-1")
    assert found is not None
    assert (found.gpus, found.seen_gpus, found.driver_cuda) == (1, 1, "12.8")
    bench.play(tell)
    blind = prove(bench.session, "GPU-1")
    assert blind is not None and (blind.seen_gpus, blind.gpu_problem) == (0, "no libcuda")


def test_when_the_gpu_is_what_fails_a_container_without_is_tried(bench: Bench, image: str) -> None:
    bench.engine.fail("start", GpuError("could not select device driver"))
    found = prove(bench.session, "GPU-1")
    assert found is not None and found.problem is None
    assert (found.seen_gpus, found.gpu_problem) == (0, "could not select device driver")
    assert bench.leftovers() == []


@pytest.mark.parametrize("method", ["images", "create", "start", "state"])
def test_what_the_engine_refuses_is_a_fact(bench: Bench, image: str, method: str) -> None:
    bench.engine.fail(method, refused("no"))  # type: ignore[arg-type]
    found = prove(bench.session, "")
    assert found is not None and found.problem is not None
    assert found.problem.message == "the fake engine refused: no"
    assert bench.leftovers() == []


def test_a_container_that_fails_or_writes_nothing_is_no_proof(bench: Bench, image: str) -> None:
    bench.play(lambda container: 3)
    failed = prove(bench.session, "")
    assert failed is not None and failed.problem is not None
    assert failed.problem.message == "doctor failed (exit 3)"
    bench.play(lambda container: 0)
    silent = prove(bench.session, "")
    assert silent is not None and silent.problem is not None
    assert silent.problem == Problem("bad_output", "what it wrote is not there, or not yours", "")
    assert bench.leftovers() == []


def test_a_repair_that_cannot_be_done_says_why(bench: Bench) -> None:
    bench.engine.fail("find", unreachable())
    done = repair(bench.session, Repair("reap", "x"))
    assert (done.done, done.problem) == (False, "no fake engine answers")


def test_folders_are_made_and_made_private(bench: Bench) -> None:
    folders = cvl_folders(bench.session.dirs).values()
    assert repair(bench.session, Repair("create_folders", "x")).done
    assert [mode(folder) for folder in folders] == [0o700, 0o700]
    for folder in folders:
        folder.chmod(0o755)
    assert repair(bench.session, Repair("make_private", "x")).done
    assert [mode(folder) for folder in folders] == [0o700, 0o700]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
