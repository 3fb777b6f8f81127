"""A step is not done twice, and what makes it run again is told; on the repository's own chain of
stubs and a real engine."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from cvl.store.digests import SETTLED_NS
from tests.conftest import STUBS, Cvl, data_of
from tests.support.images import PYTHON

pytestmark = pytest.mark.docker


def _chain(cvl: Cvl, *more: str, **environment: str) -> tuple[dict[str, bool], str]:
    """Which steps were cached, and what was said."""
    arguments = ("run", "twostep", "predict", "--overwrite", "--json", *more)
    result = cvl(*arguments, env=environment)
    steps: dict[str, Any] = data_of(result)["steps"]
    return {name: step["cached"] for name, step in steps.items()}, result.stderr


def _copied_stubs(tmp_path: Path) -> Path:
    for name in ("stub", "twostep"):
        folder = tmp_path / "copied" / name
        folder.mkdir(parents=True)
        for file in (STUBS / name).glob("*.*"):
            (folder / file.name).write_bytes(file.read_bytes())
        if (STUBS / name / "Dockerfile").exists():
            (folder / "Dockerfile").write_text((STUBS / name / "Dockerfile").read_text())
    return tmp_path / "copied"


def test_an_unchanged_chain_starts_no_container_whatever_the_output_is_called(
    cvl: Cvl, tmp_path: Path
) -> None:
    assert _chain(cvl)[0] == {"first": False, "second": False}
    assert _chain(cvl)[0] == {"first": True, "second": True}
    (tmp_path / "elsewhere").mkdir()
    other = ("-o", str(tmp_path / "elsewhere" / "another name.txt"))
    assert _chain(cvl, *other)[0] == {"first": True, "second": True}


def test_a_changed_input_runs_its_step_and_those_after_it_and_says_why(cvl: Cvl) -> None:
    _chain(cvl)
    cached, said = _chain(cvl, "--act", "text", "--explain")
    assert cached == {"first": False, "second": False}
    assert "first: --act changed: 'ok' -> 'text'" in said
    assert "second: --file changed: file" in said


def test_a_file_counts_by_its_content_and_not_by_its_time_or_name(cvl: Cvl, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("one")
    run = ("run", "stub", "predict", "--act", "copy", "--json", "--overwrite", "--file")
    before = given.stat()

    def cached(path: Path) -> bool:
        found: bool = data_of(cvl(*run, str(path)))["steps"]["stub"]["cached"]
        return found

    assert cached(given) is False
    os.utime(given)
    assert cached(given) is True
    renamed = given.rename(tmp_path / "renamed.txt")
    assert cached(renamed) is True
    assert not (tmp_path / "home" / "cache" / "digests").exists()  # small files are just read
    renamed.write_text("two")
    os.utime(renamed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cached(renamed) is False


def test_a_large_file_whose_result_is_known_is_not_read_again_until_something_was_done_to_it(
    cvl: Cvl, tmp_path: Path
) -> None:
    given = tmp_path / "given.bin"
    given.write_bytes(os.urandom(2 << 20))
    settled = given.stat().st_ctime_ns + SETTLED_NS
    while time.time_ns() <= settled:
        cvl("list")
    run = ("run", "stub", "predict", "--act", "copy", "--json", "--overwrite", "--file", str(given))

    def cached() -> bool:
        found: bool = data_of(cvl(*run))["steps"]["stub"]["cached"]
        return found

    assert cached() is False
    (memo,) = (tmp_path / "home" / "cache" / "digests").iterdir()
    known = memo.read_text()
    memo.write_text(known[:-64] + "0" * 64)
    refused = cvl(*run)  # what it is said to hold has no result, and is not what it holds
    assert refused.returncode == 2 and "changed meanwhile" in refused.stdout
    assert cached() is True
    assert memo.read_text() == known
    before = given.stat()
    data = bytearray(given.read_bytes())
    data[0] ^= 1
    given.write_bytes(data)
    os.utime(given, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cached() is False


def test_other_code_runs_again_and_a_pruned_image_is_still_a_hit_without_a_rebuild(
    cvl: Cvl, engine: Any, tmp_path: Path
) -> None:
    examples = _copied_stubs(tmp_path)
    code = examples / "stub" / "acts.py"
    code.write_text(f"{code.read_text()}\n# {tmp_path}\n")
    here = {"CVL_EXAMPLES": str(examples)}
    built = data_of(cvl("run", "stub", "build", "--json", env=here))["images"][0]
    assert _chain(cvl, **here)[0] == {"first": False, "second": False}
    engine.docker("rmi", "--force", built["tag"])
    cached, said = _chain(cvl, **here)
    assert cached == {"first": True, "second": True}
    assert "build" not in said
    code.write_text(f"{code.read_text()}# edited\n")
    cached, said = _chain(cvl, "--explain", **here)
    assert cached == {"first": False, "second": False}
    assert "first: the example's code or base image changed" in said


def test_when_its_base_image_is_pruned_too_it_is_still_a_hit(
    cvl: Cvl, engine: Any, tmp_path: Path
) -> None:
    base = f"cvl-test/base:{uuid.uuid4().hex}"
    engine.docker("tag", PYTHON, base)
    here = {"CVL_EXAMPLES": str(_copied_stubs(tmp_path)), "CVL_BASE_IMAGE": base}
    built = data_of(cvl("run", "stub", "build", "--json", env=here))["images"][0]
    assert _chain(cvl, **here)[0] == {"first": False, "second": False}
    engine.docker("rmi", built["tag"], base)
    cached, said = _chain(cvl, **here)
    assert cached == {"first": True, "second": True}
    assert "build" not in said and "pull" not in said


def test_other_code_under_the_same_tag_runs_again(cvl: Cvl, engine: Any, tmp_path: Path) -> None:
    built = data_of(cvl("run", "stub", "build", "--json"))["images"][0]
    assert _chain(cvl)[0] == {"first": False, "second": False}
    (tmp_path / "Dockerfile").write_text(f"FROM {built['tag']}\nLABEL other={tmp_path.name}\n")
    try:
        engine.docker("tag", built["image"], "cvl-test/kept")
        _rebuild(engine, tmp_path, built["tag"])
        assert _chain(cvl)[0] == {"first": False, "second": False}
    finally:
        other = engine.docker("images", "--quiet", "--no-trunc", built["tag"])
        engine.docker("tag", "cvl-test/kept", built["tag"])
        engine.docker("rmi", "--force", other, check=False)
        engine.docker("rmi", "cvl-test/kept", check=False)
    assert _chain(cvl)[0] == {"first": True, "second": True}


def _rebuild(engine: Any, folder: Path, tag: str) -> None:
    import subprocess

    from cvl.engine.build import find_client

    command = [*find_client().command(), "--tag", tag, str(folder)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": engine.host}
    subprocess.run(command, check=True, env=environment, capture_output=True)


def test_a_flipped_or_missing_blob_is_a_miss_with_a_warning_and_is_never_served(
    cvl: Cvl, tmp_path: Path
) -> None:
    _chain(cvl)
    blobs = sorted((tmp_path / "home" / "cache" / "results" / "sha256").glob("*/*"))
    assert len(blobs) == 1
    blobs[0].chmod(0o644)
    data = bytearray(blobs[0].read_bytes())
    data[0] ^= 1
    blobs[0].write_bytes(data)
    cached, said = _chain(cvl)
    assert cached["first"] is False
    assert "warning: a kept result is not used: its result was changed on disk" in said
    assert (tmp_path / "result.txt").read_text().startswith("ok ")
    next((tmp_path / "home" / "cache" / "results" / "sha256").glob("*/*")).unlink()
    cached, said = _chain(cvl)
    assert cached["first"] is False
    assert "warning: a kept result is not used: its result cannot be read" in said


def test_an_inexact_rung_or_another_dtype_runs_and_an_exact_rung_does_not(cvl: Cvl) -> None:
    run = ("run", "ladder_stub", "predict", "--gpus", "none", "--enough", "none", "--overwrite")

    def step(*more: str) -> tuple[bool, str, str]:
        found = data_of(cvl(*run, *more, "--json"))["steps"]["ladder_stub"]
        return found["cached"], found["offload"], found["dtype"]

    assert step("--offload", "none") == (False, "none", "fp32")
    assert step("--offload", "model") == (True, "none", "fp32")
    assert step("--offload", "fp8") == (False, "fp8", "fp32")
    assert step("--offload", "fp8") == (True, "fp8", "fp32")
    assert step("--dtype", "fp32") == (True, "none", "fp32")
    assert step("--dtype", "bf16") == (False, "none", "bf16")
    assert step("--dtype", "bf16") == (True, "none", "bf16")
