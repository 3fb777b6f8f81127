"""Deleting from the hub cache: by huggingface_hub, which knows what else uses a blob."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import scan_cache_dir
from huggingface_hub.utils._cache_manager import CachedRepoInfo, DeleteCacheStrategy, HFCacheInfo

from cvl.core.weights import is_leftover
from cvl.hub.messages import Delete, Deleted, Reply


def delete(request: Delete, say: Callable[[Reply], None]) -> None:
    cache = scan_cache_dir()
    commits: dict[str, set[str]] = {}
    for folder, commit in request.revisions:
        commits.setdefault(folder, set()).add(commit)
    freed = sum(_delete_revisions(cache, folder, found) for folder, found in commits.items())
    freed += sum(_delete_repo(cache, folder) for folder in request.repos)
    freed += _delete_leftovers(cache, set(request.leftovers))
    say(Deleted(freed))


def remove_file(repo: str, commit: str, path: str) -> None:
    """Take one file out of a snapshot, and its blob when nothing else uses it."""
    cache = scan_cache_dir()
    for cached in cache.repos:
        for revision in cached.revisions:
            if (cached.repo_id, revision.commit_hash) == (repo, commit):
                place = revision.snapshot_path / Path(path)
                files = [file for file in revision.files if file.file_path == place]
                cache.delete_files(*files).execute()


def _delete_revisions(cache: HFCacheInfo, folder: str, commits: set[str]) -> int:
    """Of this repo alone: a commit may be in several, since a renamed repo keeps its commits."""
    repo = _found(cache, folder)
    if repo is None:
        return 0
    there = {revision.commit_hash for revision in repo.revisions}
    if there <= commits:
        return _delete_repo(cache, folder)
    strategy = replace(cache, repos=frozenset((repo,))).delete_revisions(*(there & commits))
    strategy.execute()
    return strategy.expected_freed_size


def _delete_repo(cache: HFCacheInfo, folder: str) -> int:
    """Also one that the library cannot read, and one whose folder is a link to another disk, of
    which the library removes the link alone."""
    repo, path = _found(cache, folder), _root(cache) / folder
    real = Path(os.path.realpath(path))
    if repo is not None:
        commits = [revision.commit_hash for revision in repo.revisions]
        strategy = replace(cache, repos=frozenset((repo,))).delete_revisions(*commits)
    else:
        strategy = _whole(cache, path)
    size = strategy.expected_freed_size + sum(
        file.size_on_disk for file in cache.incomplete_files if file.file_path.parts[-3] == folder
    )
    if not strategy.repos:  # no revision was complete enough to be one
        strategy = _whole(cache, path)
    strategy.execute()
    if real != path:
        shutil.rmtree(real, ignore_errors=True)
    return size


def _whole(cache: HFCacheInfo, path: Path) -> DeleteCacheStrategy:
    nothing: frozenset[Path] = frozenset()
    size = sum(blob.lstat().st_size for blob in path.glob("blobs/*") if not blob.is_symlink())
    return DeleteCacheStrategy(
        expected_freed_size=size, blobs=nothing, refs=nothing, repos=frozenset((path,)),
        snapshots=nothing, cache_dir=cache.cache_dir,
    )  # fmt: skip


def _delete_leftovers(cache: HFCacheInfo, wanted: set[str]) -> int:
    """The library knows those that hold bytes; the others it never removes."""
    freed = 0
    for item in cache.incomplete_files:
        if item.file_path.relative_to(_root(cache)).as_posix() in wanted:
            item.file_path.unlink(missing_ok=True)
            freed += item.size_on_disk
    for name in wanted:
        folder, _, path = name.partition("/")
        if is_leftover(path):
            (_root(cache) / folder / path).unlink(missing_ok=True)
    return freed


def _found(cache: HFCacheInfo, folder: str) -> CachedRepoInfo | None:
    return next((repo for repo in cache.repos if repo.repo_path.name == folder), None)


def _root(cache: HFCacheInfo) -> Path:
    assert cache.cache_dir is not None
    return cache.cache_dir
