"""Which engine runs an example, and which examples may run at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.engine.fake import FakeEngine
from cvl.errors import EngineError, UserError
from cvl.ops.describe import describe
from cvl.ops.engines import session_for
from cvl.ops.examples import Catalog, Example
from cvl.ops.predict import run_request
from cvl.ops.request import Request
from cvl.ops.session import Session
from tests.ops.bench import Recorder
from tests.support.venvs import write_example


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an example in ./examples, and a CVL_HOME."""
    monkeypatch.setenv("CVL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CVL_EXAMPLES", raising=False)
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "examples" / "both")
    write_example(tmp_path / "examples" / "contained", engines="docker")
    write_example(tmp_path / "examples" / "hosted", engines="venv")
    return tmp_path


def session(
    wanted: str = "auto", *, trust: bool = False, away: bool = False, named: bool = True
) -> Session:
    engine = FakeEngine(lambda container: 0)
    if away:
        engine.lose()
    return Session(
        report=Recorder(),
        connect=lambda: engine,
        wanted_engine=wanted,
        trust=trust,
        engine_named=named,
    )


def example(name: str, *, found: bool = False) -> Example:
    catalog = Catalog() if found else Catalog(["examples"])
    return catalog.find(name)


def kind(asked: Session, model: Example) -> str:
    return session_for(asked, model, model.manifest).engine.facts().kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "name", "away", "expected"),
    [
        ("auto", "both", False, "docker"),
        ("auto", "both", True, "venv"),
        ("auto", "hosted", False, "venv"),
        ("docker", "both", False, "docker"),
        ("venv", "both", False, "venv"),
        ("venv", "hosted", True, "venv"),
    ],
)
def test_the_engine_of_an_example(
    place: Path, wanted: str, name: str, away: bool, expected: str
) -> None:
    assert kind(session(wanted, away=away), example(name)) == expected


def test_one_line_says_which_engine_and_why(place: Path) -> None:
    asked = session(away=True)
    told: list[str] = []
    asked.report.message = told.append  # type: ignore[method-assign]
    for _ in range(2):
        kind(asked, example("both"))
    (line,) = told
    assert "engine: venv, because the fake engine" in line or "engine: venv, because" in line
    assert "neither your files nor the network" in line


def test_without_docker_an_example_that_needs_it_says_so(place: Path) -> None:
    with pytest.raises(EngineError):
        kind(session(away=True), example("contained"))


@pytest.mark.parametrize(("wanted", "name"), [("venv", "contained"), ("docker", "hosted")])
def test_an_engine_that_the_manifest_does_not_name_is_refused(
    place: Path, wanted: str, name: str
) -> None:
    with pytest.raises(UserError) as refused:
        kind(session(wanted), example(name))
    assert refused.value.code == "engine_not_allowed"
    assert "give --engine" in refused.value.hint


@pytest.mark.parametrize("wanted", ["auto", "docker"])
def test_what_was_found_where_one_works_runs_in_docker_after_one_trust(
    place: Path, wanted: str
) -> None:
    with pytest.raises(UserError) as refused:
        kind(session(wanted), example("both", found=True))
    assert (refused.value.code, "--trust once" in refused.value.hint) == ("not_trusted", True)
    assert kind(session(wanted, trust=True), example("both", found=True)) == "docker"
    assert kind(session(wanted), example("both", found=True)) == "docker"


def test_a_trust_holds_for_these_very_files_and_is_shown(place: Path) -> None:
    def shown() -> str:
        info = describe(Catalog(), example("both", found=True), "")
        assert info.model is not None
        return info.model.trust

    assert shown().startswith("not trusted")
    kind(session(trust=True), example("both", found=True))
    assert shown().startswith("trusted in containers, with --trust on ")
    (place / "examples" / "both" / "predict.py").write_text("import os\n")
    assert shown().startswith("not trusted")
    with pytest.raises(UserError):
        kind(session(), example("both", found=True))


@pytest.mark.parametrize(
    ("wanted", "trust", "away"),
    [("auto", False, True), ("auto", True, True), ("venv", False, True), ("venv", False, False)],
)
def test_what_was_found_where_one_works_never_runs_on_the_host_unless_both_are_said(
    place: Path, wanted: str, trust: bool, away: bool
) -> None:
    kind(session(trust=True), example("both", found=True))  # in containers, that is
    with pytest.raises((UserError, EngineError)):
        kind(session(wanted, trust=trust, away=away), example("both", found=True))
    with pytest.raises(UserError):
        kind(session("auto", trust=trust), example("hosted", found=True))
    assert kind(session("venv", trust=True, away=away), example("both", found=True)) == "venv"
    with pytest.raises(UserError):
        kind(session("venv", away=away), example("both", found=True))


def test_a_setting_does_not_stand_for_the_engine_on_the_command_line(place: Path) -> None:
    with pytest.raises(UserError):
        kind(session("venv", trust=True, named=False), example("both", found=True))


def test_a_projects_own_settings_make_nothing_trusted(place: Path) -> None:
    (place / "examples").rename(place / "mine")
    found = Catalog(found=["mine"]).find("both")
    configured = Catalog(configured=["mine"]).find("both")
    assert (found.trusted, configured.trusted) == (False, True)


@pytest.mark.parametrize("away", [False, True])
def test_an_untrusted_example_leaves_nothing(place: Path, away: bool) -> None:
    asked = session("auto" if not away else "venv", away=away)
    with pytest.raises(UserError):
        run_request(asked, Catalog(), Request(example("both", found=True)))
    assert not (place / "result.txt").exists()
    assert not list(place.glob("home/cache/envs/*")) and asked.records.runs() == []
