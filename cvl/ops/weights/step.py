"""The weights of one step: what they are called in its key, and how it gets to see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cvl.core.licensing import parts_of, terms_of
from cvl.core.manifest import ModelManifest
from cvl.core.plan import WeightsView
from cvl.core.weights import content_identity, lora_identity
from cvl.ops.request import Options
from cvl.ops.session import Session
from cvl.ops.weights.in_use import in_use
from cvl.ops.weights.needs import Need, RepoNeed, UrlNeed, needs_of
from cvl.ops.weights.own import OwnWeights, own_lora, own_weights
from cvl.ops.weights.pulling import (
    check_repo,
    check_url,
    is_url_missing,
    pull_repo,
    pull_url,
    tell_license,
)
from cvl.ops.weights.resolving import RepoFiles, resolve_need
from cvl.ops.weights.vetting import vet
from cvl.store.hub_cache import folder_of

FILES = "files"
"""Folder of the view for weights that are no repos."""


class StepWeights:
    """Resolved when first asked for their identities, which may need the hub the first time that a
    repo is used; downloaded by `get`."""

    def __init__(
        self,
        session: Session,
        manifest: ModelManifest,
        values: Mapping[str, Any],
        options: Options,
    ) -> None:
        self._session = session
        self._example = manifest.name
        self._needs = needs_of(manifest, values)
        self._own = options.weights
        self._loras = options.loras if manifest.loras else ()
        self._commits = options.commits
        own, loras = options.weights, bool(options.loras)
        self.license = terms_of(manifest, parts_of(manifest, values, own, loras=loras))

    @property
    def identities(self) -> tuple[str, ...]:
        own = (lora_identity(lora.sha256, scale) for lora, scale in self._read_loras)
        return (*(_identity(item) for item in self._resolved), *own)

    @cached_property
    def _read_loras(self) -> list[tuple[OwnWeights, float]]:
        return [(own_lora(self._session, lora.path), lora.scale) for lora in self._loras]

    @cached_property
    def _resolved(self) -> list[RepoFiles | OwnWeights | UrlNeed]:
        return [self._resolve(need) for need in self._needs]

    def _resolve(self, need: Need) -> RepoFiles | OwnWeights | UrlNeed:
        asked = need.asked if isinstance(need, RepoNeed) else need.name
        if asked in self._own:
            return own_weights(self._session, asked, self._own[asked])
        if isinstance(need, UrlNeed):
            return need
        return resolve_need(self._session, self._at_commit(need))

    def _at_commit(self, need: RepoNeed) -> RepoNeed:
        """A file may say which commit it was made with. Only one that was used here before is
        taken: anybody can add commits to a repo, and write files that name them."""
        commit = self._commits.get(need.repo)
        if commit is None:
            return need
        if self._session.pins.of(need.repo).listing(commit) is None:
            self._session.report.warning(
                f"it was made with {need.repo} at {commit[:12]}, which is not known here: cvl uses "
                "the commit that is pinned"
            )
            return need
        return replace(need, revision=commit)

    def check(self) -> None:
        """What can be known before anything is built: weights that are missing offline, gated, or
        too large for the disk."""
        for item in self._resolved:
            if isinstance(item, RepoFiles):
                check_repo(self._session, item)
            elif isinstance(item, UrlNeed):
                check_url(self._session, item)

    def tell_license(self) -> None:
        """Before some of them are downloaded."""
        if any(_is_missing(self._session, item) for item in self._resolved):
            tell_license(self._session, self._example, self.license)

    @contextmanager
    def get(self) -> Iterator[WeightsView]:
        """Download what is missing, and say where everything is; while the block lasts, nobody
        deletes it. Raises WeightsError, DiskFullError."""
        with ExitStack() as stack:
            used = [item for item in self._resolved if not isinstance(item, OwnWeights)]
            leases = [stack.enter_context(in_use(self._session, item)) for item in used]
            yield self._view(tuple(leases))

    def _view(self, leases: tuple[str, ...]) -> WeightsView:
        view = WeightsView({}, {}, {}, leases=leases)
        for item, need in zip(self._resolved, self._needs, strict=True):
            if isinstance(item, RepoFiles):
                pull_repo(self._session, item)
                present = item.presence(self._session).present
                vet(self._session, item.need.repo, need.format, present)
                _show_repo(view, item, present)
            elif isinstance(item, OwnWeights):
                vet(self._session, item.asked, need.format, item.named)
                _show_own(view, item)
            else:
                file = pull_url(self._session, item)
                vet(self._session, item.url, need.format, {item.name: file})
                place = f"{FILES}/{item.name}"
                view.files[place] = str(file)
                view.paths[item.name] = place
        return self._with_loras(view)

    def _with_loras(self, view: WeightsView) -> WeightsView:
        """Under names that say no more than their place in the order."""
        loras = []
        for index, (lora, scale) in enumerate(self._read_loras):
            vet(self._session, "--lora", "safetensors", lora.named)
            place = f"{FILES}/lora-{index}{lora.file.suffix if lora.file else ''}"
            view.files[place] = str(lora.file)
            loras.append((place, scale))
        return replace(view, loras=tuple(loras))


def _is_missing(session: Session, item: RepoFiles | OwnWeights | UrlNeed) -> bool:
    if isinstance(item, RepoFiles):
        return not item.presence(session).complete
    return isinstance(item, UrlNeed) and is_url_missing(session, item)


def _identity(item: RepoFiles | OwnWeights | UrlNeed) -> str:
    return content_identity(item.sha256) if isinstance(item, UrlNeed) else item.identity


def _show_repo(view: WeightsView, files: RepoFiles, present: Mapping[str, Path]) -> None:
    """As a hub cache that has this one commit, which is also what `main` is there."""
    repo = folder_of(files.need.asked)
    snapshot = f"{repo}/snapshots/{files.commit}"
    for path, place in present.items():
        view.files[f"{snapshot}/{path}"] = str(place)
    for revision in {"main", files.need.revision}:
        view.texts[f"{repo}/refs/{revision}"] = files.commit
    view.paths[files.need.asked] = snapshot


def _show_own(view: WeightsView, own: OwnWeights) -> None:
    if own.file:
        place = f"{FILES}/{own.file.name}"
        view.files[place] = str(own.file)
        view.paths[own.asked] = place
        return
    repo = folder_of(own.asked)
    snapshot = f"{repo}/snapshots/{own.sha256[:40]}"
    for path, file in own.files.items():
        view.files[f"{snapshot}/{path}"] = str(file)
    view.texts[f"{repo}/refs/main"] = own.sha256[:40]
    view.paths[own.asked] = snapshot
