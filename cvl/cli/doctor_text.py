"""The findings of `cvl doctor` as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from cvl.core.doctor.finding import Finding, Severity, Topic
from cvl.core.names import one_line

WIDTH = 80
INDENT = " " * 9
TITLES: dict[Topic, str] = {
    "cvl": "cvl",
    "engine": "Container engine",
    "gpu": "GPU",
    "disk": "Disks",
    "models": "Models",
    "network": "Network",
}
LABELS: dict[Severity, str] = {"ok": "ok", "info": "note", "warning": "warn", "error": "ERROR"}


def report(findings: Sequence[Finding]) -> str:
    """Topic by topic. No line is longer than 80 characters but a command or a path that is: those
    are to be copied."""
    lines: list[str] = []
    for topic, title in TITLES.items():
        found = [finding for finding in findings if finding.topic == topic]
        if found:
            lines += [title, *(line for finding in found for line in _lines(finding)), ""]
    return "\n".join(lines[:-1])


def _lines(finding: Finding) -> Iterable[str]:
    yield from _wrapped(finding.what, f"  {LABELS[finding.severity]:<7}")
    if finding.remedy:
        yield from _wrapped(finding.remedy, f"{INDENT}-> ", f"{INDENT}   ")
    for command in finding.commands:
        yield f"{INDENT}$ {one_line(command)}"


def _wrapped(text: str, first: str, then: str = INDENT) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def summary(findings: Sequence[Finding]) -> str:
    """How many of what: one line."""
    counts = {
        name: sum(finding.severity == severity for finding in findings)
        for severity, name in (("error", "error"), ("warning", "warning"))
    }
    told = [f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count]
    return ", ".join(told) or "this machine is ready"
