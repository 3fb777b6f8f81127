"""What goes wrong on the way to weights: each fault passes by itself or is told in its own words,
no wrong byte is ever used, nothing incomplete stays, and no other host sees the token.

Each fault happens twice: for a while, and for good. All pulls of a kind run beside each other: most
of them wait.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cvl.core.weights import RepoFile
from cvl.ops.session import Session
from cvl.ops.weights.needs import UrlNeed
from cvl.store.pins import Pin
from tests.hub.weights import incomplete
from tests.support.hub import GOOD_TOKEN, Hub, Record, tiny
from tests.support.pulls import Outcome, need, pull

FULL = bool(os.environ.get("CVL_TEST_FULL"))
ROUNDS = 10 if FULL else 1
AT_ONCE = 8
WEIGHTS = tiny.weights(2_500_000)
CONFIG = '{"a": 1}\n'
RIGHT = {
    "config.json": hashlib.sha256(CONFIG.encode()).hexdigest(),
    "model.safetensors": hashlib.sha256(WEIGHTS).hexdigest(),
}
Faults = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """Faults of the body of the weights, and what is told: `said` on the way, or as the error with
    this code. Without a code it goes well."""

    name: str
    faults: Faults
    code: str = ""
    message: str = ""
    hint: str = ""
    said: str = ""
    gets: int = 1
    """How many GETs of the body at most."""
    of_url: bool = True
    """Files behind a URL have it as well. What is as good as a case of repos waits for the full
    count."""


def once(kind: str, **how: Any) -> Faults:
    return ({"kind": kind, **how},)


def always(kind: str, **how: Any) -> Faults:
    return ({"kind": kind, "times": None, **how},)


BREAKS = r"the connection to 127\.0\.0\.[12] breaks"
GOES_ON = r"the connection to 127\.0\.0\.2 breaks; the download goes on"
AGAIN = "run it again: what is complete is kept"
STALLS = r"arrived for \d+ s, twice in a row"
PAGE = r"127\.0\.0\.2 answers with a web page where a file"
LATER = r"127\.0\.0\.2 answers 503; trying again in [12] s"
CASES = [
    Case("cut at 0", once("cut", at=0), gets=2),
    Case("cut at 1", once("cut", at=1), gets=2),
    Case("cut at half", once("cut", at=0.5), gets=2, said=GOES_ON),
    Case("cut at the last", once("cut", at=-1), gets=2),
    Case("cut always", always("cut", at=1000), "cut_short", BREAKS, AGAIN, gets=6,
         said=GOES_ON),
    Case("too short once", once("short", at=-10), gets=2),
    Case("too short always", always("short", at=-10), "cut_short|wrong_bytes", ".", ".", gets=4),
    Case("a range ignored", (*once("cut"), *always("ignore_range")), gets=2),
    Case("a range ignored always", (*once("cut", times=2), *always("ignore_range")), gets=3),
    Case(
        "changed between two parts", (*once("cut"), *once("wrong", skip=1), *once("etag", skip=1)),
        said="is not what", gets=3,
    ),
    Case(
        "changed between two parts always", (*always("cut", times=2), *always("wrong", at=0)),
        "wrong_bytes", "has sha.* where .* is expected", "sends (other bytes|another)", gets=4,
    ),
    Case("wrong bytes once", once("wrong"), said="is not what", gets=2),
    Case(
        "wrong bytes always", always("wrong"), "wrong_bytes", "has sha.* where .* is expected",
        "sends (other bytes|another)", gets=2,
    ),
    Case("a page once", once("html"), "web_page", PAGE, "the network may want a login"),
    Case("a page always", always("html"), "web_page", PAGE, "check HF_ENDPOINT and proxies"),
    Case("a stall", once("stall", at=0.5), gets=2),
    Case("a stall always", always("stall", at=0), "stalled", STALLS, "CVL_STALLED_S", gets=20,
         said="nothing has arrived for 1 s; still waiting .*HF_HUB_DISABLE_XET=1.* HF_ENDPOINT"),
    Case("a drip once", once("drip", rate=20), gets=2, said="only .* bytes have arrived for 6 s; "
         "trying without Xet"),
    Case("a drip always", always("drip", rate=20), "stalled", r"only \d+ bytes have " + STALLS,
         "HF_ENDPOINT", gets=2),
    Case("a reset", once("reset", at=0.5), gets=2, said=GOES_ON),
    Case("a reset always", always("reset", at=1000), "cut_short", BREAKS, AGAIN, gets=6,
         said=GOES_ON),
    Case("429 once", once("status", code=429, retry_after=1), gets=2,
         said=r"127\.0\.0\.2 answers 429; trying again in 1 s"),
    Case("429 always", always("status", code=429, retry_after=3600), "too_many_requests",
         r"127\.0\.0\.2 has had too many requests", "wait 3600 s"),
    Case("503 twice", once("status", code=503, times=2), gets=3, said=LATER),
    Case("503 always", always("status", code=503), "hub_down",
         r"127\.0\.0\.2 answers with status 503", AGAIN, gets=5, said=LATER),
    Case("another host", always("redirect"), gets=2),
    Case("another host from the hub", always("redirect", on="resolve"), of_url=False),
    Case("another host for the hub", always("redirect", on="api"), "refused",
         r"127\.0\.0\.1 answers with status 404 about org/", "HF_ENDPOINT", of_url=False),
    Case("a page of no hub", always("html", on="api"), "web_page",
         r"127\.0\.0\.1 answers with a web page", "the network may want a login", of_url=False),
    Case("a page of no file", always("html", on="head"), "web_page",
         r"127\.0\.0\.1 answers with a web page", "the network may want a login", of_url=False),
    Case("503 of the hub twice", once("status", code=503, times=2, on="api"), of_url=False,
         said=r"127\.0\.0\.1 answers 503; trying again"),
    Case("429 of the hub", once("status", code=429, retry_after=1, on="head"), of_url=False,
         said=r"127\.0\.0\.1 answers 429; trying again in 1 s"),
    Case("the hub hangs up", once("reset", on="api", at=0), of_url=False,
         said=r"the connection to 127\.0\.0\.1 breaks; trying again"),
    Case("the hub falls silent", always("stall", on="api", at=0), "stalled",
         r"nothing more of 127\.0\.0\.1 arrives", "check the network", of_url=False,
         said=r"the connection to 127\.0\.0\.1 breaks; trying again"),
    Case("a circle at the hub", always("loop", on="head"), "redirects", "in a circle", "proxies",
         of_url=False),
    Case("no web address", always("redirect", to="file:///etc/passwd"), "redirects",
         "redirected to what is no web address", "check HF_ENDPOINT"),
    Case("a circle", always("loop"), "redirects", "redirected in a circle", "check HF_ENDPOINT",
         gets=25),
]  # fmt: skip
NAMES = [case.name for case in CASES]
URLS = [
    case.name for case in CASES if case.of_url and (FULL or case.name not in (
        "cut at 0", "cut at 1", "cut at the last", "a page once", "a range ignored always",
        "changed between two parts always", "a stall", "too short once", "429 once",
    ))
]  # fmt: skip
TESTS = {"repo": "test_a_repo", "url": "test_a_file_behind_a_url"}


@dataclass(frozen=True)
class Run:
    """A case that was pulled."""

    case: Case
    outcome: Outcome
    requests: list[Record]
    left: list[Path] = field(default_factory=list)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """With an environment for this process: pulls run in threads of it, their downloads in
    processes of their own."""
    root = tmp_path_factory.mktemp("faults")
    with Hub(root / "hub") as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment(root / "hf", GOOD_TOKEN).items():
            patch.setenv(name, value)
        patch.setenv("CVL_HOME", str(root / "cvl"))
        patch.setenv("CVL_STALLED_S", "6")
        yield started


@pytest.fixture(scope="module")
def pulled(
    hub: Hub, request: pytest.FixtureRequest
) -> Iterator[dict[tuple[str, str, int], Future[Run]]]:
    """Every case of both kinds that a chosen test asks for, begun."""
    chosen = {item.name for item in request.session.items}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Those that last longest first.
        order = sorted(CASES, key=lambda case: (not case.code, case.code != "stalled"))
        yield {
            (kind, case.name, turn): pool.submit(_pull, hub, kind, case, turn)
            for turn in range(ROUNDS)
            for kind in ("repo", "url")
            for case in order
            if f"{TESTS[kind]}[{turn}-{case.name}]" in chosen
        }


def _pull(hub: Hub, kind: str, case: Case, turn: int) -> Run:
    name = f"{case.name.replace(' ', '-')}-{turn}"
    if kind == "url":
        content = tiny.weights(2_000_000, seed=zlib.crc32(name.encode()))
        release = hub.publish(f"{name}/w.bin", content)
        repo, file = "files", f"{name}/w.bin"
        wanted: Any = UrlNeed("w.bin", release.url, release.sha256, release.size, False)
    else:
        repo, file = f"org/{name}", "model.safetensors"
        commit = hub.push(repo, {"config.json": CONFIG, "model.safetensors": WEIGHTS})
        wanted = need(repo)
        if not any(fault.get("on") == "api" for fault in case.faults):
            _pin(repo, commit)
    for fault in case.faults:
        hub.fault(repo, "api:*" if fault.get("on") == "api" else file, **fault)
    outcome = pull(wanted)
    requests = [r for r in hub.log(repo=repo) if kind == "repo" or r.file == file]
    left = incomplete(Path(os.environ["HF_HOME"]), repo)
    if kind == "url":
        left = [*Path(os.environ["CVL_HOME"]).rglob(f".{wanted.sha256}*")]
    return Run(case, outcome, requests, left)


def _pin(repo: str, commit: str) -> None:
    """As if it had been looked up before: that is not what is shown here, and takes a process."""
    git = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG.encode()).hexdigest()
    files = {
        "config.json": RepoFile(len(CONFIG), git=git),
        "model.safetensors": RepoFile(len(WEIGHTS), sha256=RIGHT["model.safetensors"]),
    }
    pins = Session().pins
    pins.change(repo, lambda lock: lock.with_pin("main", Pin(commit, 0)).with_files(commit, files))


def check(run: Run) -> None:
    """What holds for both kinds, whatever happened."""
    case, outcome = run.case, run.outcome
    assert run.left == []
    foreign = [r for r in run.requests if r.host != "hub"]
    assert foreign or not case.of_url
    assert not any(r.authorization for r in foreign)
    told = "\n".join(outcome.texts)
    assert re.search(case.said, told), told
    if not case.code:
        assert (outcome.code, outcome.message) == ("", "")
    else:
        assert re.fullmatch(case.code, outcome.code), outcome
        assert re.search(case.message, outcome.message), outcome
        assert re.search(case.hint, outcome.hint), outcome
        assert outcome.exit_code == 4
    bodies = [r for r in run.requests if r.method == "GET" and r.host != "hub"]
    of_weights = [r for r in bodies if r.file.endswith(("w.bin", "model.safetensors"))]
    assert len(of_weights) <= case.gets, of_weights


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_repo(pulled: dict[tuple[str, str, int], Future[Run]], name: str, turn: int) -> None:
    run = pulled["repo", name, turn].result()
    check(run)
    whole = RIGHT.items() if not run.case.code else RIGHT.items() & run.outcome.sha256.items()
    assert run.outcome.sha256.items() == whole


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_file_behind_a_url(
    pulled: dict[tuple[str, str, int], Future[Run]], name: str, turn: int
) -> None:
    run = pulled["url", name, turn].result()
    check(run)
    assert not any(record.authorization for record in run.requests)
    assert len(run.outcome.sha256) == (not run.case.code)
