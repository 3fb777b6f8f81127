"""The stand-in for the hub, read by the real huggingface_hub."""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.conftest import FILES, WEIGHTS
from tests.support import processes
from tests.support.hub import BAD_TOKEN, GOOD_TOKEN, STRANGER_TOKEN, Hub, tiny
from tests.support.hub.raw import get

Download = Callable[..., Path]


@pytest.fixture
def download(hub: Hub, tmp_path: Path) -> Download:
    """snapshot_download into a cache of the test's own, without a token unless one is given."""

    def run(name: str, token: str | bool = False, **more: Any) -> Path:
        where: dict[str, Any] = {"endpoint": hub.url, "cache_dir": tmp_path / "cache"}
        return Path(huggingface_hub.snapshot_download(name, token=token, **where, **more))

    return run


@pytest.mark.parametrize("cdn", [True, False])
def test_a_snapshot_arrives_byte_for_byte(
    hub: Hub, repo: str, download: Download, cdn: bool
) -> None:
    hub.create(repo, cdn=cdn)
    files = tiny.diffusers(3000, fp16=True)
    commit = hub.push(repo, files)
    folder = download(repo)
    expected = tiny.write({**FILES, **files}, folder.parent / "expected")
    assert folder.name == commit
    assert contents(folder) == contents(expected)
    assert [r.host for r in hub.log(repo=repo, path="unet/*", sent=3000)] == [
        "cdn" if cdn else "hub"
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files below a folder, by path."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_sizes_are_known_before_anything_is_downloaded(
    hub: Hub, repo: str, download: Download
) -> None:
    """Also of files that no disk here could hold."""
    hub.push(repo, {"svd_xt.safetensors": 9_560_000_000_000})
    where = {"endpoint": hub.url, "cache_dir": "/nowhere", "token": False}
    files = huggingface_hub.snapshot_download(repo, dry_run=True, **where)
    told = HfApi(hub.url, token=False).model_info(repo, files_metadata=True).siblings
    expected = {
        "config.json": 9,
        "model.safetensors": len(WEIGHTS),
        "svd_xt.safetensors": 9_560_000_000_000,
    }
    assert {file.filename: file.file_size for file in files} == expected
    assert {file.rfilename: file.size for file in told or []} == expected
    assert hub.gets(repo, "*.safetensors") == 0


