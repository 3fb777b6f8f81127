"""The venv engine: processes of this machine that end as containers do, and leave nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cvl.core import owner as labels
from cvl.errors import EngineError
from tests.support import processes
from tests.support.people import needs_root
from tests.support.venvs import CONTEXT, TAG, Host, alive, eventually, spec_of

DAEMON = """\
import os, sys, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, f"{os.getpid()}\\n".encode())
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        time.sleep(600)
    os._exit(0)
print(os.read(reading, 100).decode().strip(), flush=True)
"""
WAIT = "import time\ntime.sleep(600)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
OWNER = """\
import sys
from pathlib import Path
from tests.support.venvs import Host
host = Host(Path(sys.argv[1]))
name, run = host.begin(sys.stdin.readline().encode().decode("unicode_escape"))
print(name, host.first_line(name), flush=True)
run.wait(600)
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_request_goes_in_and_the_log_comes_out(host: Host) -> None:
    program = "import sys\nprint(sys.stdin.read()[::-1])\nprint('two', file=sys.stderr)\n"
    name, run = host.begin(program, b"abc")
    assert sorted(host.said(name, run)) == ["cba", "two"]
    state = host.engine.state(name)
    assert (state.running, state.exit_code, state.oom_killed, state.error) == (False, 0, False, "")


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_an_end_has_the_code_that_a_shell_shows(host: Host, program: str, code: int) -> None:
    name, run = host.begin(program)
    assert run.wait(30)
    assert host.engine.state(name).exit_code == code
    assert not host.engine.state(name).oom_killed


def test_a_daemon_of_a_step_that_ends_is_gone_when_the_step_is(host: Host) -> None:
    name, run = host.begin(DAEMON)
    daemon = int(host.said(name, run)[0])
    assert not alive(daemon)
    assert host.engine.state(name).exit_code == 0 and host.warnings == []


def test_a_kill_ends_the_daemon_too(host: Host) -> None:
    name, run = host.begin(DAEMON + WAIT)
    daemon = int(host.first_line(name))
    assert alive(daemon)
    host.engine.kill(name)
    assert run.wait(30) and not alive(daemon)
    assert host.engine.state(name).exit_code == 137


def test_stop_reaches_the_whole_group(host: Host) -> None:
    child = "import subprocess, sys\nchild = subprocess.Popen(['sleep', '600'])\n"
    name, run = host.begin(f"{child}print(child.pid, flush=True)\nsys.exit(child.wait())\n")
    sleeper = int(host.first_line(name))
    host.engine.stop(name, 30)
    assert run.wait(30) and not alive(sleeper)
    assert host.engine.state(name).exit_code == 143


def test_what_does_not_listen_is_killed_when_the_grace_is_over(host: Host) -> None:
    name, run = host.begin(DEAF + WAIT)
    host.first_line(name)
    host.engine.stop(name, 0.2)
    assert run.wait(30)
    assert host.engine.state(name).exit_code == 137


def test_a_kill_cuts_a_grace_short(host: Host) -> None:
    name, run = host.begin(DEAF + WAIT)
    host.first_line(name)
    host.engine.stop(name, 600)
    host.engine.kill(name)
    assert run.wait(30)


def test_a_killed_owner_takes_everything_with_it(host: Host, tmp_path: Path) -> None:
    owner = processes.python(OWNER, str(tmp_path))
    assert owner.stdin is not None
    owner.stdin.write((DAEMON + WAIT).encode("unicode_escape").decode() + "\n")
    owner.stdin.flush()
    name, daemon = processes.said(owner).split()
    supervisor = int((tmp_path / "processes" / name / "pid").read_text().split()[0])
    assert alive(int(daemon)) and alive(supervisor)
    processes.killed(owner)
    eventually(lambda: not alive(int(daemon)) and not alive(supervisor))


def test_what_another_cvl_left_is_found_and_removed(host: Host, tmp_path: Path) -> None:
    owner = processes.python(OWNER, str(tmp_path))
    assert owner.stdin is not None
    owner.stdin.write((DAEMON + WAIT).encode("unicode_escape").decode() + "\n")
    owner.stdin.flush()
    name, daemon = processes.said(owner).split()
    found = host.engine.find({labels.RUN: "r"})
    assert [(f.id, f.running, f.labels[labels.EXAMPLE]) for f in found] == [(name, True, "acts")]
    processes.killed(owner)
    host.engine.remove(name)
    assert not alive(int(daemon)) and host.engine.find({labels.RUN: "r"}) == []


