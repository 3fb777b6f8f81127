"""Six ways in which a secret comes near a run, and twelve places that it must not end up in."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cvl.engine.build import find_client
from tests.conftest import STUBS, data_of, environment_for, run_cvl
from tests.support.canaries import SINKS, Canary, Hits, recording_client
from tests.support.engine import Engine
from tests.support.files import wav

pytestmark = pytest.mark.docker
TOKEN = Canary("hf-canary-1f7a93c0de")
KEY = Canary("sk-canary-5b2e81d7aa")
PASSWORD = Canary("pw-canary-9c4f60e3b1")
CRASH = """
import sys
import cvl.ops.step as step
from cvl.cli import main
def crash(session, spec, watched, container, placement, log, hidden):
    secrets = dict(hidden.values)  # what a traceback with local variables would show
    raise AssertionError(f"out of {len(secrets)} secrets")
step._ending = crash
sys.argv[0] = "cvl"
main()
"""


@dataclass
class Bench:
    """A person with a token, a key and a proxy, and what was found of them so far."""

    engine: Engine
    place: Path
    environment: dict[str, str]
    hits: Hits

    @property
    def here(self) -> Path:
        return self.place / "here"

    def cvl(self, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command, which ends with `code`, and look at what it said."""
        result = run_cvl(self.environment, self.here, *words, env=more)
        said = result.stdout + result.stderr
        self.hits.look("error text", " ".join(words), said)
        assert result.returncode == code, said
        return result

    def predict(self, *words: str, code: int = 0, act: str = "leak", **more: str) -> str:
        run = ("run", "stub", "predict", "-o", "out.txt", "--overwrite", "--no-cache", "--act", act)
        return self.cvl(*run, *words, code=code, **more).stderr

    def has_reached(self) -> None:
        """The program had the key: it wrote down what only the key gives."""
        digest = hashlib.sha256(KEY.value.encode()).hexdigest()
        assert (self.here / "out.txt").read_text() == digest


def _weights_token(bench: Bench) -> None:
    bench.predict(act="look_around", STUB_SECRET="")
    told = (bench.here / "out.txt").read_text()
    assert '"secret": null' in told
    bench.hits.look("environment", "what a program sees", told)
    assert "HF_TOKEN" in bench.cvl("doctor", "--json", "--no-container").stdout


