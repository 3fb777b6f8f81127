"""What a step was given is kept, and laid out again for a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvl.engine.fake import FakeContainer
from cvl.errors import CvlError, EngineError, StepError, UserError
from cvl.ops.kept import KeptStep, kept_steps, read_step
from cvl.ops.shell import Wanted, open_shell, restage
from tests.ops.bench import Bench

MANY = """\
name: many
summary: Takes files of every kind
license: {code: Apache-2.0}
resources: {memory_limit_gb: 1}
inputs:
  text: {type: string, default: hi}
  one: {type: file}
  several: {type: list, of: file}
  folder: {type: directory}
  none: {type: file, optional: true}
outputs:
  result: {type: file, default: result.txt}
secrets: [SAY_SECRET]
"""
CANARY = "canary-91b7"


def fail(container: FakeContainer) -> int:
    return 1


def newest(bench: Bench) -> Path:
    run = bench.session.records.runs(limit=1)[0].id
    return bench.session.dirs.runs / run


@pytest.fixture
def failed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> KeptStep:
    """What a step was given that failed."""
    monkeypatch.setenv("SAY_SECRET", CANARY)
    monkeypatch.chdir(bench.folder)
    bench.add("many", MANY)
    for name in ("a.txt", "b.txt", "c.bin"):
        (bench.folder / name).write_text(name)
    (bench.folder / "tree" / "below").mkdir(parents=True)
    (bench.folder / "tree" / "below" / "leaf").write_text("leaf")
    bench.play(fail)
    given = {"one": "a.txt", "several": ["b.txt", "c.bin"], "folder": "tree"}
    with pytest.raises(StepError):
        bench.run("many", **given)
    return read_step(newest(bench), "x", "")


def test_it_is_private_and_has_no_secrets(bench: Bench, failed: KeptStep) -> None:
    (path,) = newest(bench).glob("*.step.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert CANARY not in path.read_text()
    assert failed.values == {"text": "hi", "none": None}
    assert [file.path for file in failed.files["several"]] == [
        str(bench.folder / name) for name in ("b.txt", "c.bin")
    ]


def test_inputs_lie_where_the_step_had_them(bench: Bench, failed: KeptStep, tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    restage(bench.session, failed, tmp_path / "inputs")
    found = {
        str(path.relative_to(tmp_path / "inputs")): path.read_text()
        for path in (tmp_path / "inputs").rglob("*")
        if path.is_file()
    }
    assert found == {
        "one.txt": "a.txt",
        "several.0.txt": "b.txt",
        "several.1.bin": "c.bin",
        "folder/below/leaf": "leaf",
    }
    assert bench.report.warnings == []


def test_a_file_that_changed_or_is_gone_is_told(
    bench: Bench, failed: KeptStep, tmp_path: Path
) -> None:
    (bench.folder / "a.txt").write_text("other")
    (bench.folder / "b.txt").unlink()
    (bench.folder / "tree" / "more").write_text("more")
    (tmp_path / "inputs").mkdir()
    restage(bench.session, failed, tmp_path / "inputs")
    assert sorted(path.name for path in (tmp_path / "inputs").iterdir()) == [
        "folder", "one.txt", "several.1.bin",
    ]  # fmt: skip
    assert (tmp_path / "inputs" / "one.txt").read_text() == "other"
    assert sorted(bench.report.warnings) == sorted([
        f"--one: {bench.folder}/a.txt has changed since: this is what it holds now",
        f"left out: --several: there is no file {bench.folder}/b.txt",
        f"--folder: {bench.folder}/tree has changed since: this is what it holds now",
    ])  # fmt: skip


def test_what_an_earlier_step_made_comes_from_the_results(bench: Bench, tmp_path: Path) -> None:
    bench.add("chain", CHAIN)
    bench.run("chain")
    folder = newest(bench)
    assert kept_steps(folder) == ["first", "second"]
    kept = read_step(folder, "x", "second")
    (tmp_path / "inputs").mkdir()
    restage(bench.session, kept, tmp_path / "inputs")
    assert (tmp_path / "inputs" / "file.txt").read_text().startswith("hi ")


CHAIN = """\
name: chain
kind: pipeline
summary: Twice
inputs: {text: {type: string, default: hi}}
steps:
  first: {uses: say, with: {text: "${inputs.text}"}}
  second: {uses: say, with: {file: "${first.result}"}}
outputs: {result: "${second.result}"}
"""


def test_a_step_that_is_not_there_or_cannot_be_read(bench: Bench, failed: KeptStep) -> None:
    folder = newest(bench)
    with pytest.raises(UserError, match="x started no step 'mnay'") as told:
        read_step(folder, "x", "mnay")
    assert told.value.hint == "did you mean many?"
    (path,) = folder.glob("*.step.json")
    for text in ("", "[]", "{", json.dumps({**json.loads(path.read_text()), "more": 1})):
        path.write_text(text)
        with pytest.raises(UserError, match="what many of x was given cannot be read"):
            read_step(folder, "x", "")
    path.unlink()
    with pytest.raises(UserError, match="it is not known what x was given"):
        read_step(folder, "x", "")


def test_a_run_that_is_not_there_and_an_engine_without_shells(
    bench: Bench, failed: KeptStep
) -> None:
    with pytest.raises(CvlError, match="there is no run 'nothing'"):
        open_shell(bench.session, bench.catalog, Wanted("nothing", command="ls"))
    with pytest.raises(EngineError) as told:
        open_shell(bench.session, bench.catalog, Wanted("last", command="ls"))
    assert told.value.code == "no_shell"
    assert bench.leftovers() == []
