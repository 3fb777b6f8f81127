"""Which docker client builds, what it is asked, and what its failures become."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cvl.engine import build
from cvl.engine.build import BuildClient, build_command, build_image, find_client
from cvl.engine.endpoint import Endpoint
from cvl.engine.protocol import BuildProgress, BuildSpec
from cvl.errors import BuildError, DiskFullError, EngineError

OLD, NEW = "20.10.24+dfsg1", "28.2.2"
HERE = Endpoint("unix:///nobody-listens.sock", "the tests")
SPEC = BuildSpec("/context", "/id", "cvl/say:1", {"org.cvl.example": "say"}, {"BASE_IMAGE": "base"})
Client = Callable[..., Path]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Put a `docker` on PATH, after those that are there; nothing else is on it."""
    monkeypatch.setattr(build, "PLACES", ())
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CVL_DOCKER_CLIENT", raising=False)
    serial = itertools.count()

    def make(version: str, *, buildx: bool = False, building: str = "exit 0") -> Path:
        folder = tmp_path / f"bin{next(serial)}"
        folder.mkdir()
        script = folder / "docker"
        script.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = --version ]; then echo "Docker version {version}, build abc"; exit; fi\n'
            f'if [ "$*" = "buildx version" ]; then exit {0 if buildx else 1}; fi\n'
            f"{building}\n"
        )
        script.chmod(0o755)
        path = os.environ["PATH"]
        monkeypatch.setenv("PATH", f"{path}{os.pathsep}{folder}" if path else str(folder))
        return script

    return make


def run(spec: BuildSpec = SPEC) -> tuple[str, list[BuildProgress]]:
    progress: list[BuildProgress] = []
    return build_image(HERE, spec, progress.append, lambda: False), progress


def test_a_new_client_without_buildx_is_passed_over_for_an_old_one_that_can(client: Client) -> None:
    client(NEW)
    old = client(OLD)
    assert find_client() == BuildClient(str(old), OLD, buildx=False)
    assert find_client().command() == [str(old), "build"]


def test_a_client_with_buildx_is_asked_to_load_what_it_builds(client: Client) -> None:
    new = client(NEW, buildx=True)
    client(OLD)
    assert find_client() == BuildClient(str(new), NEW, buildx=True)
    assert find_client().command() == [str(new), "buildx", "build", "--load"]


def test_the_first_on_the_path_wins_when_several_can(client: Client) -> None:
    first = client(OLD)
    client(NEW, buildx=True)
    assert find_client().path == str(first)


def test_where_no_client_can_build_the_error_names_all_that_were_tried(client: Client) -> None:
    tried = [client(NEW), client("29.0.1"), client("unreadable")]
    with pytest.raises(EngineError) as error:
        find_client()
    assert error.value.code == "no_build_client"
    assert all(str(path) in error.value.message for path in tried)
    assert "docker-buildx" in error.value.hint


def test_where_there_is_no_client_at_all_the_error_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nobody-made-this")
    with pytest.raises(EngineError, match="none found") as error:
        find_client()
    assert error.value.code == "no_build_client"


def test_the_client_that_the_user_names_is_the_only_one_tried(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    able, unable = client(NEW, buildx=True), client(NEW)
    monkeypatch.setenv("CVL_DOCKER_CLIENT", str(able))
    assert find_client().path == str(able)
    monkeypatch.setenv("CVL_DOCKER_CLIENT", str(unable))
    with pytest.raises(EngineError, match=str(unable)) as error:
        find_client()
    assert str(able) not in error.value.message


def test_a_client_that_is_reached_twice_is_tried_once(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = client(NEW)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "docker").symlink_to(script)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{linked}")
    assert build.candidates() == [str(script)]


@pytest.mark.parametrize(
    "context", ["/tmp/context", "--output=/etc", "-f/etc/passwd", "a b;$(touch /x)\n"]
)
def test_the_command_of_a_build_is_exactly_this_whatever_the_folder_is_called(context: str) -> None:
    spec = BuildSpec(
        context,
        "/t/id",
        "cvl/say:1",
        {"a": "1", "b": "x=y z"},
        {"BASE_IMAGE": "--network=host"},
        "none",
    )
    assert build_command(BuildClient("/bin/docker", OLD, buildx=False), spec) == [
        "/bin/docker", "build", "--progress=plain", "--iidfile", "/t/id", "--tag", "cvl/say:1",
        "--label", "a=1", "--label", "b=x=y z", "--build-arg", "BASE_IMAGE=--network=host",
        "--network", "none", "--", context,
    ]  # fmt: skip


def test_a_build_gets_the_endpoint_and_no_docker_context(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    monkeypatch.setenv("DOCKER_HOST", "tcp://another")
    seen = tmp_path / "seen"
    say = f'echo "$DOCKER_HOST|$DOCKER_CONTEXT|$DOCKER_BUILDKIT" > {seen}; echo sha256:1 > $4'
    client(OLD, building=say)
    assert run()[0] == "sha256:1"
    assert seen.read_text() == f"{HERE.url}||1\n"


def test_progress_counts_the_instructions_that_are_done(client: Client) -> None:
    lines = ["#1 [internal] load", "#5 [1/3] FROM base", "#6 [stage-1 2/3] RUN pip", "#6 done"]
    say = "; ".join(f"echo {json.dumps(line)}" for line in lines)
    client(OLD, building=f"{say}; echo sha256:1 > $4")
    progress = run()[1]
    assert [p.text for p in progress] == lines
    assert [(p.done, p.total) for p in progress] == [(0, 0), (0, 3), (1, 3), (1, 3)]


def test_a_failed_build_shows_the_end_of_its_output_and_what_to_do(client: Client) -> None:
    client(OLD, building="i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line-$i.; done; exit 1")
    with pytest.raises(BuildError) as error:
        run()
    assert "line-100." in error.value.message
    assert "line-76." in error.value.message
    assert "line-75." not in error.value.message
    assert (error.value.code, bool(error.value.hint)) == ("build_failed", True)


def test_a_build_that_fills_the_disk_is_told_as_that(client: Client) -> None:
    client(OLD, building="echo 'write /x: No space left on device'; exit 1")
    with pytest.raises(DiskFullError, match="disk"):
        run()


def test_a_client_that_dies_in_silence_is_a_failed_build(client: Client) -> None:
    client(OLD, building="kill -9 $$")
    with pytest.raises(BuildError):
        run()


def test_a_cancelled_build_ends_its_client(client: Client, tmp_path: Path) -> None:
    """The client would run for an hour; it says its pid first."""
    client(OLD, building="echo $$; exec /bin/sleep 3600")
    pids: list[int] = []

    def started(progress: BuildProgress) -> None:
        pids.append(int(progress.text))

    with pytest.raises(BuildError):
        build_image(HERE, SPEC, started, lambda: bool(pids))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_secrets_and_inherited_values_are_named_and_never_shown() -> None:
    spec = replace(SPEC, secrets={"ca": '/a,b"c/ca.pem', "apt": "/d"}, inherited=("HTTPS_PROXY",))
    command = build_command(BuildClient("docker", NEW, buildx=True), spec)
    assert command[command.index("HTTPS_PROXY") - 1] == "--build-arg"
    given = [command[index + 1] for index, word in enumerate(command) if word == "--secret"]
    assert given == ['id=ca,"src=/a,b""c/ca.pem"', "id=apt,src=/d"]