def _api_key(bench: Bench) -> None:
    """A program that says its key in every way, while it runs and afterwards."""
    words = ["run", "stub", "predict", "--act", "leak", "--amount", "4", "--no-cache"]
    words += ["--progress", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl", *words], env=bench.environment, cwd=bench.here,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[str] = []
    try:
        for line in process.stderr:
            said.append(line)
            if sum('"warning"' in line for line in said) == 3:
                break
        listed = bench.engine.docker("ps", "-q", "--filter", "label=org.cvl.example=stub")
        assert listed, said
        bench.hits.look_at_processes(but={process.pid})
        bench.hits.look_at_container(bench.engine, listed)
        bench.hits.look_at_files(bench.place / "home", bench.here, bench.place / "tmp")
    finally:
        process.terminate()
        bench.hits.look("error text", "a run that was stopped", process.communicate(timeout=60)[1])
    bench.hits.look("error text", "a run", "".join(said))
    assert "[STUB_SECRET]" in "".join(said)
    bench.predict()
    bench.has_reached()
    assert bench.cvl("logs", "last").stdout.count("[STUB_SECRET]") >= 6


def _build(bench: Bench) -> None:
    image = data_of(bench.cvl("run", "stub", "build", "--json"))["images"][0]
    bench.hits.look_at_image(bench.engine, image["tag"], layers=True)
    mine = bench.place / "examples" / "stub"
    text = (mine / "Dockerfile").read_text()
    (mine / "Dockerfile").write_text(f'{text}RUN env && echo "by $http_proxy" && false\n')
    said = bench.cvl("run", "stub", "build", "--debug", code=1).stderr
    assert "by http://[password 1]@proxy" in said, "no password reached the build"
    (mine / "Dockerfile").write_text(text)
    for sink in ("argv", "environment"):
        recorded = (bench.place / "client" / sink).read_bytes()
        if sink == "environment":
            # By name alone: a build argument takes its value from there.
            assert PASSWORD.within(recorded)
            recorded = b"\0".join(v for v in recorded.split(b"\0") if b"_proxy=" not in v)
        bench.hits.look(sink, "docker client", recorded)


def _run(bench: Bench) -> None:
    bench.cvl("run", "twostep", "predict", "--act", "ok", "-o", "two.txt", "--json")
    wav(bench.here / "sound.wav")
    copied = ("run", "copier", "predict", "--source", "sound.wav", "--output-sound", "copy.wav")
    bench.cvl(*copied, "--sidecar", "--explain")
    assert {"copy.wav", "copy.wav.cvl.json"} <= {path.name for path in bench.here.iterdir()}
    bench.cvl("run", "stub", "predict", "--dry-run", "--json")


def _failure(bench: Bench) -> None:
    for amount, code in (("1", 1), ("2", 2), ("3", 1)):
        said = bench.predict("--amount", amount, "--debug", code=code)
        assert "[STUB_SECRET]" in said
    bench.predict("--amount", "4", "--timeout", "1.5", "--json", code=7)
    crash = [sys.executable, "-c", CRASH, "run", "stub", "predict", "--act", "leak", "--no-cache"]
    for more in ((), ("--debug",)):
        result = subprocess.run(
            [*crash, *more], env=bench.environment, cwd=bench.here, capture_output=True, check=False
        )
        assert b"internal error: AssertionError: out of" in result.stderr
        bench.hits.look("error text", "a crash of cvl", result.stdout + result.stderr)
    for words in (("ps", "--all", "--json"), ("logs", "last", "--json"), ("logs", "last")):
        bench.cvl(*words)


def _rerun(bench: Bench) -> None:
    bench.cvl("rerun", "copy.wav", "-o", "again.wav", "--no-cache", "--explain")
    bench.cvl("inspect", "again.wav", "--json")
    seen = bench.cvl("shell", "last", "--command", "env; cat /cvl/scratch/*.json").stdout
    assert '"secrets": {}' in seen
    bench.cvl("df", "--json")
    recorded = (bench.place / "client" / "environment").read_bytes()
    bench.hits.look("environment", "client of a shell", recorded.rpartition(b"PATH=")[2])


FLOWS: dict[str, Callable[[Bench], None]] = {
    "weights token": _weights_token, "API key": _api_key, "build": _build, "run": _run,
    "failure": _failure, "rerun": _rerun,
}  # fmt: skip


def test_no_secret_of_six_flows_is_in_any_of_twelve_sinks(engine: Engine, tmp_path: Path) -> None:
    bench = _bench(engine, tmp_path)
    table = {}
    for name, flow in FLOWS.items():
        bench.hits = Hits((TOKEN, KEY, PASSWORD))
        flow(bench)
        bench.hits.look_at_files(tmp_path / "home", bench.here, tmp_path / "tmp")
        table[name] = bench.hits
    image = engine.docker("images", "-q", "--filter", "label=org.cvl.example=copier").split()[0]
    table["run"].look_at_image(engine, image, layers=False)
    looked = {sink for hits in table.values() for sink, count in hits.looked.items() if count}
    assert looked >= set(SINKS) - {"crash log"}, f"nobody looked at {set(SINKS) - looked}"
    assert {name: hits.table() for name, hits in table.items() if hits.found} == {}


def _bench(engine: Engine, place: Path) -> Bench:
    """The home holds a token as huggingface_hub keeps it; nothing else may write to it."""
    for name in ("here", "tmp", "client", "person/.cache/huggingface"):
        (place / name).mkdir(parents=True)
    shutil.copytree(STUBS, place / "examples")
    (place / "person/.cache/huggingface/token").write_text(TOKEN.value)
    proxy = f"http://me:{PASSWORD.value}@proxy.invalid:9"
    environment = {
        **environment_for(engine, place / "home"), "CVL_EXAMPLES": str(place / "examples"),
        "HOME": str(place / "person"), "TMPDIR": str(place / "tmp"),
        "CVL_DOCKER_CLIENT": str(recording_client(place / "client")),
        "HF_TOKEN": TOKEN.value, "HUGGING_FACE_HUB_TOKEN": TOKEN.value, "STUB_SECRET": KEY.value,
        "COPIER_SECRET": KEY.value, "http_proxy": proxy, "https_proxy": proxy,
    }  # fmt: skip
    return Bench(engine, place, environment, Hits(()))


def test_a_canary_in_each_sink_is_found(engine: Engine, tmp_path: Path) -> None:
    """What the test above is worth: planted where it must not be, it is seen."""
    hits = Hits((KEY,))
    home, here, other = tmp_path / "home", tmp_path / "here", tmp_path / "tmp"
    for path in (home / "state/runs/r/s.log", home / "state/cvl.db-wal", home / "cache/results/x",
                 here / "out.wav.cvl.json", other / "core"):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"padding {KEY.value} padding")
    hits.look_at_files(home, here, other)
    hits.look("error text", "planted", f"error: {KEY.value}")
    (tmp_path / "Dockerfile").write_text(
        f"FROM cvl-test/python\nLABEL key={KEY.value}\nRUN echo {KEY.value} > /leaked\n"
    )
    tag, name = "cvl-test/leaky", "cvl-test-leaky"
    command = ["build", "--network", "none", "--tag", tag, str(tmp_path)]
    shown = {**environment_for(engine, home), "DOCKER_BUILDKIT": "0"}
    subprocess.run([find_client().path, *command], env=shown, check=True, capture_output=True)
    planted = subprocess.Popen(
        [sys.executable, "-c", "input()", KEY.value], env={"K": KEY.value}, stdin=subprocess.PIPE
    )
    try:
        given = ("--env", f"K={KEY.value}", "--label", f"k={KEY.value}", "--network", "none")
        engine.docker("run", "--name", name, *given, tag, "cat", "/leaked")
        hits.look_at_container(engine, name)
        hits.look_at_image(engine, tag, layers=True)
        hits.look_at_processes(but=set())
    finally:
        planted.communicate(b"\n")
        engine.docker("rm", "--force", name)
        engine.docker("rmi", "--force", tag)
    assert {sink for sink, where in hits.found.items() if where} == set(SINKS)
    logs = json.dumps(hits.found["logs"])
    assert name in logs and "s.log" in logs
