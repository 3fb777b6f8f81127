"""What the environment says of the network and of models: proxies, certificate authorities, the
Hugging Face cache. Passwords and tokens are never part of an answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cvl.core.doctor.facts import BundleFact, ModelCacheFacts, ProxyFact
from cvl.machine.authorities import count_authorities, proxy_names

BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
TRUE = ("1", "true", "yes", "on")


def read_proxies(environment: Mapping[str, str]) -> tuple[ProxyFact, ...]:
    """Each proxy once, the upper-case spelling first."""
    found: dict[str, ProxyFact] = {}
    for name in proxy_names(environment):
        found.setdefault(name.upper(), ProxyFact(name, _shown(name, environment[name])))
    return tuple(found.values())


def _shown(name: str, value: str) -> str:
    """An address without name and password; what is no address is not shown at all."""
    if name.upper() == "NO_PROXY":
        return value
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "unreadable"
    except ValueError:
        return "unreadable"


def read_bundles(environment: Mapping[str, str], given: str) -> tuple[BundleFact, ...]:
    """Bundles that are named, each file once. given: the one that cvl passes on."""
    sources: dict[str, list[str]] = {}
    if given:
        sources[given] = ["ca_bundle"]
    for name in BUNDLES:
        path = environment.get(name)
        if path:
            sources.setdefault(path, []).append(name)
    return tuple(_bundle(", ".join(names), path, path == given) for path, names in sources.items())


def _bundle(source: str, path: str, used: bool) -> BundleFact:
    count, problem = count_authorities(Path(path))
    return BundleFact(source, path, count, problem, used)


def read_model_cache(environment: Mapping[str, str]) -> ModelCacheFacts:
    """Where huggingface_hub keeps models, by its own rules."""
    home = environment.get("HF_HOME") or os.path.join(
        environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface"
    )
    home = os.path.expanduser(home)
    hub = environment.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    offline = environment.get("HF_HUB_OFFLINE", "").lower() in TRUE
    return ModelCacheFacts(
        os.path.abspath(os.path.expanduser(hub)), offline, _token(environment, home)
    )


def _token(environment: Mapping[str, str], home: str) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(name):
            return name
    path = environment.get("HF_TOKEN_PATH") or os.path.join(home, "token")
    try:
        return path if os.path.getsize(path) > 0 else ""
    except OSError:
        return ""
