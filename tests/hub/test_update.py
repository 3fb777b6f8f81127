"""A pin moves when all of the new commit is here and was read, and not before."""

from __future__ import annotations

import pytest

from cvl.errors import WeightsError
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.updating import compare, update
from tests.hub.weights import NEED, REPO, Place, model
from tests.support.hub import Hub, tiny

UPDATE = """
from cvl.ops.session import Session
from cvl.ops.weights.updating import update
from tests.hub.weights import NEED
update(Session(), NEED)
"""


def pin(place: Place) -> str:
    return place.session().pins.of(REPO).pins["main"].commit


def ref(place: Place) -> str:
    """What other programs take for the newest that is here."""
    return (place.cache / "models--org--tiny" / "refs" / "main").read_text()


def test_what_is_new_is_said_in_files_and_bytes(hub: Hub, here: Place) -> None:
    old = pin(here)
    assert compare(here.session(), NEED).state == "current"
    new = hub.push(REPO, {"config.json": '{"seed": 9}', "new.json": "{}", "tokenizer.json": None})
    found = compare(here.session(), NEED)
    assert (found.state, found.old, found.new) == ("outdated", old, new)
    assert found.changed == ("config.json", "new.json")
    assert found.removed == ("tokenizer.json",)
    assert found.to_fetch == len('{"seed": 9}')  # what new.json holds was in tokenizer.json
    assert pin(here) == old


def test_files_that_nobody_wants_are_no_news(hub: Hub, here: Place) -> None:
    hub.push(REPO, {"extra/big.bin": tiny.pattern(60_000)})
    found = compare(here.session(), NEED)
    assert (found.state, found.changed, found.to_fetch) == ("outdated", (), 0)


def test_an_update_fetches_what_changed_alone(hub: Hub, here: Place) -> None:
    new = hub.push(REPO, {"config.json": '{"seed": 9}'})
    update(here.session(), NEED)
    assert pin(here) == ref(here) == new
    assert here.offline()["config.json"] == b'{"seed": 9}'
    assert [r.file for r in hub.log(method="GET", status=200) if r.file[:3] != "api"] == [
        "config.json"
    ]
    hub.forget()
    assert update(here.session(), NEED).state == "current"
    assert len(hub.log(method="GET")) <= 2  # the commit and its files


@pytest.mark.parametrize(("kind", "how"), [("wrong", {}), ("status", {"code": 404})])
def test_an_update_that_fails_leaves_the_old_pin(
    hub: Hub, here: Place, kind: str, how: dict[str, int]
) -> None:
    old = pin(here)
    before = here.offline()
    hub.push(REPO, model(1))
    fault = hub.fault(REPO, "model.safetensors", kind, times=None, **how)
    with pytest.raises(WeightsError):
        update(here.session(), NEED)
    assert fault.count > 0
    assert pin(here) == old and here.offline() == before


@pytest.mark.parametrize("held", ["api:revision", "config.json", "model.safetensors"])
def test_an_update_that_is_killed_leaves_the_old_pin(hub: Hub, here: Place, held: str) -> None:
    """Before anything is known, before a small file, and with all but a byte of the large one."""
    old = pin(here)
    before = here.offline()
    hub.push(REPO, model(1))
    at = -1 if held == "model.safetensors" else 0
    fault = hub.fault(REPO, held, "stall", at=at, on="api" if "api" in held else "body")
    child = here.start(UPDATE)
    fault.wait()
    child.kill()
    child.communicate()
    hub.clear()
    assert pin(here) == old and here.offline() == before


def test_bytes_that_a_killed_update_left_are_checked(hub: Hub, here: Place) -> None:
    hub.push(REPO, model(1))
    fault = hub.fault(REPO, "model.safetensors", "stall", at=1000)
    child = here.start(UPDATE)
    fault.wait()
    hub.wait_for("GET", repo=REPO, path="config.json", done=True)
    child.kill()
    child.communicate()
    hub.clear()
    update(here.session(), NEED)
    assert here.offline()["model.safetensors"] == model(1)["model.safetensors"]
    assert here.session().pins.of(REPO).incoming == {}


def test_what_other_programs_call_main_is_theirs(hub: Hub, here: Place) -> None:
    new = hub.push(REPO, {"config.json": '{"seed": 9}'})
    (here.cache / "models--org--tiny" / "refs" / "main").write_text("c" * 40)
    update(here.session(), NEED)
    assert (pin(here), ref(here)) == (new, "c" * 40)


def test_a_repo_that_is_gone_is_told_and_stays_pinned(hub: Hub, here: Place) -> None:
    old = pin(here)
    hub.delete(REPO)
    assert compare(here.session(), NEED).state == "gone"
    with pytest.raises(WeightsError, match="there is no repo"):
        update(here.session(), NEED)
    assert pin(here) == old and here.offline()


def test_without_wanted_files_the_pin_stays(hub: Hub, here: Place) -> None:
    old = pin(here)
    gone = {"config.json": None, "tokenizer.json": None, "model.safetensors": None}
    hub.push(REPO, gone)
    with pytest.raises(WeightsError, match="any more"):
        update(here.session(), NEED)
    assert pin(here) == old


def test_a_commit_in_the_manifest_is_never_old(hub: Hub, here: Place) -> None:
    commit = pin(here)
    fixed = RepoNeed(REPO, REPO, commit, NEED.patterns, "safetensors")
    hub.push(REPO, model(1))
    assert compare(here.session(), fixed).state == "fixed"
    assert update(here.session(), fixed).state == "fixed"


def test_offline_nothing_is_asked(hub: Hub, here: Place) -> None:
    hub.forget()
    for action in (compare, update):
        with pytest.raises(WeightsError, match="offline is set"):
            action(here.session(offline=True), NEED)
    assert hub.log() == []
