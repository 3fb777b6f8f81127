"""Which engine a docker command would talk to, and whether it is on this machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cvl.engine.endpoint import DEFAULT, Endpoint, refuse_remote, resolve_endpoint
from cvl.errors import EngineError


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty docker configuration, which is the only one."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def add_context(config: Path, name: str, document: object) -> None:
    folder = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps(document))


def lab(host: str = "unix:///run/lab.sock") -> dict[str, object]:
    return {"Name": "lab", "Endpoints": {"docker": {"Host": host}}}


def test_without_any_setting_it_is_dockers_default() -> None:
    assert resolve_endpoint() == Endpoint(DEFAULT, "default")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("unix:///run/mine.sock", "unix:///run/mine.sock"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("127.0.0.1:2375", "tcp://127.0.0.1:2375"),
    ],
)
def test_docker_host_comes_first(
    value: str, url: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_context(config, "lab", lab())
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    monkeypatch.setenv("DOCKER_HOST", value)
    assert resolve_endpoint() == Endpoint(url, "DOCKER_HOST")


def test_the_context_of_the_environment_wins_over_the_configured_one(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_context(config, "lab", lab())
    (config / "config.json").write_text(json.dumps({"currentContext": "other"}))
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    assert resolve_endpoint() == Endpoint("unix:///run/lab.sock", "context lab")


def test_the_configured_context_is_used(config: Path) -> None:
    add_context(config, "lab", lab())
    (config / "config.json").write_text(json.dumps({"currentContext": "lab"}))
    assert resolve_endpoint() == Endpoint("unix:///run/lab.sock", "context lab")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": 7}', '{"auths": {}}'])
def test_a_configuration_that_names_no_context_means_the_default(config: Path, text: str) -> None:
    (config / "config.json").write_text(text)
    assert resolve_endpoint() == Endpoint(DEFAULT, "default")


@pytest.mark.parametrize("name", ["", "default"])
def test_the_context_called_default_is_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", name)
    assert resolve_endpoint() == Endpoint(DEFAULT, "default")


@pytest.mark.parametrize("document", [None, [], {"Endpoints": {}}, {"Endpoints": {"docker": 1}}])
def test_a_context_that_is_missing_or_broken_is_an_error_with_its_name(
    document: object, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if document is not None:
        add_context(config, "lab", document)
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    with pytest.raises(EngineError, match="lab") as error:
        resolve_endpoint()
    assert error.value.code == "unknown_context"
    assert "docker context" in error.value.hint


def test_a_context_whose_name_is_a_path_reaches_no_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config / "meta.json").write_text(json.dumps(lab()))
    monkeypatch.setenv("DOCKER_CONTEXT", "../../..")
    with pytest.raises(EngineError):
        resolve_endpoint()


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("unix:///run/docker.sock", False),
        ("http+unix://%2Frun%2Fdocker.sock", False),
        ("npipe:////./pipe/docker_engine", False),
        ("tcp://localhost:2375", False),
        ("tcp://LOCALHOST:2375", False),
        ("tcp://127.0.0.1:2376", False),
        ("tcp://[::1]:2375", False),
        ("tcp://10.1.2.3:2375", True),
        ("tcp://localhost.example.org:2375", True),
        ("https://gpu.example.org", True),
        ("ssh://me@gpu", True),
        ("ssh://localhost", True),
    ],
)
def test_an_engine_of_another_machine_is_told_by_its_address(url: str, remote: bool) -> None:
    endpoint = Endpoint(url, "DOCKER_HOST")
    assert endpoint.remote is remote
    if not remote:
        refuse_remote(endpoint)
        return
    with pytest.raises(EngineError, match="another machine") as error:
        refuse_remote(endpoint)
    assert error.value.code == "engine_remote"
    assert error.value.hint


def test_a_remote_engine_is_refused_before_anything_is_sent() -> None:
    from cvl.engine.docker import DockerEngine

    with pytest.raises(EngineError) as error:
        DockerEngine(Endpoint("tcp://192.0.2.1:2375", "DOCKER_HOST"))
    assert error.value.code == "engine_remote"


def test_what_is_no_address_at_all_is_told_as_that() -> None:
    with pytest.raises(EngineError, match="no address") as error:
        refuse_remote(Endpoint("tcp://[::1", "DOCKER_HOST"))
    assert error.value.code == "engine_address"


def test_an_engine_that_is_not_there_is_unreachable_with_what_to_do(tmp_path: Path) -> None:
    from cvl.engine.docker import DockerEngine

    with pytest.raises(EngineError, match="no Docker engine answers") as error:
        DockerEngine(Endpoint(f"unix://{tmp_path}/no.sock", "DOCKER_HOST"))
    assert error.value.code == "engine_unreachable"
    assert "start docker" in error.value.hint.lower()
