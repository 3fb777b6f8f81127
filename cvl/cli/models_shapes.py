"""The data of `cvl models ... --json` as pydantic models, like shapes.py."""

from __future__ import annotations

from typing import Literal

from cvl.cli.shapes import Shape

WeightsState = Literal["missing", "partial", "complete"]


class ListedWeights(Shape):
    """Weights of one example. size: bytes of them that are here; needed: bytes of all of them, by
    what the hub said, or (known is false) by what the manifest says, 0 when it does not. revision
    is null for a file behind a URL, commit while nobody knows it; options: those without which no
    example needs them, null where one does."""

    example: str
    weights: str
    revision: str | None
    commit: str | None
    state: WeightsState
    size: int
    needed: int
    known: bool
    also_used_by: list[str]
    options: str | None


class OtherRepo(Shape):
    """A repo in the cache that no example within reach uses. size: bytes with what it shares."""

    repo: str
    kind: Literal["model", "dataset", "space"]
    size: int
    files: int


class LeftoverShape(Shape):
    """What a download has so far, or left. changed: seconds since the epoch."""

    name: str
    size: int
    changed: float


class ModelsListData(Shape):
    """cache: the hub cache; size: bytes of all of it and of cvl's own files from URLs, each file
    once. broken: examples whose manifests cannot be read."""

    cache: str
    size: int
    weights: list[ListedWeights]
    others: list[OtherRepo]
    leftovers: list[LeftoverShape]
    broken: list[str]


class FileShape(Shape):
    """unchecked: its download was cut off, or it was found wrong. verified: read and found right,
    and not changed since. pickle: loading it may run code."""

    path: str
    size: int
    state: Literal["present", "missing", "wrong_size", "unchecked"]
    verified: bool
    pickle: bool


class WeightsStatusShape(Shape):
    """since: when the revision was pinned to the commit (seconds since the epoch). No files while
    nobody knows which there should be. options: as in ListedWeights."""

    weights: str
    url: str | None
    revision: str | None
    commit: str | None
    since: float | None
    state: WeightsState
    size: int
    needed: int
    known: bool
    gated: bool
    pickle: bool
    used_by: list[str]
    options: str | None
    files: list[FileShape]


class ModelsStatusData(Shape):
    weights: list[WeightsStatusShape]


class MissingFile(Shape):
    path: str
    size: int


class WeightsLicense(Shape):
    """What an example says of its code and of these weights. commercial is null when it does not
    know whether commercial use is allowed."""

    example: str
    code: str
    weights: str
    commercial: bool | None


class PulledShape(Shape):
    """files: those that were missing; size: their bytes; fetched: they are here now. error and code
    say why not. licenses is empty where no example knows the weights. options: as in
    ListedWeights."""

    weights: str
    revision: str | None
    commit: str | None
    files: list[MissingFile]
    size: int
    fetched: bool
    licenses: list[WeightsLicense]
    options: str | None
    error: str | None
    code: str | None


class ModelsPullData(Shape):
    dry_run: bool
    weights: list[PulledShape]


class BadFileShape(Shape):
    path: str
    size: int
    trouble: Literal["missing", "wrong_size", "wrong_content", "unreadable"]


class VerifiedShape(Shape):
    """known: it is known which files there should be. extra: files that the commit does not have.
    hub_differs: of which the hub (--online) says other than cvl's lock."""

    weights: str
    commit: str | None
    sound: bool
    known: bool
    good: list[str]
    bad: list[BadFileShape]
    extra: list[str]
    hub_differs: list[str]


class ModelsVerifyData(Shape):
    weights: list[VerifiedShape]


class RepairedShape(VerifiedShape):
    """As verified after the repair. fetched: files, size: their bytes."""

    fetched: list[str]
    size: int


class ModelsRepairData(Shape):
    weights: list[RepairedShape]


class LockedShape(Shape):
    """new: there was no pin before. unknown: wanted files whose sha256 is known once they were
    read. size: bytes of the wanted files."""

    weights: str
    revision: str
    commit: str
    new: bool
    files: int
    size: int
    unknown: list[str]


class WrittenShape(Shape):
    """problem: why the manifest of this example was left as it is."""

    example: str
    weights: str
    commit: str
    problem: str | None


class ModelsLockData(Shape):
    weights: list[LockedShape]
    written: list[WrittenShape]


class ComparedShape(Shape):
    """old: the commit that is pinned; new: what the hub says now. to_fetch: bytes that are not
    here."""

    weights: str
    revision: str
    state: Literal["current", "outdated", "fixed", "not_pinned", "gone"]
    old: str | None
    new: str | None
    changed: list[str]
    removed: list[str]
    to_fetch: int
    problem: str | None


class ModelsComparedData(Shape):
    weights: list[ComparedShape]


class BundledShape(Shape):
    """revision and commit are null for a file behind a URL."""

    weights: str
    revision: str | None
    commit: str | None
    files: int
    size: int


class ModelsExportData(Shape):
    """size: bytes of the bundle."""

    path: str
    size: int
    weights: list[BundledShape]


class MovedShape(Shape):
    weights: str
    before: str


class ModelsImportData(Shape):
    """fetched: bytes that were not here yet. moved: pins that meant another commit before."""

    fetched: int
    weights: list[BundledShape]
    moved: list[MovedShape]


class RemovalShape(Shape):
    """size in bytes, without what other repos share; used_by: examples that would fetch it again;
    note: why it was left alone."""

    kind: Literal["repo", "revision", "leftover", "url"]
    name: str
    size: int
    why: str
    used_by: list[str]
    removed: bool
    note: str | None


class ModelsRemoveData(Shape):
    dry_run: bool
    items: list[RemovalShape]
    size: int
    freed: int
    notes: list[str]
