"""The machine's own certificate authorities and proxies. Every run loads this: it stays small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def proxy_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The proxy variables that are set, as they are spelled: programs read the one or the other."""
    spellings = [spelling for name in PROXIES for spelling in (name, name.lower())]
    return tuple(name for name in spellings if environment.get(name))


def count_authorities(path: Path) -> tuple[int, str]:
    """How many certificates a PEM file holds, and what is wrong with it, if anything."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return 0, "it holds no certificate in PEM format"
    except OSError as error:
        return 0, error.strerror or "it cannot be read"
    count = context.cert_store_stats()["x509"]
    return count, "" if count else "it holds no certificate in PEM format"
