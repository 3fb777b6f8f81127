"""One pickle, opcode by opcode, with a stack of what matters alone: which name lies where. Nothing
is made of it, long values are passed over, and what is not on the list ends it.

A name reaches the stack by GLOBAL, or by STACK_GLOBAL from two strings that are written there; it
is called by REDUCE and NEWOBJ. Only what is a name from the list may be called, and it may not be
changed, so a pickle that passes can do no more than call these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from cvl.core.names import printable
from cvl.core.pickles.allowed import ALLOWED, PARTS

DEEPEST = 1_000_000
LONGEST_LINE = 1 << 20
LONGEST_NAME = 256
OTHER_NAMES = 10_000
"""Strings that are remembered although no allowed name has them: to say what was wanted."""
CHUNK = 1 << 16
NEWEST = 5


class Refused(ValueError):
    """Loading would run what is not allowed. `what`: its name, or what is wrong."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class NoPickle(Refused):
    """Loading fails at this place, and nothing was run until then that is not allowed: what is
    named like a pickle and is none ends so."""


@dataclass(frozen=True)
class Name:
    """`module name` from the list."""

    text: str


class _Mark:
    pass


MARK = _Mark()
Value = Name | str | _Mark | None
"""None: some value that is neither a name nor a string that might become one."""


class Source:
    """`stream` from where it is, `left` bytes of it, read in chunks."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream = stream
        self._left = left
        self._chunk = b""
        self._at = 0
        self.passed = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._chunk) and not self._fill()

    def byte(self) -> int:
        if self._at >= len(self._chunk) and not self._fill():
            raise NoPickle("an end in the middle")
        self._at += 1
        self.passed += 1
        return self._chunk[self._at - 1]

    def read(self, size: int) -> bytes:
        """Of a few bytes."""
        part = self._chunk[self._at : self._at + size]
        if len(part) < size:
            return bytes(self.byte() for _ in range(size))
        self._at += size
        self.passed += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.read(size), "little")

    def skip(self, size: int) -> None:
        """Without keeping them."""
        self.passed += size
        there = min(size, len(self._chunk) - self._at)
        self._at += there
        size -= there
        if size > self._left:
            raise NoPickle("an end in the middle")
        if size:
            self._stream.seek(size, 1)
            self._left -= size

    def line(self) -> bytes:
        """Up to a newline, which is not part of it."""
        line = bytearray()
        while (byte := self.byte()) != 0x0A:
            line.append(byte)
            if len(line) > LONGEST_LINE:
                raise Refused("a line without end")
        return bytes(line)

    def _fill(self) -> bool:
        self._chunk, self._at = self._stream.read(min(CHUNK, self._left)), 0
        self._left -= len(self._chunk)
        return bool(self._chunk)


class Machine:
    """Follows one pickle from its first opcode to its STOP."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.memoized = 0
        self.put = False

    def run(self) -> None:
        """Raises Refused."""
        while True:
            code = self.source.byte()
            if code == STOP:
                self.pop()
                return
            step = STEPS.get(code)
            if step is None:
                raise _refusal(code)
            step(self)
            if len(self.stack) > DEEPEST:
                raise Refused("a stack without end")

    def push(self, value: Value = None) -> None:
        self.stack.append(value)

    def pop(self) -> Value:
        value = self.top()
        self.stack.pop()
        return value

    def top(self) -> Value:
        if not self.stack or self.stack[-1] is MARK:
            raise NoPickle("a value that is not there")
        return self.stack[-1]

    def pop_to_mark(self) -> None:
        while self.stack:
            if self.stack.pop() is MARK:
                return
        raise NoPickle("a mark that is not there")

    def changed(self) -> None:
        """What lies on top is about to be changed: names are not to be."""
        target = self.top()
        if isinstance(target, Name):
            raise Refused(f"a change of {target.text.replace(' ', '.')}")

    def called(self) -> None:
        """The arguments and what is called are on top."""
        self.pop()
        target = self.pop()
        if not isinstance(target, Name):
            raise Refused("a call of something that has no name")
        self.push()

    def name(self, module: str, name: str) -> None:
        text = f"{module} {name}"
        if text not in ALLOWED:
            raise Refused(printable(f"{module}.{name}", 120))
        self.push(Name(text))

    def text(self, size: int) -> None:
        """A string of `size` bytes of UTF-8."""
        if size > LONGEST_NAME:
            self.source.skip(size)
            self.push()
        else:
            self.push(self.source.read(size).decode("utf-8", "replace"))

    def remember(self, place: int) -> None:
        value = self.top()
        known = isinstance(value, Name) or value in PARTS or len(self.memo) < OTHER_NAMES
        if known and value is not None:
            self.memo[place] = value
        else:
            self.memo.pop(place, None)


