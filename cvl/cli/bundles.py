"""What is in a bundle, as `cvl models export` and `import` show it."""

from __future__ import annotations

from typing import Any

from cvl.cli.units import fitted
from cvl.core.bundle import Bundle
from cvl.core.units import size

HEADINGS = ["WEIGHTS", "REVISION", "COMMIT", "FILES", "SIZE"]


def contents_of(bundle: Bundle) -> list[dict[str, Any]]:
    """For --json: repos, then files from URLs."""
    repos = [
        {
            "weights": repo.repo,
            "revision": repo.revision,
            "commit": repo.commit,
            "files": len(repo.wanted),
            "size": sum(file.size for file in repo.files.values()),
        }
        for repo in bundle.repos
    ]
    urls = [
        {"weights": url.name, "revision": None, "commit": None, "files": 1, "size": url.size}
        for url in bundle.urls
    ]
    return [*repos, *urls]


def table_of(bundle: Bundle) -> str:
    rows = [
        [
            item["weights"],
            item["revision"] or "-",
            (item["commit"] or "-")[:12],
            str(item["files"]),
            size(item["size"]),
        ]
        for item in contents_of(bundle)
    ]
    return fitted(HEADINGS, rows, {"WEIGHTS": 16})