def test_digests_are_those_of_git_and_lfs(hub: Hub, repo: str) -> None:
    entries = {e.path: e for e in HfApi(hub.url, token=False).list_repo_tree(repo)}
    text = str(FILES["config.json"]).encode()
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    assert (entries["config.json"].blob_id, entries["config.json"].lfs) == (blob, None)
    assert entries["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    _, headers, _ = get(f"{hub.url}/{repo}/resolve/main/config.json", "HEAD")
    assert headers["ETag"] == f'"{blob}"'


def test_who_may_read_a_gated_repository(hub: Hub, repo: str, download: Download) -> None:
    """Its sizes anyone may know."""
    hub.create(repo, gated="manual")
    statuses = {}
    for token in (False, STRANGER_TOKEN):
        with pytest.raises(GatedRepoError) as raised:
            download(repo, token=token)
        statuses[token] = raised.value.response.status_code
    assert statuses == {False: 401, STRANGER_TOKEN: 403}
    api = HfApi(hub.url, token=False)
    info = api.model_info(repo, files_metadata=True)
    assert (info.gated, [f.size for f in info.siblings or []]) == ("manual", [9, len(WEIGHTS)])
    with pytest.raises(GatedRepoError):
        api.auth_check(repo)
    HfApi(hub.url, token=GOOD_TOKEN).auth_check(repo)
    hub.create(repo, granted=[STRANGER_TOKEN])
    assert contents(download(repo, token=STRANGER_TOKEN))["model.safetensors"] == WEIGHTS


def test_a_private_repository_is_not_told_from_a_missing_one(
    hub: Hub, repo: str, download: Download
) -> None:
    hub.create(repo, private=True)
    statuses = []
    for name in (repo, "org/none"):
        for token in (False, STRANGER_TOKEN):
            with pytest.raises(RepositoryNotFoundError) as raised:
                download(name, token=token)
            statuses.append(raised.value.response.status_code)
    assert statuses == [401, 404, 401, 404]
    assert contents(download(repo, token=GOOD_TOKEN))["model.safetensors"] == WEIGHTS


def test_a_bad_token_is_refused_even_for_a_public_repository(hub: Hub, repo: str) -> None:
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as raised:
        HfApi(hub.url, token=BAD_TOKEN).model_info(repo)
    assert not isinstance(raised.value, RepositoryNotFoundError)
    assert HfApi(hub.url, token=GOOD_TOKEN).whoami()["name"] == "good"
    status, _, _ = get(f"{hub.url}/api/whoami-v2")
    assert status == 401


def test_missing_revisions_and_files_are_told_apart(
    hub: Hub, repo: str, download: Download, tmp_path: Path
) -> None:
    with pytest.raises(RevisionNotFoundError):
        download(repo, revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        huggingface_hub.hf_hub_download(
            repo, "none.bin", endpoint=hub.url, cache_dir=tmp_path, token=False
        )


def test_a_pinned_commit_that_is_complete_needs_no_request(
    hub: Hub, repo: str, download: Download
) -> None:
    commit = hub.push(repo, {"more.txt": "x"})
    folder = download(repo, revision=commit)
    before = len(hub.log(repo=repo))
    assert download(repo, revision=commit) == folder
    assert len(hub.log(repo=repo)) == before


def test_main_moves_and_old_commits_tags_and_branches_stay(
    hub: Hub, repo: str, download: Download
) -> None:
    first = hub.push(repo, {"config.json": "1"})
    hub.tag(repo, "v1", first)
    branch = hub.push(repo, {"config.json": "b"}, branch="dev")
    request = hub.push(repo, {"config.json": "p"}, branch="refs/pr/1")
    second = hub.push(repo, {"config.json": "2", "model.safetensors": None})
    read = {
        revision: contents(download(repo, revision=revision))
        for revision in (first, "v1", "dev", "refs/pr/1", "main")
    }
    assert [found["config.json"] for found in read.values()] == [b"1", b"1", b"b", b"p", b"2"]
    assert read["main"] == {"config.json": b"2"}
    refs = HfApi(hub.url, token=False).list_repo_refs(repo, include_pull_requests=True)
    named = [*refs.branches, *refs.tags, *(refs.pull_requests or [])]
    assert {ref.ref: ref.target_commit for ref in named} == {
        "refs/heads/main": second, "refs/heads/dev": branch, "refs/tags/v1": first,
        "refs/pr/1": request,
    }  # fmt: skip


def test_a_renamed_repository_is_found_under_its_old_name(
    hub: Hub, repo: str, download: Download
) -> None:
    hub.rename(repo, f"{repo}-new")
    assert contents(download(repo))["model.safetensors"] == WEIGHTS
    assert HfApi(hub.url, token=False).model_info(repo).id == f"{repo}-new"
    status, headers, _ = get(f"{hub.url}/{repo}/resolve/main/config.json")
    assert (status, headers["Location"]) == (307, f"/{repo}-new/resolve/main/config.json")


def test_the_token_never_reaches_the_storage_host(hub: Hub, repo: str, download: Download) -> None:
    download(repo, token=GOOD_TOKEN)
    seen = {(r.host, r.authorization, r.token) for r in hub.log(repo=repo)}
    assert seen == {("hub", True, "good"), ("cdn", False, "none")}


def test_a_tree_comes_in_pages(hub: Hub, repo: str) -> None:
    hub.push(repo, {f"part/{number}.txt": str(number) for number in range(5)})
    hub.create(repo, page=3)
    api = HfApi(hub.url, token=False)
    paths = [entry.path for entry in api.list_repo_tree(repo, recursive=True)]
    assert paths == sorted(["config.json", "model.safetensors", "part",
                            *(f"part/{number}.txt" for number in range(5))])  # fmt: skip
    assert len(hub.log(repo=repo, path="api:tree")) == 3
    assert [e.path for e in api.list_repo_tree(repo)][-1] == "part"
    assert [e.path for e in api.get_paths_info(repo, ["part", "config.json", "none"])] == [
        "part", "config.json",
    ]  # fmt: skip
    _, headers, body = get(f"{hub.url}/api/models/{repo}/tree/main?recursive=true&limit=7")
    assert (len(json.loads(body)), "cursor=7" in headers["Link"]) == (7, True)


def test_a_child_uses_the_hub_by_its_environment(hub: Hub, repo: str, tmp_path: Path) -> None:
    hub.create(repo, private=True)
    code = f"from huggingface_hub import snapshot_download as s; print(s({repo!r}))"
    variables = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, **hub.environment(tmp_path / "hf", GOOD_TOKEN)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = Path(result.stdout.strip())
    assert folder.is_relative_to(tmp_path / "hf")
    assert contents(folder)["model.safetensors"] == WEIGHTS


def test_the_client_takes_up_again_after_a_cut(hub: Hub, repo: str, download: Download) -> None:
    """It starts anew here: the file is smaller than its parts of 10 MiB."""
    fault = hub.fault(repo, "model.safetensors", "cut", at=0.5)
    assert contents(download(repo))["model.safetensors"] == WEIGHTS
    sent = [r.sent for r in hub.log(repo=repo, method="GET", path="model.safetensors")]
    assert (sent, fault.count) == ([len(WEIGHTS) // 2, len(WEIGHTS)], 1)
    assert hub.gets(repo, "model.safetensors") == 2


# The process.


def test_a_stopped_hub_refuses_and_comes_back_on_its_port(hub: Hub, download: Download) -> None:
    hub.push("org/stopped", FILES)
    held = hub.fault("org/stopped", "config.json", "hold")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, f"{hub.url}/org/stopped/resolve/main/config.json")
        held.wait()
        hub.stop()
        with pytest.raises(ConnectionError):
            answer.result()
    with pytest.raises(ConnectionRefusedError):
        get(hub.url)
    with pytest.raises(LocalEntryNotFoundError):
        download("org/stopped")
    hub.start()
    assert contents(download("org/stopped"))["model.safetensors"] == WEIGHTS
    held.release()


def test_waiting_ends_with_what_was_asked_instead(hub: Hub, repo: str) -> None:
    get(f"{hub.url}/{repo}/resolve/main/config.json")
    with pytest.raises(TimeoutError, match=f"{repo}/resolve/main"):
        hub.wait_for("GET", repo=repo, count=2, timeout=0.05)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.support.hub import Hub\n"
        "hub = Hub(Path(sys.argv[1])); print(hub.pid, flush=True); sys.stdin.read()"
    )
    parent = processes.python(code, str(tmp_path))
    watched = os.pidfd_open(int(processes.said(parent)))
    processes.killed(parent)
    assert select.select([watched], [], [], 10)[0] == [watched]
    os.close(watched)
