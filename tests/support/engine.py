"""A Docker engine of the tests' own, or the one that is there.

As root with CI set, the tests start an engine of their own with its own data folder and socket. A
second kind, PrivateEngine, lives in a network namespace of its own beside any other engine, so that
a test may kill, freeze or fill it, and has a stand-in for NVIDIA's container hook on its PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.packages import may_install, which

START_TIMEOUT_S = 60
KEPT = Path("/var/tmp/cvl-tests")
OWN = "CVL_TEST_ENGINE"
"""Names an engine beside the others that a session of tests starts for itself."""
HOOK = Path(__file__).parent / "nvidia-container-runtime-hook"


@dataclass
class Engine:
    """An engine that answers at `host`. network: what its builds need to reach package servers."""

    host: str
    network: str = ""
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Output of a docker command on this engine."""
        client = which("docker") or "docker"
        result = subprocess.run(
            [client, "--host", self.host, *arguments], capture_output=True, text=True, check=False
        )
        if check and result.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)}: {result.stderr}")
        return result.stdout.strip()

    def inspect(self, container: str) -> dict[str, object]:
        """What the engine reports of one container."""
        found: list[dict[str, object]] = json.loads(self.docker("inspect", container))
        return found[0]

    def answers(self) -> bool:
        """Is somebody listening at the socket, and does it speak Docker?"""
        client = which("docker") or "docker"
        command = [client, "--host", self.host, "version", "--format", "{{.Server.Version}}"]
        try:
            result = subprocess.run(command, capture_output=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            return False
        return result.returncode == 0

    def stop(self) -> None:
        """End the engine that this object started; nothing else is touched."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def provide() -> Engine:
    """The engine for most tests: our own as root in CI, or the one that is there, or an error."""
    own = os.environ.get(OWN)
    if own and may_install():
        return start(KEPT / own, namespace=True)
    present = Engine(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    present.network = os.environ.get("CVL_BUILD_NETWORK", "")
    if present.answers():
        return present
    if may_install():
        return start(KEPT / "engine", namespace=False)
    raise RuntimeError(
        "no Docker engine answers; start one, or run the tests as root with CI=1, "
        "and they install and start their own"
    )


def start(
    data: Path, *, namespace: bool, hook: bool = True, blind_to: Path | None = None
) -> Engine:
    """Start dockerd with its data in `data`. With namespace=True it has a network of its own: no
    bridge, so that it does not take away another engine's."""
    run = Path(tempfile.mkdtemp(prefix="cvl-engine-"))
    run.chmod(0o711)
    data.mkdir(parents=True, exist_ok=True)
    config = run / "daemon.json"
    config.write_text("{}")
    host = f"unix://{run}/docker.sock"
    command = [which("dockerd") or "dockerd", "--config-file", str(config)]
    command += ["--data-root", str(data), "--exec-root", str(run / "exec")]
    command += ["--pidfile", str(run / "pid"), "--host", host, "--group", "docker"]
    if namespace:
        command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        if blind_to is not None:
            hide = 'mount -t tmpfs none "$0" && exec "$@"'
            command = ["sh", "-c", hide, str(blind_to), *command]
        spaces = ["--net", *(["--mount"] if blind_to is not None else [])]
        command = [which("unshare") or "unshare", *spaces, "--", *command]
    path = f"{run}/hooks:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if hook:
        _install_hook(run / "hooks", run)
    with (run / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        )
    engine = Engine(host, "none" if namespace else "host", process, run)
    _wait(engine)
    return engine


def _install_hook(folder: Path, run: Path) -> None:
    """The stand-in hook writes down what each container with a GPU would have been given."""
    folder.mkdir()
    hook = folder / HOOK.name
    hook.write_text(HOOK.read_text().replace("@LOG@", str(run / "hook.log")))
    hook.chmod(0o755)


def _wait(engine: Engine) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    assert engine.process is not None and engine.folder is not None
    while not engine.answers():
        if engine.process.poll() is not None or time.monotonic() > end:
            log = (engine.folder / "dockerd.log").read_text()[-2000:]
            raise RuntimeError(f"the tests' own dockerd did not start:\n{log}")
        time.sleep(0.1)
