"""The model cache on disk, and the hub that fills it."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.about_engine import numbers
from cvl.core.doctor.facts import CacheFacts, MachineFacts
from cvl.core.doctor.finding import Finding

MB = 10**6
MOVE = ("export HF_HOME=/a/local/disk/huggingface",)


def about_hub(facts: MachineFacts) -> Iterator[Finding]:
    """Does it answer, and does it know the token?"""
    hub = facts.hub
    if not hub.endpoint:
        return
    if hub.problem is not None:
        code = "token_unknown" if hub.problem.code == "bad_token" else "hub_unreachable"
        remedy = hub.problem.hint or "check the network; HF_ENDPOINT names a mirror"
        yield Finding("models", "warning", code, hub.problem.message, remedy)
    else:
        known = " and knows your token" if hub.known else ""
        yield Finding("models", "ok", "hub", f"{hub.endpoint} answers{known}")


def about_cache(facts: MachineFacts) -> Iterator[Finding]:
    """Where it lies, whose it is, what lies around in it, and who writes to it."""
    cache = facts.cache
    if cache is None:
        return
    yield from _place(cache)
    yield from _owner(facts, cache)
    if cache.leftovers:
        plural = "s" if cache.leftovers != 1 else ""
        text = f"{cache.leftovers} unfinished download{plural} in {cache.folder.path}"
        text += f" ({cache.leftover_bytes / MB:,.1f} MB)"
        remedy = "what nobody writes to any more is removed by"
        yield Finding("models", "info", "leftovers", text, remedy, ("cvl models prune",))
    yield from _versions(cache)


def _place(cache: CacheFacts) -> Iterator[Finding]:
    if cache.remote:
        text = f"{cache.folder.path} is on {cache.file_system}: locks may not hold there, so that"
        text += " files are fetched twice (never wrong), and loading models takes long"
        yield Finding("models", "warning", "cache_remote", text, "keep it on a local disk", MOVE)


def _owner(facts: MachineFacts, cache: CacheFacts) -> Iterator[Finding]:
    folder, uid = cache.folder, facts.system.uid
    if not folder.writable:
        text = f"{folder.existing} cannot be written to: no models can be fetched into the cache"
        remedy, commands = "name another with HF_HOME", tuple[str, ...]()
        if folder.existing == folder.path:
            remedy += ", or, if it is to be yours"
            commands = (f"sudo chown -R {uid} {folder.path}",)
        yield Finding("models", "warning", "cache_not_writable", text, remedy, commands)
    elif folder.existing != folder.path or folder.owner == uid:
        return
    elif uid == 0:
        text = f"{folder.path} belongs to user {folder.owner}, and you are root: what you fetch"
        text += " will be root's"
        remedy = "run cvl as that user, or name another cache with HF_HOME"
        yield Finding("models", "warning", "cache_of_another", text, remedy)
    else:
        text = f"{folder.path} belongs to user {folder.owner}, who shares it with you"
        yield Finding("models", "info", "cache_shared", text)


def _versions(cache: CacheFacts) -> Iterator[Finding]:
    """Each version reads what the others wrote, but an older one does not know all of it."""
    versions = sorted({library.version for library in cache.libraries}, key=numbers)
    told = ", ".join(f"{library.version} ({library.place})" for library in cache.libraries)
    if cache.shared and len(versions) > 1:
        text = f"several versions of huggingface_hub use this cache: {told}; older ones do not know"
        text += " the files that repos share in it, and count and delete them wrongly"
        remedy = f"give them {versions[-1]} too, in their requirements"
        yield Finding("models", "warning", "hub_versions", text, remedy)
    elif len(versions) > 1:
        text = f"several versions of huggingface_hub use this cache: {told}"
        yield Finding("models", "info", "hub_versions", text)
    elif cache.listed and cache.unlisted:
        text = f"{cache.unlisted} of {cache.listed + cache.unlisted} repos came without a list of"
        text += " their files, from an older huggingface_hub or file by file"
        remedy = "what an example uses of them is noted by"
        yield Finding("models", "info", "hub_versions", text, remedy, ("cvl models lock",))
