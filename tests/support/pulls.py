"""A pull of weights and what came of it: for tests, in threads, or as a program of its own.

    python -m tests.support.pulls ORG/NAME [PATTERN ...]

says the outcome on stdout, as one line of JSON, and what is told on the way on stderr.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cvl.errors import CvlError
from cvl.ops.report import Progress, Silent
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.pulling import pull_repo, pull_url
from cvl.ops.weights.resolving import RepoFiles, resolve_need


class Heard(Silent):
    """Keeps what is said; passes it on to `also`."""

    def __init__(self, also: Callable[[str], None] = lambda text: None) -> None:
        self.texts: list[str] = []
        self.bytes: list[float] = []
        self._also = also

    def phase(self, step: str, phase: str, text: str = "") -> None:
        self.message(f"{step} {phase} {text}")

    def progress(self, progress: Progress) -> None:
        self.bytes.append(progress.done)

    def message(self, text: str) -> None:
        self.texts.append(text)
        self._also(text)


@dataclass(frozen=True)
class Outcome:
    """`code` is empty when it went well. `sha256`: of the files that a model would be given, also
    after a failure, by name."""

    code: str = ""
    message: str = ""
    hint: str = ""
    exit_code: int = 0
    texts: list[str] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    blobs: list[str] = field(default_factory=list)


def need(repo: str, *patterns: str, revision: str = "main") -> RepoNeed:
    return RepoNeed(repo, repo, revision, patterns, False)


def pull(wanted: RepoNeed | UrlNeed, session: Session | None = None) -> Outcome:
    """With a report that is kept."""
    session = session or Session()
    heard = session.report if isinstance(session.report, Heard) else Heard()
    session.report = heard
    files: RepoFiles | None = None
    found: dict[str, Path] = {}
    error: CvlError | None = None
    try:
        if isinstance(wanted, UrlNeed):
            found = {wanted.name: pull_url(session, wanted)}
        else:
            files = resolve_need(session, wanted)
            pull_repo(session, files)
    except CvlError as raised:
        error = raised
    if files:
        found = files.presence(session).present
    blobs = sorted(str(path) for path in found.values())
    sha256 = {name: digest(path) for name, path in found.items()}
    if error is None:
        return Outcome(texts=heard.texts, sha256=sha256, blobs=blobs)
    told = (error.code, error.message, error.hint, error.status)
    return Outcome(*told, texts=heard.texts, sha256=sha256, blobs=blobs)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    repo, *patterns = sys.argv[1:]
    session = Session(offline="--offline" in patterns)
    session.report = Heard(lambda text: print(text, file=sys.stderr, flush=True))
    signal.signal(signal.SIGINT, lambda number, frame: session.cancel.request(number))
    patterns = [pattern for pattern in patterns if not pattern.startswith("--")]
    outcome = pull(need(repo, *patterns), session)
    print(json.dumps(dataclasses.asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
