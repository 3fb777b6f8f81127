"""Seeds as text: `7`, `1..8`, `1,5,9` and mixes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from cvl.core.names import printable
from cvl.errors import InputError, UsageError

MAX_SEED = 2**31 - 1
MAX_COUNT = 1000
PART = re.compile(r"([0-9]{1,18})(?: *\.\. *([0-9]{1,18}))?")
FORMS = "give a number, a range like 1..8, or a list like 1,5,9"


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text names, in its order; ranges include both ends.

    Raises InputError for anything else, a seed named twice, and more than MAX_COUNT of them.
    """
    seeds: list[int] = []
    for part in text.split(","):
        named = _range(part.strip(), text)
        if len(seeds) + len(named) > MAX_COUNT:
            raise InputError(
                f"--seed names more than {MAX_COUNT} seeds", hint="run it in several goes"
            )
        seeds += named
    twice = next((a for a, b in pairwise(sorted(seeds)) if a == b), None)
    if twice is not None:
        raise InputError(f"--seed names {twice} twice", hint="name each seed once")
    return tuple(seeds)


def _range(part: str, text: str) -> range:
    match = PART.fullmatch(part)
    if match is None:
        raise InputError(f"--seed is {printable(text, 60)!r}", hint=_hint(part))
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise InputError(f"--seed {part} runs backwards", hint=f"did you mean {last}..{first}?")
    if last > MAX_SEED:
        raise InputError(f"--seed is {last}", hint=f"it must be between 0 and {MAX_SEED}")
    return range(first, last + 1)


def _hint(part: str) -> str:
    if re.fullmatch(r"-[0-9]+", part):
        return f"it must be between 0 and {MAX_SEED}; leave it out for any"
    dashed = re.fullmatch(r"([0-9]{1,10}) *(?:-|:|\.|\.\.\.|…) *([0-9]{1,10})", part)
    return f"did you mean {dashed[1]}..{dashed[2]}?" if dashed else FORMS


def variation_seeds(
    named: Sequence[int], count: int | None, draw: Callable[[], int]
) -> tuple[int, ...]:
    """A seed for each variation; none at all when neither seeds nor a count were asked for. With a
    count alone, distinct ones are drawn.

    Raises UsageError when both ask for several, InputError past MAX_SEED.
    """
    if count is None:
        return tuple(named)
    if len(named) > 1:
        raise UsageError(
            f"--count {count} and {len(named)} seeds say different things",
            hint="leave --count out, or give --seed the first one alone",
        )
    if named:
        last = named[0] + count - 1
        if last > MAX_SEED:
            raise InputError(f"the last seed would be {last}", hint=f"{MAX_SEED} is the most")
        return tuple(range(named[0], last + 1))
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[draw()] = None
    return tuple(drawn)


def show_seeds(seeds: Sequence[int]) -> str:
    """In the form that `parse_seeds` takes, in order of size: `1..3,7`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}..{b}" for a, b in runs)
