"""Many processes want the same weights at once: each file comes once; where one is killed, at most
what was on its way comes again; and without any lock nothing but traffic is lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cvl.core.weights import RepoFile, is_leftover
from cvl.hub import repos
from tests.support.hub import Hub, tiny
from tests.support.pulls import need, pull

FULL = bool(os.environ.get("CVL_TEST_FULL"))
ROOT = Path(__file__).parent.parent.parent
PROCESSES = 16 if FULL else 8
ROUNDS = 20 if FULL else 2
FILES = tiny.transformers(1_200_000, shards=4)
SHA256 = {
    path: hashlib.sha256(text if isinstance(text, bytes) else str(text).encode()).hexdigest()
    for path, text in FILES.items()
}
PLAIN = "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1])"
UNLOCKED = """
import fcntl
fcntl.flock = lambda descriptor, operation: None
"""


@pytest.fixture
def hub(own_hub: Hub) -> Hub:
    return own_hub


Child = subprocess.Popen[str]


def start(repo: str, program: tuple[str, ...] = ("-m", "tests.support.pulls"), **env: str) -> Child:
    return subprocess.Popen(
        [sys.executable, *program, repo],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def bodies(hub: Hub, repo: str) -> dict[str, int]:
    """File -> how many GETs gave all of it."""
    counts = dict.fromkeys(SHA256, 0)
    for record in hub.log(repo=repo, method="GET", status=200):
        if record.file in counts:
            counts[record.file] += 1
    return counts


def corrupt(cache: Path) -> list[Path]:
    """Blobs whose content is not what their name says."""
    known = {hashlib.sha256(data).hexdigest(): data for data in _contents()}
    known |= {hashlib.sha1(b"blob %d\0" % len(d) + d).hexdigest(): d for d in known.values()}
    blobs = [path for path in cache.rglob("blobs/*") if not is_leftover(f"blobs/{path.name}")]
    return [path for path in blobs if known.get(path.name) != path.read_bytes()]


def _contents() -> list[bytes]:
    return [c if isinstance(c, bytes) else str(c).encode() for c in FILES.values()]


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_each_file_comes_once_for_all(hub: Hub, turn: int) -> None:
    """The hub is asked once, too. The others say for whom they wait."""
    hub.push("org/shared", FILES)
    hold = hub.fault("org/shared", "model-00001*", "hold")
    children = [start("org/shared") for _ in range(PROCESSES)]
    hold.wait()
    holders = set()
    for child in children:
        assert child.stderr is not None
        first = child.stderr.readline()
        if "wait another cvl" in first:
            holders.add(int(first.split("(process ")[1].split(")")[0]))
    hold.release()
    outcomes = [json.loads(child.communicate()[0]) for child in children]
    assert [outcome["code"] for outcome in outcomes] == [""] * PROCESSES
    assert all(outcome["sha256"] == SHA256 for outcome in outcomes)
    assert bodies(hub, "org/shared") == dict.fromkeys(SHA256, 1)
    assert len(holders) >= 1
    assert holders <= {child.pid for child in children}


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_after_a_kill_what_was_on_its_way_begins_again(hub: Hub, tmp_path: Path, turn: int) -> None:
    """Of cvl, or of the process that downloads for it."""
    chance = random.Random(turn)
    hub.push("org/killed", FILES)
    slow = hub.fault("org/killed", "*.safetensors", "bandwidth", rate=100_000, times=None)
    children = [start("org/killed") for _ in range(PROCESSES if FULL else 3)]
    hub.wait_for("GET", repo="org/killed", host="cdn", sent=chance.randrange(1, 150_000))
    _kill_one(children, of_worker=bool(turn % 2))
    slow.release()
    outcomes = [json.loads(out) for out in (child.communicate()[0] for child in children) if out]
    told = "\n".join(str(outcome["message"]) for outcome in outcomes)
    again = pull(need("org/killed"))
    assert (again.code, again.sha256) == ("", SHA256)
    assert all(o["sha256"] == SHA256 for o in outcomes if not o["code"])
    assert {o["code"] for o in outcomes} <= {"", "cut_short"}
    told += "\n".join(text for o in outcomes for text in o["texts"]) + "\n".join(again.texts)
    assert "cut off: " in told
    assert "begin again" in told
    # At most those in flight, which are eight.
    counts = bodies(hub, "org/killed")
    assert sum(counts.values()) <= len(SHA256) + 8
    assert max(counts.values()) <= 2
    assert corrupt(tmp_path / "hf") == []


def _kill_one(children: list[Child], of_worker: bool) -> None:
    """The one that downloads, which has a child, or that child."""
    for child in children:
        below = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        if below:
            os.kill(int(below[0]) if of_worker else child.pid, signal.SIGKILL)
            return
    pytest.fail("nobody downloads")


def test_without_locks_there_is_more_traffic_and_nothing_corrupt(hub: Hub, tmp_path: Path) -> None:
    """Some network file systems grant every lock to everybody."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(UNLOCKED)
    hub.push("org/unlocked", FILES)
    hold = hub.fault("org/unlocked", "model-0000*", "hold", times=None)
    count = 16 if FULL else 3
    children = [start("org/unlocked", PYTHONPATH=str(tmp_path / "site")) for _ in range(count)]
    hold.wait(5)
    hold.release()
    outcomes = [json.loads(child.communicate()[0]) for child in children]
    assert [outcome["code"] for outcome in outcomes] == [""] * count
    assert all(outcome["sha256"] == SHA256 for outcome in outcomes)
    assert max(bodies(hub, "org/unlocked").values()) > 1
    assert corrupt(tmp_path / "hf") == []


def test_other_programs_and_other_homes_share_the_cache(hub: Hub, tmp_path: Path) -> None:
    """Who comes second waits for the first, whoever that is, and says so."""
    hub.push("org/common", FILES)
    hold = hub.fault("org/common", "model-00001*", "hold")
    plain = start("org/common", ("-c", PLAIN))
    hold.wait()
    others = [start("org/common", CVL_HOME=str(tmp_path / f"cvl-{n}")) for n in range(3)]
    for other in others:
        assert other.stderr is not None
        told = next(line for line in other.stderr if "is downloading" in line)
        assert f"another program (process {plain.pid}) is downloading model-00001" in told
    hold.release()
    outcomes = [json.loads(other.communicate()[0]) for other in others]
    assert plain.wait() == 0
    assert [outcome["code"] for outcome in outcomes] == ["", "", ""]
    assert all(outcome["sha256"] == SHA256 for outcome in outcomes)
    assert bodies(hub, "org/common") == dict.fromkeys(SHA256, 1)
    assert corrupt(tmp_path / "hf") == []


def test_a_link_that_another_process_makes_anew_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without locks it may be away for a moment, as huggingface_hub removes it first."""
    blob, link = tmp_path / "blob", tmp_path / "link"
    blob.write_bytes(b"weights")
    monkeypatch.setattr(repos.time, "sleep", lambda _: link.symlink_to(blob))
    expected = RepoFile(7, sha256=hashlib.sha256(b"weights").hexdigest())
    assert repos._content(str(link), expected, lambda _: None) == (expected.blob, expected.sha256)


def test_a_link_that_stays_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not waited for without end."""
    waited: list[float] = []
    monkeypatch.setattr(repos.time, "sleep", waited.append)
    with pytest.raises(FileNotFoundError):
        repos._content(str(tmp_path / "link"), RepoFile(7, sha256="0" * 64), lambda _: None)
    assert 0 < sum(waited) < 5
