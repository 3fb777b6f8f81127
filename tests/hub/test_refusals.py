"""Repos that are not to be had, and those that have another name: which it is, what is asked of the
hub, and that what is here is used without it. How a download ends that is given up."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cvl.hub.messages import Delete, Deleted
from cvl.hub.remote import Listener, ask
from cvl.ops.cancel import Cancel
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.resolving import known
from cvl.store.hub_survey import survey
from tests.hub.conftest import FILES
from tests.hub.weights import incomplete
from tests.support.hub import BAD_TOKEN, GOOD_TOKEN, STRANGER_TOKEN, Hub, tiny
from tests.support.pulls import Heard, need, pull

FULL = bool(os.environ.get("CVL_TEST_FULL"))
FILES_B = tiny.weights(20_000, 2)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def hub(own_hub: Hub) -> Hub:
    return own_hub


def test_gated_private_missing_and_unknown_are_told_apart(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for repo, settings in (("org/gated", {"gated": "manual"}), ("org/own", {"private": True})):
        hub.create(repo, **settings)
        hub.push(repo, FILES)
    hub.push("org/open", FILES)

    def told(repo: str, token: str, revision: str = "main") -> tuple[str, str, str]:
        monkeypatch.setenv("HF_TOKEN", token)
        outcome = pull(need(repo, revision=revision))
        assert (outcome.exit_code == 4, outcome.sha256) == (bool(outcome.code), {}) or (
            not outcome.code and len(outcome.sha256) == 2
        )
        return outcome.code, outcome.message, outcome.hint

    page = f"{hub.url}/org/gated"
    code, message, hint = told("org/gated", "")
    assert (code, message) == (
        "gated", "org/gated is gated: only who accepted its terms may have it",
    )  # fmt: skip
    assert hint == f"accept them at {page}, then set HF_TOKEN (or: hf auth login)"
    code, message, hint = told("org/gated", STRANGER_TOKEN)
    assert (code, message) == ("gated", "org/gated is gated, and your token may not have it")
    assert hint == f"ask for access, or accept the terms, at {page}"
    code, message, hint = told("org/open", BAD_TOKEN)
    assert (code, message) == ("bad_token", f"{hub.url} does not know the token in HF_TOKEN")
    assert f"{hub.url}/settings/tokens" in hint
    for repo, token in (("org/own", ""), ("org/own", STRANGER_TOKEN), ("org/none", "")):
        code, message, hint = told(repo, token)
        assert (code, message) == (
            "repo_not_found", f"there is no repo {repo} at {hub.url}, or it is private",
        )  # fmt: skip
        assert hint.startswith(f"check the name at {hub.url}/{repo}")
    code, message, hint = told("org/open", "", revision="v9")
    assert (code, message) == ("revision_not_found", "org/open has no such revision")
    assert hint == f"see {hub.url}/org/open/commits/main"
    assert told("org/gated", GOOD_TOKEN) == told("org/own", GOOD_TOKEN) == ("", "", "")


def test_a_file_that_is_gone_from_its_address(hub: Hub) -> None:
    outcome = pull(UrlNeed("w.bin", f"{hub.url}/files/v1/w.bin", "0" * 64, 10, False))
    assert (outcome.code, outcome.exit_code) == ("url_not_found", 4)
    assert outcome.message == f"{hub.url}/files/v1/w.bin is not to be had: status 404"
    assert "--weights" in outcome.hint


def test_a_file_without_end_is_not_taken_in(hub: Hub, tmp_path: Path) -> None:
    """What is sent beyond the declared size fills no disk."""
    release = hub.publish("v1/w.bin", tiny.weights(40_000_000))
    outcome = pull(UrlNeed("w.bin", release.url, release.sha256, 1000, False))
    assert (outcome.code, outcome.message) == (
        "wrong_bytes", "a file of 1000 bytes goes on behind its end",
    )  # fmt: skip
    (body,) = hub.log(repo="files", host="cdn")
    assert body.sent < 20_000_000
    assert not [*(tmp_path / "cvl").rglob("*.part")]


def test_a_repo_that_was_renamed_is_found_and_then_known(hub: Hub) -> None:
    hub.push("old/name", FILES)
    hub.rename("old/name", "new/name")
    outcome = pull(need("old/name"))
    assert (outcome.code, len(outcome.sha256)) == ("", 2)
    assert "old/name is called new/name now" in outcome.texts
    hub.forget()
    assert pull(need("old/name")).sha256 == outcome.sha256
    assert hub.log() == []


def test_a_repo_that_is_known_to_be_elsewhere_is_asked_for_there(hub: Hub) -> None:
    hub.push("stable-diffusion-v1-5/stable-diffusion-v1-5", FILES)
    now = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    outcome = pull(RepoNeed("runwayml/stable-diffusion-v1-5", now, "main", (), False))
    assert (outcome.code, len(outcome.sha256)) == ("", 2)
    assert f"runwayml/stable-diffusion-v1-5 is called {now} now" in outcome.texts
    assert {record.repo for record in hub.log()} == {now}


def test_a_pinned_complete_repo_asks_nothing(hub: Hub) -> None:
    """Not of a hub that answers, nor of one that is down; nor does --offline."""
    hub.push("org/here", FILES)
    first = pull(need("org/here"))
    hub.forget()
    assert pull(need("org/here")).sha256 == first.sha256
    assert hub.log() == []
    hub.stop()
    assert pull(need("org/here")).sha256 == first.sha256
    missing = pull(need("org/other"))
    assert (missing.code, "cannot be reached" in missing.message) == ("unreachable", True)
    hub.start()
    hub.forget()
    session = Session(offline=True)
    assert pull(need("org/here"), session).sha256 == first.sha256
    refused = pull(need("org/other"), Session(offline=True))
    assert (refused.code, refused.exit_code) == ("offline", 4)
    assert hub.log() == []


def test_another_mirror_is_asked_when_it_is_named(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Hub(tmp_path / "mirror") as mirror:
        mirror.push("org/m", FILES)
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        assert pull(need("org/m")).code == ""
        assert mirror.gets("org/m", "model.safetensors") == 1
    assert hub.log() == []


def test_what_is_not_declared_is_not_fetched(hub: Hub) -> None:
    """Of a repo of 19 GB, the half-size weights in their folders."""
    hub.push("org/svd", tiny.diffusers(4096, unneeded=9_560_000_000))
    outcome = pull(need("org/svd", "*.json", "*/*.fp16.safetensors"))
    assert outcome.code == ""
    fetched = {record.file for record in hub.log(method="GET", repo="org/svd", status=200)}
    bodies = {path for path in fetched if not path.startswith("api:")}
    assert bodies == outcome.sha256.keys()
    assert not any("/" not in path and path.endswith(".safetensors") for path in bodies)


def test_the_hub_is_asked_once_for_what_a_name_means(hub: Hub) -> None:
    """A branch that moves between two pulls is still what it was first."""
    hub.push("org/moves", FILES)
    pull(need("org/moves"))
    hub.push("org/moves", {"config.json": "other"})
    again = pull(need("org/moves"))
    found = known(Session(), need("org/moves"))
    assert (again.code, found is not None) == ("", True)
    assert hub.gets("org/moves", "config.json") == 1


def test_a_ctrl_c_ends_a_download_at_once_and_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.push("org/slow", FILES)
    hub.fault("org/slow", "model.safetensors", "stall", at=0.5, times=None)
    with _pulling("org/slow") as child:
        hub.wait_for("GET", repo="org/slow", host="cdn", sent=1)
        (worker,) = _children(child.pid)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        outcome = json.loads(child.communicate()[0])
    assert time.monotonic() - began < 2
    assert outcome["exit_code"] == 130
    assert _is_gone(worker)
    assert not incomplete(tmp_path / "hf")


def test_a_killed_cvl_leaves_no_process_and_nothing_incomplete(hub: Hub, tmp_path: Path) -> None:
    hub.push("org/slow", FILES)
    hub.fault("org/slow", "model.safetensors", "stall", at=0.5)
    with _pulling("org/slow") as child:
        hub.wait_for("GET", repo="org/slow", host="cdn", sent=1)
        (worker,) = _children(child.pid)
        child.kill()
        child.communicate()
    _wait_until(lambda: _is_gone(worker))
    assert not incomplete(tmp_path / "hf")
    outcome = pull(need("org/slow"))
    assert outcome.code == ""
    told = next(text for text in outcome.texts if "cut off" in text)
    assert re.match(r"the last download of org/slow was cut off: [12] files begin again", told)


def test_a_killed_worker_is_told_and_its_leftover_can_be_removed(hub: Hub, tmp_path: Path) -> None:
    hub.push("org/slow", {**FILES, "model.safetensors": tiny.weights(3_000_000)})
    hub.fault("org/slow", "model.safetensors", "stall", at=0.5)
    with _pulling("org/slow") as child:
        _wait_until(lambda: any(p.stat().st_size for p in incomplete(tmp_path / "hf")))
        (worker,) = _children(child.pid)
        os.kill(worker, signal.SIGKILL)
        outcome = json.loads(child.communicate()[0])
    assert (outcome["code"], outcome["exit_code"]) == ("cut_short", 4)
    assert re.search(
        "was cut off: .*killed by signal 9; [12] files begin again", outcome["message"]
    )
    left = incomplete(tmp_path / "hf")
    assert left
    names = tuple("/".join(path.parts[-3:]) for path in left)
    replies = ask(Delete(leftovers=names), Listener(lambda s: None))
    assert sum(reply.freed for reply in replies if isinstance(reply, Deleted)) > 0
    assert not incomplete(tmp_path / "hf")
    assert pull(need("org/slow")).code == ""


@pytest.mark.parametrize("turn", range(20 if FULL else 2))
def test_a_worker_that_is_told_to_end_leaves_nothing(hub: Hub, tmp_path: Path, turn: int) -> None:
    """As by who ends all processes of a machine, whatever it is at."""
    repo = f"org/slow{turn}"
    hub.push(repo, FILES)
    hub.fault(repo, "model.safetensors", "bandwidth", rate=200_000)
    with _pulling(repo) as child:
        hub.wait_for("GET", repo=repo, host="cdn", sent=random.Random(turn).randrange(1, 60_000))
        os.kill(*_children(child.pid), signal.SIGTERM)
        outcome = json.loads(child.communicate()[0])
    assert (outcome["code"], outcome["exit_code"]) == ("cut_short", 4)
    assert [repo.leftovers for repo in survey(tmp_path / "hf" / "hub")] == [()]


def test_what_is_on_its_way_when_another_file_fails_is_let_in(hub: Hub) -> None:
    hub.push("org/two", {"a.safetensors": tiny.weights(9000, 1), "b.safetensors": FILES_B})
    hub.fault("org/two", "a.safetensors", "html", times=None)
    hold = hub.fault("org/two", "b.safetensors", "hold")
    session = Session()

    def go_on(text: str) -> None:
        if "what is on its way is let in" in text:
            hold.release()

    session.report = Heard(go_on)
    outcome = pull(need("org/two"), session)
    assert outcome.code == "web_page"
    assert outcome.sha256 == {"b.safetensors": hashlib.sha256(FILES_B).hexdigest()}


def test_a_wait_that_a_server_asks_for_ends_with_a_ctrl_c(hub: Hub) -> None:
    hub.push("org/busy", FILES)
    hub.fault("org/busy", "*", "status", code=429, retry_after=200, times=None)
    cancel = Cancel()
    session = Session(cancel=cancel)
    began = time.monotonic()

    def give_up(text: str) -> None:
        if "trying again in 200 s" in text:
            cancel.request(signal.SIGINT)

    session.report = Heard(give_up)
    assert pull(need("org/busy"), session).exit_code == 130
    assert time.monotonic() - began < 30


def test_a_patience_that_is_no_number_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVL_STALLED_S", "soon")
    outcome = pull(need("org/any"))
    assert (outcome.code, outcome.exit_code) == ("bad_config", 2)


def _pulling(repo: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.pulls", repo], cwd=ROOT, stdout=subprocess.PIPE
    )


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except OSError:
        return True


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
