"""What reaches out: the model cache and its token, proxies, certificate authorities."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.facts import BundleFact, MachineFacts, OwnershipFact
from cvl.core.doctor.finding import Finding

LOOPBACK = ("localhost", "127.", "[::1]")


def about_models(facts: MachineFacts) -> Iterator[Finding]:
    """The Hugging Face cache, which is shared with everything else that you run."""
    for place in facts.ownership:
        yield from _foreign(facts, place)
    models = facts.models
    if not models.hub:
        return
    token = (
        f"a token is set ({models.token})"
        if models.token
        else "no token (gated models ask for one)"
    )
    yield Finding("models", "ok", "model_cache", f"models are kept in {models.hub}; {token}")
    if models.offline:
        text = "HF_HUB_OFFLINE is set: models that are not here yet cannot be fetched"
        yield Finding("models", "info", "offline", text, "unset HF_HUB_OFFLINE")


def _foreign(facts: MachineFacts, place: OwnershipFact) -> Iterator[Finding]:
    """Files of other users: a container that ran as root leaves them. Root minds no owners, and a
    folder that is not yours is told of already."""
    above = [f for f in facts.folders if f.path == place.path and f.owner != facts.system.uid]
    if not place.foreign or above or facts.system.uid == 0:
        return
    least = "" if place.complete else "at least "
    text = f"{least}{place.foreign} files in {place.path} ({place.what}) are not yours"
    text += f", like {place.example}"
    uid = facts.system.uid
    commands = (f"sudo chown -R {uid} {place.path}",)
    remedy = "if nobody shares them with you, give them to yourself"
    if place.what == "models":
        yield Finding("models", "warning", "files_not_yours", text, remedy, commands)
    else:
        yield Finding("cvl", "error", "files_not_yours", text, remedy, commands)


def about_network(facts: MachineFacts) -> Iterator[Finding]:
    """Proxies and bundles: what builds and runs with a network get of them."""
    for proxy in facts.proxies:
        yield Finding("network", "ok", "proxy", f"{proxy.name} is {proxy.value}")
        host = proxy.value.partition("://")[2] or proxy.value
        if proxy.name.upper() != "NO_PROXY" and host.startswith(LOOPBACK):
            text = f"{proxy.name} is on this machine's loopback, which containers cannot reach"
            remedy = "build in the host's network, or name the proxy by the machine's address"
            commands = ("export CVL_BUILD_NETWORK=host",)
            yield Finding("network", "warning", "proxy_loopback", text, remedy, commands)
    for bundle in facts.bundles:
        yield _bundle(bundle)
    yield from _unpassed(facts)


def _bundle(bundle: BundleFact) -> Finding:
    name = f"{bundle.source} ({bundle.path})"
    if bundle.problem:
        text = f"{name} is no bundle of certificates: {bundle.problem}"
        remedy = "give a PEM file with the authorities that you trust, or unset it"
        return Finding("network", "error", "ca_bundle_bad", text, remedy)
    plural = "y" if bundle.certificates == 1 else "ies"
    text = f"{name} has {bundle.certificates} certificate authorit{plural}"
    if bundle.used:
        text += "; builds and runs with a network get it"
    return Finding("network", "ok", "ca_bundle", text)


def _unpassed(facts: MachineFacts) -> Iterator[Finding]:
    """A machine with its own authorities needs them inside builds as well."""
    if any(bundle.used for bundle in facts.bundles):
        return
    good = [bundle for bundle in facts.bundles if not bundle.problem]
    if good:
        text = f"builds do not get the certificate authorities of {good[0].path}"
        remedy = "if a proxy here signs anew what passes it, give them to builds too:"
        commands = (f"export CVL_CA_BUNDLE={good[0].path}",)
        yield Finding("network", "info", "ca_bundle_unused", text, remedy, commands)
    elif any(proxy.name.upper() == "HTTPS_PROXY" for proxy in facts.proxies):
        text = "an HTTPS proxy is set and no CA bundle: where it signs anew what passes it, pip"
        text += " and apt in builds fail with CERTIFICATE_VERIFY_FAILED"
        remedy = "then get the bundle of your company, and"
        commands = ("export CVL_CA_BUNDLE=/path/to/company.pem",)
        yield Finding("network", "warning", "proxy_without_ca_bundle", text, remedy, commands)
