"""cvl demo: the first thing that anybody types."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import envelope_of
from tests.conftest import data_of, run_cvl
from tests.examples.conftest import SAMPLE


def test_it_writes_demo_mp4_says_where_and_leaves_an_equal_one_alone(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    first = run_cvl(example_env, tmp_path, "demo")
    assert (first.returncode, first.stdout) == (0, f"{tmp_path}/demo.mp4\n"), first.stderr
    assert "cvl run avatar_video predict" in first.stderr.splitlines()[-1]
    before = (tmp_path / "demo.mp4").stat()
    again = envelope_of(run_cvl(example_env, tmp_path, "demo", "--json"), "demo")["data"]
    assert (again["unchanged"], again["seed"]) == (["video"], 42)
    after = (tmp_path / "demo.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    other = run_cvl(example_env, tmp_path, "demo", "--text", "Hi.", "--json")
    assert envelope_of(other, "demo", 2)["error"]["code"] == "target_exists"


def test_it_takes_a_text_a_picture_and_a_place(example_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "me.jpg").write_bytes(SAMPLE.read_bytes())
    words = ("demo", "--text", "Hi.", "--image", "me.jpg", "-o", "mine.mp4", "--json", "-q")
    assert data_of(run_cvl(example_env, tmp_path, *words))["outputs"] == {
        "video": str(tmp_path / "mine.mp4")
    }
    assert {path.name for path in tmp_path.iterdir()} == {"me.jpg", "mine.mp4"}


def test_a_wrong_picture_or_place_is_told_before_anything_starts(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    for words, message in (
        (("--image", "nothing.jpg"), "--image: there is no file nothing.jpg"),
        (("--output", "demo.txt"), "--output: video cannot be written as .txt"),
    ):
        result = run_cvl(example_env, tmp_path, "demo", *words)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {message}\nhint: ")
