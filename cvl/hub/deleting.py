"""Deleting from the hub cache: by huggingface_hub, which knows what else uses a blob."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huggingface_hub import scan_cache_dir
from huggingface_hub.utils._cache_manager import HFCacheInfo

from cvl.hub.messages import Delete, Deleted, Reply


def delete(request: Delete, say: Callable[[Reply], None]) -> None:
    cache = scan_cache_dir()
    freed = 0
    if request.revisions:
        strategy = cache.delete_revisions(*request.revisions)
        freed += strategy.expected_freed_size
        strategy.execute()
    for repo, commit, path in request.files:
        freed += _delete_file(cache, repo, commit, path)
    wanted = set(request.leftovers)
    for item in cache.incomplete_files:
        if str(item.file_path) in wanted:
            item.file_path.unlink(missing_ok=True)
            freed += item.size_on_disk
    say(Deleted(freed))


def remove_file(repo: str, commit: str, path: str) -> None:
    """Take one file out of a snapshot, and its blob when nothing else uses it."""
    _delete_file(scan_cache_dir(), repo, commit, path)


def _delete_file(cache: HFCacheInfo, repo: str, commit: str, path: str) -> int:
    for cached in cache.repos:
        for revision in cached.revisions:
            if (cached.repo_id, revision.commit_hash) != (repo, commit):
                continue
            place = revision.snapshot_path / Path(path)
            files = [file for file in revision.files if file.file_path == place]
            strategy = cache.delete_files(*files)
            strategy.execute()
            return strategy.expected_freed_size
    return 0
