"""What each URL means: the hub's API and files, its storage host, and files of releases."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.support.hub.repos import TEXT, Blob, Entry, Repository, Shelf, directory, tree
from tests.support.hub.wire import Answer, Request, led, said

GOOD_TOKEN = "hf_goodGoodGoodGoodGoodGoodGoodGoodGo"
STRANGER_TOKEN = "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"
TOKENS = {GOOD_TOKEN: "good", STRANGER_TOKEN: "stranger"}
FILES = "files"
API = frozenset({"api"})
HEAD = frozenset({"head"})
RESOLVE = frozenset({"resolve"})
BODY = frozenset({"body"})
OPERATIONS = {"revision", "tree", "paths-info", "refs", "auth-check"}
INVALID = "Invalid credentials in Authorization header"
SIGNATURE = "Expires=4102444800&Signature=stand-in"


def refused(status: int, code: str, message: str) -> Answer:
    """An error as the hub says it; some have no code."""
    answer = said(status, {"error": message}, X_Error_Message=message)
    return replace(answer, headers={**answer.headers, "X-Error-Code": code}) if code else answer


@dataclass(frozen=True)
class Caller:
    """Who asks: `kind` is good, stranger (an account without grants), bad or none."""

    kind: str
    token: str

    def may(self, repository: Repository) -> bool:
        return self.kind == "good" or (
            self.kind == "stranger" and self.token in repository.settings.granted
        )


@dataclass(frozen=True)
class Router:
    """Answers requests from what is on the shelf; `tokens`: kind by token."""

    shelf: Shelf
    tokens: dict[str, str]
    hub: str
    cdn: str

    def caller(self, request: Request) -> Caller:
        text = request.header("Authorization")
        if not text:
            return Caller("none", "")
        token = text.removeprefix("Bearer ")
        return Caller(self.tokens.get(token, "bad"), token)

    def answer(self, request: Request) -> Answer:
        """What would be said if nothing went wrong."""
        with self.shelf.lock:
            found = self._found(request)
        stages = found.stages
        if request.host == "elsewhere":
            stages = frozenset({"elsewhere"})
        elif request.method == "HEAD" and "api" not in stages:
            stages = HEAD
        return replace(found, stages=stages)

    def _found(self, request: Request) -> Answer:
        segments = request.segments
        if segments[0] == "repos" and request.host != "hub":
            return self._stored(unquote(segments[1]), segments[2], unquote("/".join(segments[3:])))
        if segments[0] == FILES or (segments[0] == "releases" and request.host != "hub"):
            return self._release(request, unquote("/".join(segments[1:])))
        if request.host == "cdn":
            return said(404, {"error": "no such object"})
        caller = self.caller(request)
        if segments[0] == "api" and request.host == "hub":
            return replace(self._api(request, segments[1:], caller), stages=API)
        if "resolve" in segments[1:3]:
            return self._resolve(request, segments, caller)
        return said(404, {"error": "Not Found"})

    def _api(self, request: Request, segments: list[str], caller: Caller) -> Answer:
        if caller.kind == "bad":
            return refused(401, "", INVALID)
        if segments == ["whoami-v2"]:
            return replace(_whoami(caller), file="api:whoami-v2")
        if segments[0] != "models" or len(segments) < 2:
            return said(404, {"error": "Not Found"})
        split = 2 if len(segments) == 2 or segments[2] in OPERATIONS else 3
        name = unquote("/".join(segments[1:split]))
        operation, *rest = [*segments[split:], "revision", "main"] if not segments[split:] else (
            segments[split:]
        )  # fmt: skip
        answer = self._moved(request, name) or self._missing(name, caller)
        if answer is None:
            answer = self._asked(request, self.shelf.repositories[name], operation, rest, caller)
        return replace(answer, repo=name, file=f"api:{operation}")

    def _asked(
        self, request: Request, repository: Repository, operation: str, rest: list[str],
        caller: Caller,
    ) -> Answer:  # fmt: skip
        """An operation of the API on a repository that the caller may know of."""
        if operation == "refs":
            return said(200, repository.references("include_prs" in request.query))
        if operation == "auth-check":
            return _gate(repository, caller) or said(200, {})
        revision = unquote(rest[0]) if rest else "main"
        commit = repository.resolve(revision)
        if operation not in OPERATIONS:
            return said(404, {"error": "Not Found"})
        if commit is None:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if operation == "revision":
            return said(200, repository.described(commit, _true(request.query.get("blobs", ""))))
        if operation == "paths-info":
            return said(200, _paths_info(request, repository.commits[commit]))
        return self._tree(request, repository, commit, unquote("/".join(rest[1:])))

    def _tree(self, request: Request, repository: Repository, commit: str, below: str) -> Answer:
        """A page of the tree, and where the next one is."""
        query = request.query
        entries = tree(repository.commits[commit], below, _true(query.get("recursive", "")))
        if below and not entries:
            return refused(404, "EntryNotFound", f"{below} does not exist on {commit}")
        start = int(query.get("cursor", "0"))
        end = start + int(query.get("limit", repository.settings.page))
        answer = said(200, entries[start:end])
        if end >= len(entries):
            return answer
        path = urlsplit(request.target).path
        following = f"{self.hub}{path}?{urlencode({**query, 'cursor': str(end)})}"
        return replace(answer, headers={**answer.headers, "Link": f'<{following}>; rel="next"'})

    def _resolve(self, request: Request, segments: list[str], caller: Caller) -> Answer:
        split = segments.index("resolve", 1)
        name = unquote("/".join(segments[:split]))
        revision, *rest = [unquote(segment) for segment in segments[split + 1 :]] or ["main"]
        path = "/".join(rest)
        answer: Answer | None = None
        if request.host == "hub":
            answer = refused(401, "", INVALID) if caller.kind == "bad" else None
            answer = answer or self._moved(request, name) or self._missing(name, caller)
            answer = answer or _gate(self.shelf.repositories[name], caller)
        if answer is None:
            answer = self._file(request, self.shelf.repositories[name], revision, path)
        return replace(answer, repo=name, file=path, stages=answer.stages | RESOLVE)

    def _file(self, request: Request, repository: Repository, revision: str, path: str) -> Answer:
        commit = repository.resolve(revision)
        if commit is None:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        entry = repository.commits[commit].get(path)
        if entry is None:
            missing = refused(404, "EntryNotFound", "Entry not found")
            return replace(missing, headers={**missing.headers, "X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "ETag": f'"{entry.digest}"'}
        if entry.lfs:
            size = str(entry.blob.size)
            headers.update({"X-Linked-Etag": f'"{entry.digest}"', "X-Linked-Size": size})
            if repository.settings.cdn and request.host == "hub":
                stored = f"/repos/{quote(repository.name, safe='')}/{entry.digest}/{quote(path)}"
                return led(302, f"{self.cdn}{stored}?{SIGNATURE}", headers)
        return _content(entry, headers, repository.settings.gzip)

    def _stored(self, name: str, digest: str, path: str) -> Answer:
        """The storage host knows bytes by digest, not who asks nor what commit it was."""
        blob = self.shelf.by_digest.get(digest)
        if blob is None:
            return said(404, {"error": "no such object"})
        return Answer(200, blob.path, _storage_headers(blob, path), name, path, BODY)

    def _release(self, request: Request, path: str) -> Answer:
        """`/files/...` leads to the other host, which has the bytes."""
        blob = self.shelf.releases.get(path)
        if blob is None:
            missing = Answer(404, b"Not Found", {"Content-Type": "text/plain; charset=utf-8"})
            return replace(missing, repo=FILES, file=path, stages=RESOLVE)
        if request.host == "hub":
            answer = led(302, f"{self.cdn}/releases/{quote(path)}?{SIGNATURE}")
            return replace(answer, repo=FILES, file=path, stages=RESOLVE)
        return Answer(200, blob.path, _storage_headers(blob, path), FILES, path, BODY)

    def _moved(self, request: Request, name: str) -> Answer | None:
        """The hub leads from a former name to the present one, on the same host."""
        new = self.shelf.renamed.get(name)
        if new is None:
            return None
        return led(307, request.target.replace(f"/{name}", f"/{new}", 1))

    def _missing(self, name: str, caller: Caller) -> Answer | None:
        """A private repository is not told from one that does not exist."""
        repository = self.shelf.repositories.get(name)
        if repository is not None and (not repository.settings.private or caller.may(repository)):
            return None
        return refused(
            401 if caller.kind == "none" else 404, "RepoNotFound", "Repository not found"
        )


def _gate(repository: Repository, caller: Caller) -> Answer | None:
    """Who is not let through to the files of a gated repository."""
    if not repository.settings.gated or caller.may(repository):
        return None
    name = repository.name
    if caller.kind == "none":
        text = f"Access to model {name} is restricted. You must have access to it and be "
        return refused(401, "GatedRepo", text + "authenticated to access it. Please log in.")
    text = f"Access to model {name} is restricted and you are not in the authorized list. "
    return refused(
        403, "GatedRepo", f"{text}Visit https://huggingface.co/{name} to ask for access."
    )


def _whoami(caller: Caller) -> Answer:
    if caller.kind == "none":
        return refused(401, "", "Invalid username or password.")
    token = {"displayName": "stand-in", "role": "read"}
    who = {"type": "user", "id": "0" * 24, "name": caller.kind, "orgs": []}
    return said(200, {**who, "auth": {"type": "access_token", "accessToken": token}})


def _paths_info(request: Request, listing: dict[str, Entry]) -> list[dict[str, Any]]:
    """Of the files and folders that the body names, as JSON or as a form; others are left out."""
    text = request.body.decode()
    asked = json.loads(text) if text.startswith("{") else parse_qs(text)
    wanted = asked.get("paths", [])
    folders = {str(folder) for path in listing for folder in PurePosixPath(path).parents}
    return [
        listing[path].listed() if path in listing else directory(listing, path)
        for path in ([wanted] if isinstance(wanted, str) else wanted)
        if path in listing or path in folders
    ]


def _content(entry: Entry, headers: dict[str, str], compressed: bool) -> Answer:
    name = PurePosixPath(entry.path)
    text = bool({name.suffix, name.name} & TEXT)
    kind = "text/plain; charset=utf-8" if text else "application/octet-stream"
    disposition = f"inline; filename*=UTF-8''{quote(name.name)}"
    headers = {**headers, "Content-Type": kind, "Content-Disposition": disposition}
    return Answer(200, entry.blob.path, headers, stages=BODY, gzip=compressed and text)


def _storage_headers(blob: Blob, path: str) -> dict[str, str]:
    """The storage host's ETag looks like a digest of the file and is none."""
    made_up = hashlib.sha256(f"storage {blob.sha256}".encode()).hexdigest()
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(PurePosixPath(path).name)}",
        "ETag": f'"{made_up}"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }


def _true(text: str) -> bool:
    return text.lower() in ("1", "true")
