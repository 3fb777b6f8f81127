"""Virtual environments from locked wheels, made by uv: `bin/python`, the example's files in `app/`,
and `env.json`, which is written last: without it an environment is not there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cvl.core.redaction import without_secrets
from cvl.disks import full_disk, is_full
from cvl.engine import supervisor
from cvl.engine.build import says_full
from cvl.engine.protocol import BuildProgress, Cancelled, OnBuild
from cvl.errors import BuildError, DiskFullError, EngineError

LOCK = "requirements.lock"
MARKER = "env.json"
TAIL_LINES = 25
POLL_S = 0.1
OFFLINE = (
    "error sending request",
    "failed to fetch",
    "dns error",
    "network was disabled",
    "connection refused",
    "timed out",
)
NO_WHEEL = ("no wheels", "no matching distribution", "only-binary", "no solution found")


@dataclass(frozen=True)
class Environment:
    """A finished environment. `labels` are those of the image that it stands for."""

    folder: Path
    tag: str
    id: str
    labels: dict[str, str]
    python: str
    made: float

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def app(self) -> Path:
        return self.folder / "app"


def platform_tag() -> str:
    """The Python that environments are made of, and the machine: wheels of another do not fit."""
    python = f"{platform.python_implementation().lower()}-{platform.python_version()}"
    return f"{python}-{sysconfig.get_platform()}"


def uv_program() -> str:
    """Path of uv: the one that cvl was installed with, else one on PATH. EngineError when there is
    none."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        import uv

        return os.fspath(uv.find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise EngineError(
            "uv is not installed, which makes virtual environments",
            hint="pip install uv",
            code="no_uv",
        )
    return found


def read_environment(folder: Path) -> Environment | None:
    """The environment in `folder`, when it is complete, ours, and its Python is still there."""
    try:
        if folder.lstat().st_uid != os.geteuid():
            return None
        data = json.loads((folder / MARKER).read_text())
        found = Environment(folder, **data)
    except (OSError, ValueError, TypeError):
        return None
    return found if os.access(found.program, os.X_OK) else None


def make_environment(
    folder: Path,
    context: Path,
    marker: Callable[[], dict[str, object]],
    on_progress: OnBuild,
    cancelled: Cancelled,
    *,
    only_binary: bool,
    authorities: str = "",
    withheld: tuple[str, ...] = (),
) -> None:
    """Install the wheels that `context` locks into `folder` and copy its files beside them. What an
    interrupted try left there goes first: an environment names its own place, so it is made where
    it stays. authorities: a PEM file for the download; withheld: variables that uv does not get."""
    uv = uv_program()
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder, cancelled) as lock:
        remove_environment(folder)
        how = _Uv(folder, lock, cancelled, authorities, withheld)
        try:
            folder.mkdir(mode=0o700)
            _install(uv, folder, context / LOCK, on_progress, how, only_binary)
            on_progress(BuildProgress("copying the example", 2, 3))
            ignored = shutil.ignore_patterns("cvl_inside", "__pycache__")
            shutil.copytree(context, folder / "app", ignore=ignored)
            _write_last(folder / MARKER, json.dumps(marker(), indent=1))
        except BaseException:
            with contextlib.suppress(OSError):
                remove_environment(folder)
            raise


@dataclass(frozen=True)
class _Uv:
    """How uv is run: in `folder`, whose settings are nobody's, holding `lock`."""

    folder: Path
    lock: int
    cancelled: Cancelled
    authorities: str
    withheld: tuple[str, ...]

    def run(self, command: list[str], tell: Callable[[str], None]) -> None:
        """To its end; what it says goes to `tell` line by line. Its whole group ends with it when
        the user cancels. BuildError with the end of what it said when it fails."""
        log = self.folder / "uv.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_uv_environment(self.authorities, self.withheld),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                pass_fds=(self.lock,),
                preexec_fn=_die_with_parent,
            )
            try:
                _wait(process, log, tell, self.cancelled)
            except BaseException:
                _end(process)
                raise
        if process.returncode:
            raise _failure(log.read_text(errors="replace"), self.folder)
        log.unlink(missing_ok=True)


