"""The stand-in for the hub, read byte by byte: its protocol, and each of its faults."""

from __future__ import annotations

import gzip
import hashlib
import select
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead

import pytest

from tests.hub.conftest import FILES, WEIGHTS
from tests.support.hub import Hub
from tests.support.hub.raw import get, opened, take

HALF = len(WEIGHTS) // 2


def stored(hub: Hub, repo: str, path: str = "model.safetensors") -> str:
    """The URL at the storage host that the hub leads to."""
    status, headers, _ = get(f"{hub.url}/{repo}/resolve/main/{path}", "HEAD")
    assert status == 302
    return str(headers["Location"])


# The protocol.


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", (206, "0-0", slice(0, 1))),
        ("bytes=100-", (206, f"100-{len(WEIGHTS) - 1}", slice(100, None))),
        ("bytes=-5", (206, f"{len(WEIGHTS) - 5}-{len(WEIGHTS) - 1}", slice(-5, None))),
        ("bytes=5-9999999", (206, f"5-{len(WEIGHTS) - 1}", slice(5, None))),
        (f"bytes={len(WEIGHTS)}-", (416, "*", slice(0, 0))),
        ("bytes=oops", (200, "", slice(None))),
    ],
)
def test_ranges(hub: Hub, repo: str, asked: str, expected: tuple[int, str, slice]) -> None:
    status, shown, part = expected
    got = get(stored(hub, repo), Range=asked)
    assert (got[0], got[2]) == (status, WEIGHTS[part])
    assert got[1]["Content-Range"] == (f"bytes {shown}/{len(WEIGHTS)}" if shown else None)


def test_a_range_of_another_file_is_not_given(hub: Hub, repo: str) -> None:
    url = stored(hub, repo)
    etag = get(url, "HEAD")[1]["ETag"]
    assert get(url, Range="bytes=5-", If_Range=etag)[0] == 206
    assert get(url, Range="bytes=5-", If_Range='"other"')[0] == 200


def test_the_storage_host_says_less_than_the_hub(hub: Hub, repo: str) -> None:
    """Its ETag is not the digest that the hub names, though it looks like one."""
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    _, headers, _ = get(f"{hub.url}/{repo}/resolve/main/model.safetensors", "HEAD")
    linked = (headers["X-Linked-Etag"], headers["X-Linked-Size"])
    assert linked == (f'"{digest}"', str(len(WEIGHTS)))
    _, headers, _ = get(headers["Location"], "HEAD")
    assert headers["X-Repo-Commit"] is None
    assert len(headers["ETag"]) == 66
    assert digest not in headers["ETag"]


def test_text_is_compressed_without_a_length_for_who_accepts_that(hub: Hub, repo: str) -> None:
    url = f"{hub.url}/{repo}/resolve/main/config.json"
    _, headers, body = get(url, Accept_Encoding="gzip, deflate")
    assert headers["Content-Length"] is None
    assert (headers["Content-Encoding"], headers["ETag"][:3]) == ("gzip", 'W/"')
    assert gzip.decompress(body) == str(FILES["config.json"]).encode()
    _, headers, body = get(url)
    assert (headers["Content-Length"], headers["Content-Encoding"]) == ("9", None)


