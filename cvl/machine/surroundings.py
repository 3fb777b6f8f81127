"""What the environment says of the network and of models: proxies, certificate authorities, the
Hugging Face cache. Passwords and tokens are never part of an answer."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cvl.core.doctor.facts import BundleFact, ModelCacheFacts, ProxyFact

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
TRUE = ("1", "true", "yes", "on")


def proxy_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The proxy variables that are set, as they are spelled: programs read the one or the other."""
    spellings = [spelling for name in PROXIES for spelling in (name, name.lower())]
    return tuple(name for name in spellings if environment.get(name))


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


def count_authorities(path: Path) -> tuple[int, str]:
    """How many certificates a PEM file holds, and what is wrong with it, if anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return 0, "it holds no certificate in PEM format"
    except OSError as error:
        return 0, error.strerror or "it cannot be read"
    count = context.cert_store_stats()["x509"]
    return count, "" if count else "it holds no certificate in PEM format"


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