def _uv_environment(authorities: str, withheld: tuple[str, ...]) -> dict[str, str]:
    """The user's own, so that proxies, certificates and mirrors work, without secrets."""
    inherited = without_secrets(os.environ, ("VIRTUAL_ENV", "PYTHONPATH", *withheld))
    ours = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    trusted = {"SSL_CERT_FILE": authorities} if authorities else {}
    return {**inherited, **ours, **trusted}


@contextlib.contextmanager
def _alone(folder: Path, cancelled: Cancelled) -> Iterator[int]:
    """Hold the lock of an environment's folder. uv inherits it: when its cvl is killed, nobody else
    touches the folder before uv has ended too."""
    descriptor = os.open(
        folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancelled():
                    raise BuildError("the making of the environment was ended") from None
                time.sleep(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _install(
    uv: str, folder: Path, lock: Path, on_progress: OnBuild, how: _Uv, only_binary: bool
) -> None:
    python = str(folder / "bin" / "python")
    on_progress(BuildProgress("making the environment", 0, 3))
    create = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
    how.run(create, lambda line: None)
    on_progress(BuildProgress("installing the locked wheels", 1, 3))
    install = [uv, "pip", "install", "--python", python, "--require-hashes", "--no-deps"]
    install += ["--only-binary", ":all:"] if only_binary else []
    install += ["--compile-bytecode", "-r", str(lock)]

    def tell(line: str) -> None:
        on_progress(BuildProgress(line, 1, 3))

    if _has_requirements(lock):
        how.run(install, tell)


def _has_requirements(lock: Path) -> bool:
    return any(line.strip() and not line.startswith("#") for line in lock.read_text().splitlines())


def _write_last(path: Path, text: str) -> None:
    """Survives a power cut, and is never seen in part."""
    part = path.with_name(f".{path.name}")
    with part.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_environment(folder: Path) -> None:
    """The marker goes first, so that half of an environment is none."""
    (folder / MARKER).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def _wait(
    process: subprocess.Popen[bytes], log: Path, tell: Callable[[str], None], cancelled: Cancelled
) -> None:
    with log.open(errors="replace") as reader:
        while True:
            ended = True
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                ended = False
            for line in reader:
                tell(line.strip())
            if ended:
                return
            if cancelled():
                raise BuildError("the making of the environment was ended")


def _die_with_parent() -> None:
    """On Linux, uv ends with the process that asked for it."""
    supervisor.prctl(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _full(folder: Path, text: str) -> DiskFullError:
    """Of the disks that uv writes to, the one that is full now, else the one that it names: what it
    wrote to its cache is gone again."""
    own = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(os.environ.get("UV_CACHE_DIR") or f"{own}/uv")
    places = (folder, cache, Path(tempfile.gettempdir()))
    found = [place for place in places if is_full(place)]
    found += [place for place in places if f"{place}/" in text]
    return full_disk(found[0] if found else folder)


def _failure(text: str, folder: Path) -> BuildError | DiskFullError:
    low = text.lower()
    tail = "\n".join(text.strip().splitlines()[-TAIL_LINES:])
    if says_full(text) or is_full(folder):  # its last words may not have fitted
        return _full(folder, text)
    message = f"its virtual environment could not be made:\n{tail}"
    if any(word in low for word in OFFLINE):
        hint = "the wheels are downloaded once: connect to the network and run it again"
        return BuildError(message, hint=hint, code="wheels_unreachable")
    if any(word in low for word in NO_WHEEL):
        hint = (
            f"there are no wheels for {platform_tag()}: use another Python, or --engine docker; "
            "--trust builds them from source, which runs code of the packages"
        )
        return BuildError(message, hint=hint, code="no_wheel")
    return BuildError(message)


def made_now() -> float:
    """When an environment is finished."""
    return round(time.time(), 3)
