"""Secrets taken out of text by their values, in whatever spelling a program is likely to print
them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from cvl.errors import InputError

SHORTEST = 6
"""Characters of the shortest value that can be told from ordinary text."""
_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(?:API|ACCESS|PRIVATE)?_?KEY)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Does a variable of this name hold a secret, as far as its name says?"""
    return _NAME.search(name) is not None


def given_secrets(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Values of the declared secrets that the environment has. InputError for one that is too short
    to be kept out of logs: it could not be told from other text."""
    found = {name: environment[name] for name in names if environment.get(name)}
    for name, value in found.items():
        if len(value.strip()) < SHORTEST:
            raise InputError(
                f"{name} has less than {SHORTEST} characters: too short to be kept out of logs",
                hint=f"unset {name}, or give the whole key",
            )
    return found


# What credential helpers of docker clients and package indexes are told with.
_OF_CLIENTS = ("AWS_", "AZURE_", "GOOGLE_", "DOCKER_", "BUILDX_", "BUILDKIT_", "UV_", "PIP_")


def without_secrets(environment: Mapping[str, str], declared: Iterable[str] = ()) -> dict[str, str]:
    """The environment for a program that cvl starts: nothing that its name or an example declares
    to be a secret, but for those that docker clients and package indexes need themselves."""
    named = frozenset(declared)
    return {
        name: value
        for name, value in environment.items()
        if name not in named and (name.startswith(_OF_CLIENTS) or not is_secret_name(name))
    }


def passwords_in(addresses: Iterable[str]) -> dict[str, str]:
    """Name and password of each address that has them (`http://user:password@proxy:3128`), as one
    and the password alone, as written and decoded; those too short to be told apart are left."""
    found: dict[str, str] = {}
    for address in addresses:
        try:
            parts = urlsplit(address if "://" in address else f"http://{address}")
        except ValueError:
            continue
        written = parts.password or ""
        for value in (parts.netloc.rpartition("@")[0], written, unquote(written)):
            if written and len(value) >= SHORTEST:
                found[f"password {len(found) + 1}"] = value
    return found


def without_passwords(addresses: Mapping[str, str]) -> dict[str, str]:
    """Those of the addresses that name no password."""
    return {name: value for name, value in addresses.items() if "@" not in value}


@dataclass(frozen=True)
class Redaction:
    """values: name -> secret."""

    values: Mapping[str, str]

    @cached_property
    def _names(self) -> dict[bytes, str]:
        """Spelling -> what stands in its place."""
        found: dict[bytes, str] = {}
        for name, value in self.values.items():
            for form in _spellings(value):
                found.setdefault(form, f"[{name}]")
        return found

    @cached_property
    def _pattern(self) -> re.Pattern[bytes] | None:
        """Longest first: one spelling may begin with another."""
        forms = sorted(self._names, key=len, reverse=True)
        return re.compile(b"|".join(map(re.escape, forms))) if forms else None

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._names), default=0)

    @cached_property
    def _by_first(self) -> dict[int, list[bytes]]:
        """Spellings by their first byte: most of what a stream ends with begins none."""
        found: dict[int, list[bytes]] = {}
        for form in self._names:
            found.setdefault(form[0], []).append(form)
        return found

    def hide_bytes(self, data: bytes) -> bytes:
        """`data` with the name of each secret in the place of its value."""
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda match: self._names[match.group()].encode(), data)

    def hide(self, text: str) -> str:
        """The same for text, also where its end was cut off in the middle of a secret."""
        if self._pattern is None:
            return text
        data = self.hide_bytes(text.encode(errors="surrogatepass"))
        held = self._begun(data)
        if held >= SHORTEST:
            data = data[:-held] + b"[cut off]"
        return data.decode(errors="surrogatepass")

    def hide_all(self, value: Any) -> Any:
        """The same for every text in a JSON value, keys included."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list):
            return [self.hide_all(item) for item in value]
        if isinstance(value, dict):
            return {self.hide(str(key)): self.hide_all(item) for key, item in value.items()}
        return value

    def stream(self, write: Callable[[bytes], None]) -> RedactedStream:
        """A stream of bytes that go on to `write`."""
        return RedactedStream(self, write)

    def _begun(self, data: bytes) -> int:
        """How many bytes at the end of `data` may be the beginning of a secret."""
        for size in range(min(self._longest - 1, len(data)), 0, -1):
            forms = self._by_first.get(data[-size], ())
            tail = data[-size:]
            if any(form.startswith(tail) for form in forms):
                return size
        return 0


class RedactedStream:
    """Bytes in pieces of any size: what may be the beginning of a secret waits for the next one."""

    def __init__(self, redaction: Redaction, write: Callable[[bytes], None]) -> None:
        self._redaction = redaction
        self._write = write
        self._held = b""

    def write(self, chunk: bytes) -> None:
        """Pass on what is surely no part of a secret."""
        if not self._redaction.values:
            self._write(chunk)
            return
        data = self._redaction.hide_bytes(self._held + chunk)
        size = self._redaction._begun(data)
        self._held = data[len(data) - size :]
        if size < len(data):
            self._write(data[: len(data) - size])

    def close(self) -> None:
        """What is left: the end of what was said, or of a secret that was cut off."""
        held, self._held = self._held, b""
        if held:
            self._write(b"[cut off]" if len(held) >= SHORTEST else held)


def _spellings(value: str) -> Iterator[bytes]:
    """The value, its lines when it has several, and both as they look in JSON, in Python, in an
    address, in base64 and in hexadecimal."""
    lines = [line.strip() for line in value.splitlines()]
    for text in dict.fromkeys([value, value.strip(), *lines]):
        if len(text) < SHORTEST:
            continue
        raw = text.encode(errors="surrogateescape")
        yield raw
        for shown in (json.dumps(text)[1:-1], repr(text)[1:-1], quote(text, safe=""), quote(text),
                      quote_plus(text)):  # fmt: skip
            yield shown.encode(errors="surrogateescape")
        yield raw.hex().encode()
        yield from _in_base64(raw)


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What does not depend on the bytes before and after, at each of the three places that a value
    may begin at."""
    import base64

    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + raw)
            start = (before * 8 + 5) // 6
            form = text[start : (before + len(raw)) * 8 // 6]
            if len(form) >= SHORTEST:
                yield form
