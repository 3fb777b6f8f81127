"""Settings: environment over project over user over default, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.errors import UserError
from cvl.store.config import Config, load_config


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, with nothing set around it."""
    for name in (
        "BASE_IMAGE",
        "BUILD_NETWORK",
        "CA_BUNDLE",
        "COMMERCIAL",
        "GPUS",
        "PROGRESS",
        "RESULTS_GB",
        "SUPERSEDED_GB",
    ):
        monkeypatch.delenv(f"CVL_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "cvl").mkdir(parents=True)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def user(tmp_path: Path, text: str) -> None:
    (tmp_path / "config" / "cvl" / "cvl.toml").write_text(text)


def test_without_any_file_there_are_the_defaults() -> None:
    assert load_config() == Config()


def test_a_bundle_is_where_the_file_that_names_it_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cvl.toml").write_text('ca_bundle = "company.pem"\n')
    assert load_config().ca_bundle == str(project / "company.pem")
    (project / "cvl.toml").write_text('ca_bundle = "/etc/company.pem"\n')
    assert load_config().ca_bundle == "/etc/company.pem"
    monkeypatch.setenv("CVL_CA_BUNDLE", "mine.pem")
    assert load_config().ca_bundle == "mine.pem"


def test_the_project_wins_over_the_user_key_by_key(project: Path, tmp_path: Path) -> None:
    user(tmp_path, 'gpus = "1"\nprogress = "plain"\n')
    (project / "cvl.toml").write_text('gpus = "all"\n')
    config = load_config()
    assert (config.gpus, config.progress) == ("all", "plain")


def test_the_environment_wins_over_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cvl.toml").write_text('gpus = "all"\nresults_gb = 5\n')
    monkeypatch.setenv("CVL_GPUS", "none")
    monkeypatch.setenv("CVL_RESULTS_GB", "0.5")
    monkeypatch.setenv("CVL_SUPERSEDED_GB", "0")
    config = load_config()
    assert (config.gpus, config.results_gb, config.superseded_gb) == ("none", 0.5, 0)


def test_the_nearest_project_file_upwards_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cvl.toml").write_text('examples = ["mine", "/abs"]\n')
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_config().found_examples == (str(project / "mine"), "/abs")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("gpu = 'all'", "unknown key 'gpu'", "did you mean gpus?"),
        ("gpus = 1", "gpus is not of type str", ""),
        ("results_gb = true", "results_gb is not of type float", ""),
        ("results_gb = 'x'", "results_gb is not of type float", ""),
        ("gpus = ", "Invalid value", ""),
    ],
)
def test_what_is_wrong_names_the_file(project: Path, text: str, said: str, hint: str) -> None:
    path = project / "cvl.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config()
    assert caught.value.message.startswith(f"{path}: {said}")
    assert (caught.value.hint, caught.value.code) == (hint, "bad_config")


@pytest.mark.parametrize(("text", "value"), [("2.5", 2.5), ("7", 7.0)])
def test_sizes_may_be_whole_or_not(project: Path, text: str, value: float) -> None:
    (project / "cvl.toml").write_text(f"results_gb = {text}")
    assert load_config().results_gb == value


def test_bytes_that_are_no_text_and_numbers_that_are_none_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cvl.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="codec"):
        load_config()
    (project / "cvl.toml").unlink()
    monkeypatch.setenv("CVL_RESULTS_GB", "many")
    with pytest.raises(UserError, match="CVL_RESULTS_GB is 'many'"):
        load_config()


def test_commercial_is_a_plain_yes_or_no(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cvl.toml").write_text("commercial = true\n")
    for value, meant in (("", True), ("0", False), ("off", False), ("1", True), ("True", True)):
        monkeypatch.setenv("CVL_COMMERCIAL", value)
        assert load_config().commercial is meant, value
    monkeypatch.setenv("CVL_COMMERCIAL", "ja")
    with pytest.raises(UserError, match="CVL_COMMERCIAL is 'ja'"):
        load_config()