def test_another_cvl_can_tell_the_state_of_a_process(host: Host) -> None:
    name, run = host.begin("print('up', flush=True)\n" + WAIT)
    other = host.another()
    host.first_line(name)
    assert other.state(name).running
    host.engine.kill(name)
    assert run.wait(30)
    assert other.state(name) == host.engine.state(name)
    assert other.state(name).exit_code == 137


def test_a_killed_supervisor_is_told_and_what_it_left_is_removed(host: Host) -> None:
    name, run = host.begin(DAEMON + WAIT)
    daemon = int(host.first_line(name))
    os.kill(int((host.folder / "processes" / name / "pid").read_text().split()[0]), signal.SIGKILL)
    assert run.wait(30)
    assert "was killed" in host.engine.state(name).error
    host.engine.remove(name)
    assert not alive(daemon)


def test_nothing_of_the_users_environment_is_handed_on_but_path_and_locale(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET", "hush")
    monkeypatch.setenv("LANG", "C.UTF-8")
    name, run = host.begin("import os\nprint(*sorted(os.environ))\n")
    seen = set(host.said(name, run)[0].split()) - {"LC_CTYPE"}
    assert seen == {"CVL_PROCESS", "HOME", "LANG", "PATH", "VIRTUAL_ENV"}


def test_a_file_cannot_grow_over_its_limit_nor_memory_over_its_own(host: Host) -> None:
    grow = "open('/tmp/cvl-test-grow', 'wb').write(bytes(2 << 20))\n"
    name, run = host.begin(grow.replace("/tmp", str(host.folder)))
    assert "File too large" in host.said(name, run)[-1]
    name, run = host.begin("bytearray(600 << 20)\n", memory=300 << 20)
    assert host.said(name, run)[-1] == "MemoryError"


def test_a_process_has_its_own_session_and_the_python_of_its_environment(host: Host) -> None:
    program = "import os, sys\nprint(os.getsid(0) == os.getpid(), sys.prefix)\n"
    name, run = host.begin(program)
    assert host.said(name, run) == [f"True {host.folder}/envs/acts-{CONTEXT[:20]}"]


def test_environments_are_listed_and_removed_like_images_but_not_in_use(host: Host) -> None:
    name, _ = host.begin(DEAF + WAIT)
    (image,) = host.engine.images({labels.EXAMPLE: "", labels.CONTEXT: ""})
    assert (image.tags, image.id, image.size > 0) == ((TAG,), f"venv:{CONTEXT}", True)
    with pytest.raises(EngineError) as refused:
        host.engine.remove_image(TAG)
    assert refused.value.code == "image_in_use"
    host.engine.remove(name)
    host.engine.remove_image(TAG)
    assert host.engine.image_id(TAG) is None and not list(host.folder.glob("envs/acts-*"))


def test_half_an_environment_is_none(host: Host) -> None:
    host.build("print('whole')\n")
    folder = host.folder / "envs" / f"acts-{CONTEXT[:20]}"
    (folder / "env.json").unlink()
    (folder / "app" / "left").touch()
    assert host.engine.image_id(TAG) is None
    with pytest.raises(EngineError):
        host.engine.create(spec_of("x", f"venv:{CONTEXT}"))
    assert host.build("print('whole')\n") == host.engine.image_id(TAG)
    assert not (folder / "app" / "left").exists()


def test_what_another_user_put_there_is_neither_run_nor_ended(host: Host) -> None:
    """Only root can meet it: to others the folders of a CVL_HOME are closed."""
    needs_root()
    host.build("print('theirs')\n")
    name = host.engine.create(spec_of("x", f"venv:{CONTEXT}"))
    for folder in (host.folder / "envs" / f"acts-{CONTEXT[:20]}", host.folder / "processes" / name):
        os.chown(folder, 4321, 4321)
    assert host.engine.image_id(TAG) is None
    assert host.engine.images({labels.EXAMPLE: ""}) == [] == host.engine.find({})
    with pytest.raises(EngineError):
        host.engine.create(spec_of("y", f"venv:{CONTEXT}"))
