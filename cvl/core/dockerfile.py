"""A Dockerfile whose RUN lines see a bundle of certificate authorities that the image never holds.

The bundle is a BuildKit secret, mounted for as long as a RUN line works; variables say where. They
are build arguments: a variable that the base image sets itself (ENV) wins over them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cvl.core.redaction import is_secret_name

BUNDLE, APT = "cvl_ca", "cvl_apt"
SECRETS = "/run/secrets"
BUNDLE_PATH = f"{SECRETS}/{BUNDLE}"
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)  # fmt: skip
APT_CONFIG = f'Acquire::https::CaInfo "{BUNDLE_PATH}";\n'
"""apt reads no variable for it, but one that names one more file of settings."""

_MOUNTS = " ".join(f"--mount=type=secret,id={name},mode=0444" for name in (BUNDLE, APT))
_ARGS = [f"ARG {name}={BUNDLE_PATH}" for name in BUNDLE_VARIABLES]
_ARGS.append(f"ARG APT_CONFIG={SECRETS}/{APT}")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)([\"']?)([A-Za-z_]\w*)\2(?=\s|$)")
_RUN = re.compile(r"(\s*RUN)(?=\s|\\|$)", re.IGNORECASE)


def with_authorities(text: str) -> str:
    """The Dockerfile with the secret mounted in each RUN of each stage; nothing else is changed."""
    lines: list[str] = []
    for keyword, instruction in _instructions(text.splitlines()):
        if keyword == "RUN":
            first = _RUN.sub(lambda match: f"{match.group(1)} {_MOUNTS}", instruction[0], count=1)
            instruction = [first, *instruction[1:]]
        lines += instruction
        if keyword == "FROM":
            lines += _ARGS
    return "\n".join(lines) + "\n"


def secret_names(text: str) -> list[tuple[int, str, str]]:
    """(line, ARG or ENV, name) of each variable that by its name holds a secret: its value would be
    in the image for everybody who has that."""
    found: list[tuple[int, str, str]] = []
    number = 1
    for keyword, instruction in _instructions(text.splitlines()):
        if keyword in ("ARG", "ENV"):
            words = " ".join(instruction).split()[1:]
            if keyword == "ENV" and words and "=" not in words[0]:
                words = words[:1]  # ENV NAME any words
            names = [word.partition("=")[0] for word in words]
            found += [(number, keyword, name) for name in names if is_secret_name(name)]
        number += len(instruction)
    return found


def _instructions(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each instruction with all its lines, here-documents included; what lies between them is one
    of its own, without a keyword."""
    escape = _escape(lines)
    index = 0
    while index < len(lines):
        start = index
        words = lines[index].split(None, 1)
        if not words or words[0].startswith("#"):
            yield "", [lines[index]]
            index += 1
            continue
        index = _end(lines, index, escape)
        keyword = words[0].upper().rstrip(escape)
        if keyword in ("RUN", "COPY", "ADD"):
            index = _after_heredocs(lines, start, index)
        yield keyword, lines[start:index]


def _escape(lines: list[str]) -> str:
    """What a line ends with that goes on; a comment at the very top may name another."""
    for line in lines:
        if not line.lstrip().startswith("#"):
            break
        match = _ESCAPE.fullmatch(line.strip())
        if match:
            return match.group(1)
    return "\\"


def _end(lines: list[str], index: int, escape: str) -> int:
    """The line after an instruction; comments and empty lines within it do not end it."""
    while index < len(lines):
        line = lines[index].strip()
        index += 1
        goes_on = line.endswith(escape) or not line or line.startswith("#")
        if not goes_on:
            break
    return index


def _after_heredocs(lines: list[str], start: int, index: int) -> int:
    """Past the here-documents that the lines name; one without an end is none."""
    for dash, _, name in _HEREDOC.findall("\n".join(lines[start:index])):
        for place in range(index, len(lines)):
            line = lines[place].lstrip("\t") if dash else lines[place]
            if line == name:
                index = place + 1
                break
    return index
