"""A step has its weights from before it looks for them until its container is gone, and after the
death of its cvl for as long as the container runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cvl.core import owner as labels
from cvl.engine.fake import FakeContainer
from cvl.ops.weights.removing import Planned, carry_out, plan_rm
from cvl.ops.weights.selecting import select
from cvl.ops.weights.using import uses_of
from cvl.store.hub_survey import survey
from tests.ops.bench import Bench, end_with, output_of
from tests.support.hub import tiny

COMMIT = "1" * 40
MANIFEST = """\
name: heavy
summary: Uses weights
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
weights: [{repo: org/tiny}]
inputs: {}
outputs: {result: {type: file, default: result.txt}}
"""


WEIGHTS = tiny.weights(8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repo that another program fetched."""
    hub = tmp_path / "hub"
    repo = hub / "models--org--tiny"
    for folder in ("blobs", "refs", "trees", f"snapshots/{COMMIT}"):
        (repo / folder).mkdir(parents=True)
    (repo / "blobs" / "abc").write_bytes(WEIGHTS)
    (repo / "snapshots" / COMMIT / "a.safetensors").symlink_to("../../blobs/abc")
    (repo / "refs" / "main").write_text(COMMIT)
    listed = {"a.safetensors": {"size": len(WEIGHTS), "blob_id": "abc"}}
    (repo / "trees" / f"{COMMIT}.json").write_text(json.dumps({"files": listed}))
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("CVL_LEASE_DIR", str(tmp_path / "leases"))
    return hub


def rm(bench: Bench, cache: Path) -> Planned:
    """What another cvl's `models rm heavy --yes` does."""
    session, uses = bench.another(), uses_of(bench.catalog)
    chosen = select(bench.catalog, uses, survey(cache), ["heavy"])
    return carry_out(session, plan_rm(session, chosen, uses))


def test_until_its_container_is_gone(bench: Bench, cache: Path) -> None:
    bench.add("heavy", MANIFEST)
    notes: list[str] = []

    def work(container: FakeContainer) -> int:
        notes.extend(removal.note for removal in rm(bench, cache).removals)
        output_of(container).write_text("made")
        return end_with(container, 0)

    bench.play(work)
    bench.run("heavy", output="result.txt")
    assert len(notes) == 1 and notes[0].startswith("in use by process ")
    assert (cache / "models--org--tiny" / "blobs" / "abc").read_bytes() == WEIGHTS
    (removal,) = rm(bench, cache).removals
    assert removal.removed and not (cache / "models--org--tiny").exists()


def test_a_container_that_outlives_its_cvl_still_counts(bench: Bench, cache: Path) -> None:
    bench.add("heavy", MANIFEST)
    kept: list[FakeContainer] = []

    def work(container: FakeContainer) -> int:
        kept.append(container)
        output_of(container).write_text("made")
        return end_with(container, 0)

    bench.play(work)
    bench.run("heavy", output="result.txt")
    (container,) = kept
    assert container.spec.labels[labels.WEIGHTS].startswith("weights-models--org--tiny-")
    # As after a SIGKILL: nobody holds the lease, and the engine still runs it.
    container.ended.clear()
    bench.engine.containers[container.id] = container
    (removal,) = rm(bench, cache).removals
    assert removal.note == f"in use by run {container.spec.labels[labels.RUN]}"
    assert (cache / "models--org--tiny").exists()
    other = replace(container.spec, labels={**container.spec.labels, labels.WEIGHTS: "other"})
    container.spec = other
    (removal,) = rm(bench, cache).removals
    assert removal.removed


def test_leases_are_the_same_over_links_and_differ_between_repos(tmp_path: Path) -> None:
    from cvl.machine.weight_leases import lease_name

    (tmp_path / "disk").mkdir()
    (tmp_path / "hub").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "models--a--far").symlink_to(tmp_path / "disk" / "models--a--b")
    assert lease_name(tmp_path / "hub" / "models--a--b") == lease_name(
        tmp_path / "disk" / "models--a--far"
    )
    assert lease_name(tmp_path / "hub" / "models--a--b") != lease_name(
        tmp_path / "hub" / "models--a--c"
    )