def _refusal(code: int) -> Refused:
    known = REFUSED.get(code)
    return Refused(known) if known else NoPickle(f"the unknown opcode {code:#04x}")


def _global(machine: Machine) -> None:
    module, name = machine.source.line(), machine.source.line()
    machine.name(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise Refused("a name that is not written down but made")
    machine.name(module, name)


def _put(machine: Machine, place: int) -> None:
    if machine.memoized:
        raise Refused("two ways to remember at once")
    machine.put = True
    machine.remember(place)


def _memoize(machine: Machine) -> None:
    if machine.put:
        raise Refused("two ways to remember at once")
    machine.remember(machine.memoized)
    machine.memoized += 1


def _decimal(machine: Machine) -> int:
    line = machine.source.line()
    if not line.isdigit() or len(line) > 9:
        raise Refused("a place that is no number")
    return int(line)


def _protocol(machine: Machine) -> None:
    if machine.source.byte() > NEWEST:
        raise NoPickle("a protocol that is not known")


def _pop(machine: Machine) -> None:
    if not machine.stack:
        raise NoPickle("a value that is not there")
    machine.stack.pop()


def _line_value(machine: Machine) -> None:
    machine.source.line()
    machine.push()


def _made_of_marked(machine: Machine) -> None:
    machine.pop_to_mark()
    machine.push()


def _marked_into(machine: Machine) -> None:
    machine.pop_to_mark()
    machine.changed()


def _into(count: int) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        for _ in range(count):
            machine.pop()
        machine.changed()

    return step


def _made_of(count: int) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        for _ in range(count):
            machine.pop()
        machine.push()

    return step


def _fixed(size: int) -> Callable[[Machine], None]:
    """A value of `size` bytes."""

    def step(machine: Machine) -> None:
        machine.source.skip(size)
        machine.push()

    return step


def _counted(size: int) -> Callable[[Machine], None]:
    """A value whose length is said in `size` bytes before it. Those that are signed are no longer
    than the file when they are read without a sign: too long, then."""

    def step(machine: Machine) -> None:
        machine.source.skip(machine.source.number(size))
        machine.push()

    return step


STOP = ord(".")
STEPS: dict[int, Callable[[Machine], None]] = {
    ord("("): lambda m: m.push(MARK),
    ord("0"): _pop,
    ord("1"): lambda m: m.pop_to_mark(),
    ord("2"): lambda m: m.push(m.top()),
    **dict.fromkeys(b"FILSV", _line_value),
    **dict.fromkeys(b"N\x88\x89)]}\x8f", _fixed(0)),
    ord("K"): _fixed(1),
    ord("M"): _fixed(2),
    ord("J"): _fixed(4),
    ord("G"): _fixed(8),
    **dict.fromkeys(b"UC\x8a", _counted(1)),
    **dict.fromkeys(b"TB\x8b", _counted(4)),
    **dict.fromkeys(b"\x8e\x96", _counted(8)),
    0x8C: lambda m: m.text(m.source.number(1)),
    ord("X"): lambda m: m.text(m.source.number(4)),
    0x8D: lambda m: m.text(m.source.number(8)),
    **dict.fromkeys(b"tld\x91", _made_of_marked),
    0x85: _made_of(1),
    0x86: _made_of(2),
    0x87: _made_of(3),
    ord("Q"): _made_of(1),
    ord("a"): _into(1),
    ord("s"): _into(2),
    ord("b"): _into(1),
    **dict.fromkeys(b"eu\x90", _marked_into),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): lambda m: m.called(),
    0x81: lambda m: m.called(),
    ord("p"): lambda m: _put(m, _decimal(m)),
    ord("q"): lambda m: _put(m, m.source.number(1)),
    ord("r"): lambda m: _put(m, m.source.number(4)),
    0x94: _memoize,
    ord("g"): lambda m: m.push(m.memo.get(_decimal(m))),
    ord("h"): lambda m: m.push(m.memo.get(m.source.number(1))),
    ord("j"): lambda m: m.push(m.memo.get(m.source.number(4))),
    0x80: _protocol,
    0x95: lambda m: m.source.skip(8),
}
REFUSED = {
    ord("i"): "INST, a call that weights have no use for",
    ord("o"): "OBJ, a call that weights have no use for",
    0x92: "NEWOBJ_EX, a call that weights have no use for",
    **dict.fromkeys(b"\x82\x83\x84", "EXT, a name from a registry that is not in the file"),
    ord("P"): "PERSID, a text that stands for something outside of the file",
    **dict.fromkeys(b"\x97\x98", "a buffer that is not in the file"),
}
