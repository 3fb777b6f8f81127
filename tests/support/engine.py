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
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import orphans
from tests.support.packages import may_install, which

START_TIMEOUT_S = 60
KEPT = Path("/var/tmp/cvl-tests")
OWN = "CVL_TEST_ENGINE"
"""Names an engine beside the others that a session of tests starts for itself."""
BRIDGE = "CVL_TEST_BRIDGE"
"""The bridge of that engine, where its builds need a network; without one it has none."""
BRIDGE_ADDRESS = "172.31.213.1/24"
HOOK = Path(__file__).parent / "nvidia-container-runtime-hook"


@dataclass
class Engine:
    """An engine that answers at `host`. network: what its builds need to reach package servers."""

    host: str
    network: str = ""
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    data: Path = Path()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    """How it was started, to start it again."""

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

    def freeze(self) -> None:
        """It keeps its socket and every connection, and answers nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end, and return when it takes no more calls; its containers end too, but under
        live-restore."""
        self._send(signal.SIGTERM)
        while self._listens():
            time.sleep(0.01)

    def kill9(self) -> None:
        """The daemon alone dies; its containers go on without it."""
        self._send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(timeout=30)

    def restart(self) -> None:
        """Again, with the same data and at the same address, once it has ended."""
        assert self.process is not None and self.folder is not None
        self.process.wait(timeout=30)
        # Who died by SIGKILL left these, and a pid may be another process's by now.
        for left in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / left).unlink(missing_ok=True)
        self._launch()
        _wait(self)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.host.removeprefix("unix://")) == 0

    def _launch(self) -> None:
        assert self.folder is not None
        with (self.folder / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=self.environment,
            )

    def _send(self, signum: int) -> None:
        assert self.process is not None, "it is not an engine of the tests' own"
        self.process.send_signal(signum)

    def stop(self) -> None:
        """End the engine that this object started; nothing else is touched."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None
        if self.folder is not None:
            orphans.clear(self.folder, self.data)
            shutil.rmtree(self.folder, ignore_errors=True)


def provide() -> Engine:
    """The engine for most tests: our own as root in CI, or the one that is there, or an error."""
    own = os.environ.get(OWN)
    if own and may_install():
        bridge = os.environ.get(BRIDGE, "")
        return start(KEPT / own, namespace=not bridge, bridge=bridge)
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
    data: Path,
    *,
    namespace: bool,
    hook: bool = True,
    blind_to: Path | None = None,
    live_restore: bool = False,
    bridge: str = "",
) -> Engine:
    """Start dockerd with its data in `data`. With namespace=True it has a network of its own: no
    bridge, so that it does not take away another engine's. bridge: the name of one to use beside an
    engine that has the usual one. live_restore: its containers outlive it."""
    run = Path(tempfile.mkdtemp(prefix="cvl-engine-"))
    run.chmod(0o711)
    data.mkdir(parents=True, exist_ok=True)
    config = run / "daemon.json"
    config.write_text(json.dumps({"live-restore": live_restore}))
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
    if bridge:
        _ensure_bridge(bridge)
        command += ["--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
    path = f"{run}/hooks:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if hook:
        _install_hook(run / "hooks", run)
    environment = {**os.environ, "PATH": path}
    network = "none" if namespace else "host"
    engine = Engine(host, network, None, run, data, tuple(command), environment)
    engine._launch()
    _wait(engine)
    return engine


def _ensure_bridge(name: str) -> None:
    """Containers on it reach nothing; builds use the network of the host."""
    ip = which("ip") or "ip"
    if subprocess.run([ip, "link", "show", name], capture_output=True, check=False).returncode:
        subprocess.run([ip, "link", "add", name, "type", "bridge"], check=True)
        subprocess.run([ip, "address", "add", BRIDGE_ADDRESS, "dev", name], check=True)
        subprocess.run([ip, "link", "set", name, "up"], check=True)


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
            engine.stop()
            raise RuntimeError(f"the tests' own dockerd did not start:\n{log}")
        time.sleep(0.1)
