"""Published files say how they were made, the same for everybody, and can be made again from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cvl.core.provenance import ProvenanceError, decode
from cvl.core.provenance.sidecar import decode_sidecar
from cvl.engine.fake import FakeContainer
from cvl.errors import InputError, TargetExistsError
from cvl.ops.inspecting import code_now, inspect_file, read_statement
from cvl.ops.predict import RunResult, run_request
from cvl.ops.request import Options, Request
from cvl.ops.rerun import Given, provenance_in, request_again
from cvl.store.patching import statement_in
from tests.ops.bench import Bench, output_of, request_of, say, step_of
from tests.support.files import wav

SING = """\
name: sing
summary: Sings it
license: {code: Apache-2.0}
resources: {gpu: none, memory_limit_gb: 1}
inputs:
  text: {type: string, default: hi}
  score: {type: file, optional: true}
  clips: {type: list, of: file, optional: true}
outputs:
  sound: {type: audio, default: song.wav}
secrets: [SAY_SECRET]
"""
OPERA = """\
name: opera
kind: pipeline
summary: Says, then sings
inputs:
  text: {type: string, default: hi}
  file: {type: file, optional: true}
steps:
  words: {uses: say, with: {text: "${inputs.text}", file: "${inputs.file}"}}
  song: {uses: sing, with: {text: aria, score: "${words.result}"}}
