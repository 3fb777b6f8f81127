"""gc on the fake engine: what goes first, what never goes, and what is still known afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from cvl.core import owner as labels
from cvl.engine.fake import FakeContainer
from cvl.errors import StateError, UserError
from cvl.ops.garbage import DAY_S, Item, Limits, Superseded, split
from cvl.ops.gc import Plan, carry_out, plan
from cvl.ops.superseded import current_contexts
from cvl.store.locks import FileLock
from tests.ops.bench import Bench, say
from tests.support.container_specs import bare_container
from tests.support.files import produced

NOTHING_KEPT = Limits(50, 0)
USES = {"a": 3, "b": 1, "c": 2}
LONG_AGO = time.time() - 2 * DAY_S


def images(bench: Bench) -> set[str]:
    return {tag for image in bench.engine.images({}) for tag in image.tags}


def edit(bench: Bench, text: str, example: str = "say") -> None:
    (bench.folder / "examples" / example / "predict.py").write_text(text)


def made(bench: Bench, text: str) -> str:
    """Run the example with this as its code, and return the tag of the image that was used."""
    edit(bench, text)
    bench.run(overwrite=True, use_cache=False, seed=1)
    return [call.subject for call in bench.engine.calls if call.method == "image_id"][-1]


def looked(bench: Bench, limits: Limits = NOTHING_KEPT) -> Plan:
    return plan(bench.another(), bench.catalog, limits)


def cleaned(bench: Bench, limits: Limits = NOTHING_KEPT) -> Plan:
    session = bench.another()
    return carry_out(session, plan(session, bench.catalog, limits))


def names(found: Plan, kind: str) -> list[str]:
    return [item.name for item in found.items if item.kind == kind]


def old(path: Path) -> Path:
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_what_was_used_last_stays_longest_and_only_what_must_go_does() -> None:
    found = [Superseded(Item("image", name, 10, ""), used) for name, used in USES.items()]
    order = ["".join(one.item.name for one in part) for part in split(found, 20)]
    assert order == ["b", "ca"]
    assert [len(split(found, most)[0]) for most in (0, 9, 10, 29, 30)] == [3, 3, 2, 1, 0]


def test_superseded_images_go_least_recently_used_first(bench: Bench) -> None:
    """The one that was built first was used last."""
    one, two, three = made(bench, "1"), made(bench, "2"), made(bench, "3")
    assert made(bench, "1") == one
    now = made(bench, "4")
    assert images(bench) == {one, two, three, now}
    assert names(looked(bench), "image") == [two, three, one]
    found = cleaned(bench, Limits(50, 1e-9))  # each takes a byte on this engine
    assert names(found, "image") == [two, three]
    assert "1 superseded images or environments" in " ".join(found.notes)
    assert images(bench) == {one, now}
    cleaned(bench)
    assert images(bench) == {now}


def test_results_outlive_their_image(bench: Bench) -> None:
    made(bench, "1")
    made(bench, "2")
    assert len(names(cleaned(bench), "image")) == 1
    edit(bench, "1")
    found = bench.run(overwrite=True, seed=1)
    assert found.steps["say"].cached
    assert len(bench.calls("build")) == 2


def test_a_hit_does_not_count_as_a_use_of_the_image(bench: Bench) -> None:
    made(bench, "1")
    before = bench.session.records.images_used()
    assert bench.run(overwrite=True, seed=1).steps["say"].cached
    assert bench.session.records.images_used() == before


def test_kernels_stay_with_an_image_that_stays(bench: Bench) -> None:
    tags = [made(bench, text) for text in "123"]
    folders = [f"say-{tag.partition(':')[2]}-sm90" for tag in tags]
    for folder in folders:
        (bench.session.dirs.jit / folder).mkdir(parents=True)
    cpu = {f"say-{tag.partition(':')[2]}-cpu" for tag in tags}
    found = names(cleaned(bench, Limits(50, 1e-9)), "jit")
    assert set(found) == {folders[0], folders[0].replace("sm90", "cpu")}
    left = {path.name for path in bench.session.dirs.jit.iterdir()}
    assert left == {*folders[1:], *cpu} - set(found)


@pytest.mark.parametrize("limits", [(-1, 0), (0, -0.1), (float("nan"), 0), (0, float("inf"))])
def test_limits_that_are_none_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="_gb is"):
        Limits(*limits)


def test_results_that_a_run_may_still_need_stay(bench: Bench) -> None:
    """However long ago it found them: it publishes them when it ends."""
    bench.run(seed=1, output="early.txt")
    blobs = list(bench.session.results.blobs())
    seen: list[Plan] = []

    def slow(container: FakeContainer) -> int:
        session = bench.another()
        begun = session.records.runs(state="running")[0].started
        os.utime(blobs[0], (begun + 1, begun + 1))  # as its hit did, hours ago
        seen.append(plan(session, bench.catalog, Limits(0, 0)))
        carry_out(session, seen[0])
        return say(container)

    bench.play(slow)
    bench.run(seed=2)
    assert names(seen[0], "results") == [] and blobs[0].exists()
    assert "that a run may still need" in " ".join(seen[0].notes)


def test_how_far_back_results_are_spared(bench: Bench) -> None:
    """As far as ten minutes before the oldest run that goes on began; a dead one spares nothing."""
    from cvl.ops.leftovers import results_unused_since

    session = bench.session
    assert results_unused_since(session) == pytest.approx(time.time() - 600, abs=5)
    lock = session.run_lock("going-on")
    assert lock.try_acquire()
    for run in ("going-on", "dead"):
        session.records.begin(run, "say", "predict", session.owner, [])
    with closing(sqlite3.connect(session.dirs.database, isolation_level=None)) as db:
        db.execute("UPDATE runs SET started=5000 WHERE id='going-on'")
        db.execute("UPDATE runs SET started=1000 WHERE id='dead'")
    assert results_unused_since(bench.another()) == 4400
    lock.release()
    assert results_unused_since(bench.another()) == pytest.approx(time.time() - 600, abs=5)


def test_a_result_that_is_gone_before_it_is_published_is_told(bench: Bench) -> None:
    bench.add(
        "pair",
        """\