def test_a_file_of_a_release_is_on_another_host(hub: Hub) -> None:
    release = hub.publish("v1.3/GFPGANv1.4.pth", WEIGHTS)
    assert (release.size, release.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    status, headers, _ = get(release.url)
    assert (status, headers["Location"].startswith(hub.cdn_url)) == (302, True)
    assert get(headers["Location"])[2] == WEIGHTS
    assert get(headers["Location"], Range="bytes=10-19")[2] == WEIGHTS[10:20]
    assert hub.gets("files", "v1.3/*") == 1


# Faults.


@pytest.mark.parametrize(("at", "sent"), [(0, 0), (1, 1), (0.5, HALF), (-1, len(WEIGHTS) - 1)])
def test_cut(hub: Hub, repo: str, at: float, sent: int) -> None:
    fault = hub.fault(repo, "model.safetensors", "cut", at=at)
    url = stored(hub, repo)
    with pytest.raises(IncompleteRead) as raised:
        get(url)
    assert raised.value.partial == WEIGHTS[:sent]
    assert (get(url)[2], fault.count) == (WEIGHTS, 1)


def test_cut_of_what_has_no_length(hub: Hub, repo: str) -> None:
    hub.fault(repo, "config.json", "cut", at=-1)
    with pytest.raises(IncompleteRead):
        get(f"{hub.url}/{repo}/resolve/main/config.json", Accept_Encoding="gzip")


def test_short(hub: Hub, repo: str) -> None:
    """Whole by its Content-Length, and yet not all."""
    hub.fault(repo, "model.safetensors", "short", at=-10)
    assert get(stored(hub, repo))[2] == WEIGHTS[:-10]


def test_reset(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "reset", at=HALF)
    with opened(stored(hub, repo)) as connection:
        assert take(connection, HALF) == WEIGHTS[:HALF]
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_range_that_is_ignored(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "ignore_range")
    url = stored(hub, repo)
    assert [get(url, Range="bytes=9-")[0] for _ in range(2)] == [200, 206]


def test_an_etag_that_changes_between_head_and_get(hub: Hub, repo: str) -> None:
    hub.fault(repo, "config.json", "etag")
    url = f"{hub.url}/{repo}/resolve/main/config.json"
    head, changed, after = (get(url, method)[1]["ETag"] for method in ("HEAD", "GET", "GET"))
    assert head == after != changed


def test_an_etag_that_changes_between_two_ranges(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "etag", skip=1, text="other")
    url = stored(hub, repo)
    first, second = (get(url, Range=f"bytes={n}-{n + 9}") for n in (0, 10))
    assert (first[1]["ETag"] != second[1]["ETag"], second[1]["ETag"]) == (True, '"other"')
    hub.fault(repo, "model.safetensors", "etag")
    assert get(url, Range="bytes=20-", If_Range=first[1]["ETag"])[0] == 200


def test_wrong_bytes_of_the_right_size(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "wrong", at=-1)
    body = get(stored(hub, repo))[2]
    assert (len(body), body[:-1], body[-1]) == (len(WEIGHTS), WEIGHTS[:-1], WEIGHTS[-1] ^ 0xFF)


def test_a_page_instead_of_the_file(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "html")
    status, headers, body = get(stored(hub, repo))
    assert (status, headers["Content-Type"], body[:9]) == (
        200, "text/html; charset=utf-8", b"<!DOCTYPE",
    )  # fmt: skip


def test_stall_until_released(hub: Hub, repo: str) -> None:
    fault = hub.fault(repo, "model.safetensors", "stall", at=HALF)
    with opened(stored(hub, repo)) as connection:
        assert take(connection, HALF) == WEIGHTS[:HALF]
        hub.wait_for("GET", repo=repo, host="cdn", sent=HALF)
        assert select.select([connection], [], [], 0.1) == ([], [], [])
        fault.release()
        assert take(connection, len(WEIGHTS) - HALF) == WEIGHTS[HALF:]


def test_drip_and_bandwidth(hub: Hub, repo: str) -> None:
    hub.push(repo, {"few.txt": "12345678"})
    hub.fault(repo, "few.txt", "drip", rate=20)
    hub.fault(repo, "model.safetensors", "bandwidth", rate=400_000)
    for url, content in (
        (f"{hub.url}/{repo}/resolve/main/few.txt", b"12345678"),
        (stored(hub, repo), WEIGHTS),
    ):
        began = time.monotonic()
        assert get(url)[2] == content
        assert time.monotonic() - began > 0.2


def test_delay(hub: Hub, repo: str) -> None:
    hub.fault(repo, "config.json", "delay", seconds=0.2, on="head")
    began = time.monotonic()
    get(f"{hub.url}/{repo}/resolve/main/config.json", "HEAD")
    assert time.monotonic() - began > 0.19


def test_hold_until_released(hub: Hub, repo: str) -> None:
    """What is said is what holds then: main has moved in between."""
    fault = hub.fault(repo, "config.json", "hold", times=None)
    with ThreadPoolExecutor(2) as pool:
        url = f"{hub.url}/{repo}/resolve/main/config.json"
        answers = [pool.submit(get, url) for _ in range(2)]
        fault.wait(2)
        assert [r.status for r in hub.wait_for("GET", repo=repo, count=2)] == [0, 0]
        hub.push(repo, {"config.json": "moved"})
        hub.release()
        assert [answer.result()[2] for answer in answers] == [b"moved", b"moved"]


def test_too_many_requests_and_unavailable(hub: Hub, repo: str) -> None:
    hub.fault(repo, "config.json", "status", code=429, retry_after=7)
    url = f"{hub.url}/{repo}/resolve/main/config.json"
    status, headers, _ = get(url)
    assert (status, headers["Retry-After"]) == (429, "7")
    fault = hub.fault(repo, "config.json", "status", code=503, times=2)
    assert [get(url)[0] for _ in range(3)] == [503, 503, 200]
    assert fault.count == 2


def test_the_api_fails_too(hub: Hub, repo: str) -> None:
    hub.fault(repo, "api:*", "status", code=500, on="api", times=None)
    url = f"{hub.url}/api/models/{repo}"
    assert [get(url + more)[0] for more in ("", "/tree/main", "/refs")] == [500, 500, 500]
    hub.clear()
    assert get(url)[0] == 200


def test_a_redirect_to_a_foreign_host(hub: Hub, repo: str) -> None:
    hub.fault(repo, "model.safetensors", "redirect")
    status, headers, _ = get(stored(hub, repo))
    assert (status, headers["Location"].startswith(hub.elsewhere_url)) == (302, True)
    assert get(headers["Location"], Authorization="Bearer leaked")[2] == WEIGHTS
    (record,) = hub.log(repo=repo, host="elsewhere")
    assert (record.authorization, record.headers["authorization"]) == (True, "Bearer leaked")
    hub.fault(repo, "config.json", "redirect", to="file:///etc/passwd")
    _, headers, _ = get(f"{hub.url}/{repo}/resolve/main/config.json")
    assert headers["Location"] == "file:///etc/passwd"


def test_a_redirect_that_never_ends(hub: Hub, repo: str) -> None:
    hub.fault(repo, "config.json", "loop", times=None)
    seen = [f"/{repo}/resolve/main/config.json"]
    for _ in range(12):
        status, headers, _ = get(hub.url + seen[-1])
        assert status == 302
        seen.append(headers["Location"])
    assert len(set(seen)) == 13


def test_a_fault_that_is_unknown_is_refused(hub: Hub) -> None:
    with pytest.raises(ValueError, match="no fault 'cutt'"):
        hub.fault("*", "*", "cutt")