outputs: {sound: "${song.sound}"}
"""


@pytest.fixture(autouse=True)
def singers(bench: Bench) -> None:
    bench.add("sing", SING)
    bench.add("opera", OPERA)
    bench.play(act)


def act(container: FakeContainer) -> int:
    if step_of(container) in ("sing", "song"):
        request = request_of(container)
        wav(output_of(container), 100 + request["options"]["seed"] % 1000)
        return 0
    return say(container)


def again(
    bench: Bench, path: Path, output: str, *, changed: bool = False, **files: Any
) -> RunResult:
    """What `cvl rerun` does."""
    made_by = provenance_in(path)
    steps: dict[str, dict[str, str]] = {}
    for name in [name for name in files if "__" in name]:
        step, _, field = name.partition("__")
        steps.setdefault(step, {})[field] = files.pop(name)
    given = Given(files, steps, {"": str(bench.folder / output)}, changed)
    options = Options(sidecar=not output.endswith("wav"))
    request = request_again(bench.catalog, bench.session.results, made_by, given, options)
    return run_request(bench.session, bench.catalog, request)


def score(bench: Bench, text: str = "do re mi", name: str = "score.txt") -> str:
    path = bench.folder / name
    path.write_text(text)
    return str(path)


def test_a_file_says_what_made_it(bench: Bench) -> None:
    result = bench.run("sing", output="a.wav", seed=5, score=score(bench))
    made_by = provenance_in(bench.folder / "a.wav")
    assert (made_by.example, made_by.seed, made_by.output) == ("sing", 5, "sound")
    assert made_by.arguments == {"text": "hi"}
    assert made_by.files["score"][0].size == 8
    assert made_by.steps["sing"].image == result.steps["sing"].image
    kept = result.steps["sing"].outputs["sound"].path
    assert statement_in(kept) is None


def test_the_same_bytes_are_no_write_and_another_statement_is_another_file(bench: Bench) -> None:
    bench.run("sing", output="a.wav", seed=5)
    before = (bench.folder / "a.wav").stat()
    for options in ({}, {"overwrite": True}, {"use_cache": False, "overwrite": True}):
        assert bench.run("sing", output="a.wav", seed=5, **options).unchanged == ("sound",)
    after = (bench.folder / "a.wav").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    bench.run("sing", output="b.wav", seed=5, text="ho")  # the same sound
    with pytest.raises(TargetExistsError):
        bench.run("sing", output="a.wav", seed=5, text="ho")


def test_a_file_with_one_byte_changed_is_not_the_same(bench: Bench) -> None:
    bench.run("sing", output="a.wav", seed=5)
    good = (bench.folder / "a.wav").read_bytes()
    for at in (5, 30, 60, len(good) - 4):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        (bench.folder / "a.wav").write_bytes(bad)
        with pytest.raises(TargetExistsError):
            bench.run("sing", output="a.wav", seed=5)


def test_nothing_private_is_in_the_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAY_SECRET", "canary-secret")
    monkeypatch.setenv("USER", "canary-user")
    monkeypatch.setenv("HOME", "/canary-home")
    private = bench.folder / "canary-folder"
    private.mkdir()
    (private / "canary-name.txt").write_text("notes")
    bench.run("sing", output="canary-folder/a.wav", score=str(private / "canary-name.txt"))
    data = (private / "a.wav").read_bytes()
    assert b"cvl-provenance/1" in data
    run = bench.session.records.runs(limit=1)[0].id
    for word in (b"canary", str(bench.folder).encode(), run.encode(), run[:8].encode()):
        assert word not in data


def test_a_pipeline_names_its_steps_and_their_options(bench: Bench) -> None:
    given = score(bench)
    example = bench.catalog.find("opera")
    outputs = {"": str(bench.folder / "a.wav")}
    extra = score(bench, "extra", "extra.txt")
    steps = {"song": {"text": "tralala", "clips": [extra]}}
    options = Options(seed=7)
    request = Request(example, {"file": given}, outputs, steps, options)
    run_request(bench.session, bench.catalog, request)
    made_by = provenance_in(bench.folder / "a.wav")
    assert made_by.arguments == {"text": "hi", "song.text": "tralala"}
    assert set(made_by.files) == {"file", "song.clips"}
    assert {name: o.example for name, o in made_by.steps.items()} == {
        "words": "say",
        "song": "sing",
    }
    bench.session.results.trim(0)
    with pytest.raises(InputError) as caught:
        again(bench, bench.folder / "a.wav", "b.wav")
    assert caught.value.code == "missing_files"
    assert caught.value.message.startswith("2 files are needed")
    assert made_by.files["song.clips"][0].sha256 in caught.value.message
    again(bench, bench.folder / "a.wav", "b.wav", file=given, song__clips=[extra])
    assert (bench.folder / "a.wav").read_bytes() == (bench.folder / "b.wav").read_bytes()


def test_made_again_it_has_the_same_bytes_also_without_a_seed_and_from_mixed_ones(
    bench: Bench,
) -> None:
    bench.run("sing", output="once.wav")
    again(bench, bench.folder / "once.wav", "twice.wav")
    bench.run("say", seed=3, output="x.txt")
    bench.run("opera", output="mixed.wav")  # `words` is known, with its own seed
    made_by = provenance_in(bench.folder / "mixed.wav")
    assert made_by.steps["words"].seed == 3 != made_by.steps["song"].seed
    again(bench, bench.folder / "mixed.wav", "mixed2.wav")
    for first, second in (("once", "twice"), ("mixed", "mixed2")):
        one, two = ((bench.folder / f"{name}.wav").read_bytes() for name in (first, second))
        assert one == two


def test_a_file_that_an_earlier_run_made_is_found_by_its_content(bench: Bench) -> None:
    bench.run("say", output="score.txt")
    bench.run("sing", output="a.wav", score=str(bench.folder / "score.txt"))
    (bench.folder / "score.txt").unlink()
    again(bench, bench.folder / "a.wav", "b.wav")
    assert (bench.folder / "a.wav").read_bytes() == (bench.folder / "b.wav").read_bytes()


def test_a_file_that_is_not_known_is_asked_for_and_another_one_refused(bench: Bench) -> None:
    bench.run("sing", output="a.wav", score=score(bench))
    path = bench.folder / "a.wav"
    with pytest.raises(InputError) as missing:
        again(bench, path, "b.wav")
    assert (missing.value.code, missing.value.hint) == ("missing_files", "give --score PATH")
    other = score(bench, "fa so la")
    with pytest.raises(InputError) as refused:
        again(bench, path, "b.wav", score=other)
    assert refused.value.code == "other_file"
    assert not (bench.folder / "b.wav").exists()
    again(bench, path, "b.wav", score=other, changed=True)
    ref = provenance_in(bench.folder / "b.wav").files["score"]
    assert ref != provenance_in(path).files["score"]
    for wrong in ("/nonexistent", "/dev/zero"):
        with pytest.raises(InputError):
            again(bench, path, "c.wav", score=wrong)
    with pytest.raises(InputError, match="without a file --clips"):
        again(bench, path, "c.wav", score=other, clips=[other])


def test_the_same_content_will_do_under_any_name(bench: Bench) -> None:
    bench.run("sing", output="a.wav", score=score(bench))
    result = again(bench, bench.folder / "a.wav", "b.wav", score=score(bench, name="other.md"))
    assert result.steps["sing"].cached
    assert (bench.folder / "a.wav").read_bytes() == (bench.folder / "b.wav").read_bytes()


def test_a_sidecar_is_written_when_asked_for_and_serves_as_well(bench: Bench) -> None:
    assert bench.run(output="plain.txt").sidecars == {}
    path = bench.folder / "plain.txt"
    with pytest.raises(InputError) as caught:
        provenance_in(path)
    assert caught.value.code == "no_provenance"
    result = bench.run(output="plain.txt", sidecar=True)
    sidecar = bench.folder / "plain.txt.cvl.json"
    assert result.sidecars == {"result": str(sidecar)}
    document = json.loads(sidecar.read_text())
    assert document["run"] == result.run and document["machine"]["architecture"]
    again(bench, path, "again.txt")
    assert (bench.folder / "again.txt").read_bytes() == path.read_bytes()
    path.write_text("edited")
    assert read_statement(path).problem == "has a sidecar that belongs to other bytes"
    assert bench.leftovers() == []


def test_what_is_in_the_way_of_a_sidecar_is_told_before_any_work(bench: Bench) -> None:
    mine = bench.folder / "plain.txt.cvl.json"
    mine.write_text("{}")
    with pytest.raises(TargetExistsError, match="is no sidecar"):
        bench.run(output="plain.txt", sidecar=True)
    assert bench.calls("create") == []
    bench.run(output="plain.txt", sidecar=True, overwrite=True)
    decode_sidecar(mine.read_bytes())
    with pytest.raises(ProvenanceError):
        decode_sidecar(b"{}")


def test_a_name_of_255_bytes_has_a_sidecar(bench: Bench) -> None:
    name = "\u4e2d" * 83 + ".txt"
    result = bench.run(output=name + "xx"[: 255 - len(name.encode())], sidecar=True)
    assert Path(result.sidecars["result"]).is_file()


def test_whether_the_code_is_what_is_here(bench: Bench) -> None:
    bench.run("opera", output="a.wav")
    path = bench.folder / "a.wav"

    def states() -> dict[str, str]:
        return {code.step: code.state for code in inspect_file(bench.catalog, path).code}

    assert states() == {"": "same", "words": "same", "song": "same"}
    (bench.folder / "examples" / "sing" / "predict.py").write_text("# edited")
    manifest = bench.folder / "examples" / "opera" / "example.yaml"
    manifest.write_text(OPERA.replace("aria", "solo"))
    assert states() == {"": "changed", "words": "same", "song": "changed"}
    made_by = provenance_in(path)
    gone = replace(made_by, example="gone")
    assert code_now(bench.catalog, gone)[0].state == "missing"


def test_a_folder_and_a_damaged_statement_are_told(bench: Bench) -> None:
    folder = inspect_file(bench.catalog, bench.folder)
    assert (folder.media, folder.statement.place) == (None, "none")
    bench.run("sing", output="a.wav")
    path = bench.folder / "a.wav"
    path.write_bytes(path.read_bytes().replace(b'"seed":', b'"seed" '))
    damaged = inspect_file(bench.catalog, path).statement
    assert damaged.problem == "holds a damaged statement of how it was made"
    payload = statement_in(path)
    assert payload is not None
    with pytest.raises(ProvenanceError):
        decode(payload)