name: pair
kind: pipeline
summary: Says it twice
inputs: {}
steps:
  one: {uses: say, with: {text: one}}
  two: {uses: say, with: {text: two, file: "${one.result}"}}
outputs: {first: "${one.result}", second: "${two.result}"}
""",
    )

    def lose(container: FakeContainer) -> int:
        if b'"two"' in container.stdin:
            for blob in bench.session.results.blobs():
                blob.unlink()
            return 0
        return say(container)

    bench.play(lose)
    with pytest.raises(StateError, match="'first' was removed meanwhile") as caught:
        bench.run("pair")
    assert caught.value.hint == "run it again"


def lock_of(bench: Bench, kind: str, name: str) -> Path:
    return bench.session.lock_path(kind, name)


def test_lock_files_that_nobody_used_for_a_day_go(bench: Bench) -> None:
    made(bench, "1")
    locks = bench.session.dirs.locks
    new = set(locks.glob("*/*.lock"))
    assert len(new) == 2  # a step and a build
    for name in ("idle", "held", "other.txt", "full"):
        (locks / "step" / f"{name}.lock").touch()
    (locks / "step" / "other.txt.lock").rename(locks / "step" / "other.txt")
    (locks / "step" / "full.lock").write_text("not a lock")
    held = FileLock(locks / "step" / "held.lock")
    assert held.try_acquire()
    for path in (locks / "step").iterdir():
        if path not in new:
            old(path)
    before = {path: path.stat().st_mtime for path in locks.rglob("*.lock")}
    assert [item.why for item in looked(bench).items] == ["1 file that nobody used for a day"]
    assert {path: path.stat().st_mtime for path in locks.rglob("*.lock")} == before
    assert names(cleaned(bench), "locks") == ["idle locks"]
    held.release()
    left = {path for path in locks.rglob("*") if path.is_file()}
    gone = {"held.lock", "full.lock", "other.txt"}
    assert left == new | {locks / "step" / name for name in gone}
    assert bench.run(overwrite=True, seed=1).steps["say"].cached


def test_temporary_files_of_a_crash_go_after_a_day(bench: Bench) -> None:
    made(bench, "1")
    blob = next(iter(bench.session.results.blobs()))
    stale, fresh = blob.with_name(".stale.1.2"), blob.with_name(".fresh.1.2")
    for path in (stale, fresh):
        path.write_bytes(b"half")
    old(stale)
    assert [(item.kind, item.size) for item in looked(bench).items] == [("part", 4)]
    cleaned(bench)
    assert (stale.exists(), fresh.exists(), blob.exists()) == (False, True, True)


def test_work_folders_without_an_owner_go(bench: Bench) -> None:
    work, locks = bench.session.dirs.work, bench.session.dirs.locks
    for name in ("20250101-000000-aaaaaa", "20250101-000000-bbbbbb", "build-cc", "test-dd", "new"):
        (work / name).mkdir(parents=True)
        (work / name / "file").write_bytes(b"x" * 10)
        if name != "new":
            old(work / name)
    held = [FileLock(lock_of(bench, "run", "20250101-000000-bbbbbb"))]
    held.append(FileLock(lock_of(bench, "test", "dd")))
    assert all(lock.try_acquire() for lock in held)
    gone = ["20250101-000000-aaaaaa", "build-cc"]
    assert names(looked(bench), "work") == gone
    found = cleaned(bench)
    assert [(i.name, i.size, i.removed) for i in found.items] == [(n, 10, True) for n in gone]
    left = {path.name for path in work.iterdir()}
    assert left == {"20250101-000000-bbbbbb", "test-dd", "new"}
    assert not (locks / "run" / f"{gone[0]}.lock").exists()
    for lock in held:
        lock.release()


def test_work_that_somebody_takes_up_after_it_was_planned_to_go_stays(bench: Bench) -> None:
    folder = bench.session.dirs.work / "build-cc"
    folder.mkdir(parents=True)
    planned = looked(bench) if old(folder) else None
    assert planned is not None and names(planned, "work") == ["build-cc"]
    lock = FileLock(lock_of(bench, "build", "cc"))
    assert lock.try_acquire()
    done = carry_out(bench.session, planned)
    assert folder.exists() and not done.items[0].removed
    assert "work build-cc: it is in use" in done.notes
    lock.release()


def environment(bench: Bench, context: str, used: float, example: str = "say") -> str:
    """A finished environment; its name as an image."""
    tag, image = f"cvl/{example}:{context[:20]}", f"venv:{context}"
    folder = bench.session.dirs.envs / f"{example}-{context[:20]}"
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_bytes(b"x" * 10)
    python.chmod(0o755)
    marks = {labels.EXAMPLE: example, labels.CONTEXT: context}
    about = {"tag": tag, "id": image, "labels": marks, "python": "", "made": used}
    (folder / "env.json").write_text(json.dumps(about))
    bench.session.records.remember_image(context, image)
    with sqlite3.connect(bench.session.dirs.database) as database:
        database.execute("UPDATE images SET used=? WHERE image=?", (used, image))
    return tag


def with_venv(bench: Bench) -> None:
    """`say` may run in both engines."""
    manifest = bench.folder / "examples" / "say" / "example.yaml"
    manifest.write_text(f"{manifest.read_text()}engines: [docker, venv]\n")
    (manifest.parent / "requirements.lock").write_text("# nothing\n")


def test_superseded_environments_go_least_recently_used_first(bench: Bench) -> None:
    with_venv(bench)
    first, second, last = (environment(bench, f"{n}" * 64, n) for n in (2, 1, 3))
    foreign = environment(bench, "4" * 64, 1, "unheard_of")
    host = bench.another().on_host()
    current = environment(bench, next(iter(current_contexts(host, bench.catalog).contexts)), 0)
    assert names(looked(bench), "environment") == [second, first, last]
    size = looked(bench).items[0].size
    gone = names(cleaned(bench, Limits(50, 2.5 * size / 1e9)), "environment")
    assert gone == [second]
    assert names(cleaned(bench), "environment") == [first, last]
    left = {path.name for path in bench.session.dirs.envs.iterdir()}
    assert left == {tag.partition("/")[2].replace(":", "-") for tag in (foreign, current)}


def test_an_environment_that_a_process_uses_stays(bench: Bench) -> None:
    tag = environment(bench, "1" * 64, 1)
    host = bench.session.on_host().engine
    process = host.create(bare_container(f"venv:{'1' * 64}"))
    assert f"environment {tag}: {tag} is in use" in cleaned(bench).notes
    host.remove(process)
    assert [item.removed for item in cleaned(bench).items] == [True]


def test_an_environment_whose_making_was_interrupted_goes_after_a_day(bench: Bench) -> None:
    half = bench.session.dirs.envs / "say-0"
    half.mkdir(parents=True)
    assert names(looked(bench), "environment") == []
    old(half)
    assert names(cleaned(bench), "environment") == ["say-0"]
    assert not half.exists()


def test_without_an_engine_environments_can_go_and_images_stay(bench: Bench) -> None:
    made(bench, "1")
    made(bench, "2")
    tag = environment(bench, "1" * 64, 1)
    bench.engine.lose()
    found = cleaned(bench)
    assert [item.name for item in found.items] == [tag]
    bench.engine.come_back()
    assert len(images(bench)) == 2


def test_nobody_elses_weights_are_ever_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = bench.folder / "hub"
    produced_in = hub / "models--org--name" / "blobs"
    produced_in.mkdir(parents=True)
    produced(produced_in / "aaaa", b"weights")
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    assert cleaned(bench, Limits(0, 0)).items == ()
    assert (produced_in / "aaaa").read_bytes() == b"weights"


def test_a_work_folder_that_a_container_may_write_to_stays(bench: Bench) -> None:
    """Of a run that cannot be judged from here, and whose record is gone."""
    name = "20250101-000000-aaaaaa"
    folder = bench.session.dirs.work / name
    folder.mkdir(parents=True)
    bench.engine.add_image("any:1")
    marks = {labels.RUN: name}
    container = bench.engine.create(bare_container("any:1", labels=marks))
    old(folder)
    assert names(looked(bench), "work") == []
    bench.engine.remove(container)
    assert names(looked(bench), "work") == [name]
