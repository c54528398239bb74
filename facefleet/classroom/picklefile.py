"""Plain data out of a pickle, none of whose code is run: `pickle.load` would do whatever the file says.

A machine of our own reads the opcodes that lists, dicts, texts, numbers and numpy's arrays are written with, in
protocols 0 to 5; names of functions are names to it. Anything else is an error that says what stands there:
https://docs.python.org/3/library/pickle.html#module-pickle and pickletools' own text on the opcodes.
"""

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from facefleet.classroom.picklednumpy import Symbol, built, called
from facefleet.errors import BadFile
from facefleet.wire import GARBAGE

#: Opcodes; an encoding as a list takes 130 of them, as an array 10. Values take up to 100 bytes each.
MAX_OPCODES = 2_000_000
#: Begun and not ended, one in another. The course's file has 3.
MAX_DEPTH = 100

#: Of what is told of an error: the file may have put anything there.
MAX_WORDS = 200

#: What stands behind the opcode is the value.
NUMBERS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"))
TEXTS = frozenset(
    ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
)
BYTES = frozenset(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"))
ARGUMENTS = NUMBERS | TEXTS | BYTES
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Callable[[], object]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
#: They say how the file is written, and nothing of what is in it.
SILENT = frozenset(("PROTO", "FRAME"))
PUTS, GETS = frozenset(("PUT", "BINPUT", "LONG_BINPUT")), frozenset(("GET", "BINGET", "LONG_BINGET"))


def load(data: bytes) -> object:
    """What the pickle holds: dicts, lists, tuples, texts, numbers, and `Array`s; raises `BadFile`.

    One thing may be held in many places, or hold itself: walk it with a bound.
    """
    with warnings.catch_warnings():
        # A text with an escape that Python does not know is the file's affair: it is read, or refused.
        warnings.simplefilter("ignore")
        return _loaded(data)


def _loaded(data: bytes) -> object:
    machine = _Machine()
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if count >= MAX_OPCODES:
                raise BadFile(f"the pickle has more than {MAX_OPCODES} opcodes: split it")
            if opcode.name == "STOP":
                return machine.result()
            machine.do(opcode.name, argument, position or 0)
    except GARBAGE as e:
        if isinstance(e, BadFile):
            raise
        raise BadFile(f"not a whole pickle of plain data: {str(e)[:MAX_WORDS]}") from e
    raise BadFile("not a whole pickle: it has no end")


@dataclass
class _Machine:
    """The stack; where lists that are being written begin on it; and what may be referred to again."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def result(self) -> object:
        if len(self.stack) != 1 or self.marks:
            raise BadFile("not a whole pickle: something is left over")
        return self.stack[0]

    def do(self, name: str, argument: Any, position: int) -> None:
        if name in SILENT:
            return
        if name in ARGUMENTS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in TUPLES:
            self.stack.append(tuple(self._take(TUPLES[name])))
        elif name in PUTS:
            self.memo[argument] = self._top()
        elif name in GETS:
            self.stack.append(self.memo[argument])
        else:
            self._act(name, argument, position)

    def _act(self, name: str, argument: Any, position: int) -> None:
        if name not in ACTS:
            raise BadFile(f"byte {position}: {name} is not for plain data; nothing was run: export it as JSON")
        ACTS[name](self, argument)

    def mark(self, _: Any) -> None:
        if len(self.marks) >= MAX_DEPTH:
            raise BadFile(f"the pickle is nested deeper than {MAX_DEPTH}: it holds no roster's encodings")
        self.marks.append(len(self.stack))

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self._top()

    def list_(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def tuple_(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def dict_(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._set(items)

    def append(self, _: Any) -> None:
        self._extend(self._take(1))

    def appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def setitem(self, _: Any) -> None:
        self._set(self._take(2))

    def setitems(self, _: Any) -> None:
        self._set(self._since_mark())

    def symbol(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self.stack.append(Symbol(module, name))

    def stack_symbol(self, _: Any) -> None:
        module, name = self._take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("the name of a function is no text")
        self.stack.append(Symbol(module, name))

    def reduce(self, _: Any) -> None:
        function, arguments = self._take(2)
        self.stack.append(called(function, arguments))

    def build(self, _: Any) -> None:
        thing, state = self._take(2)
        self.stack.append(built(thing, state))

    def _top(self) -> Any:
        if len(self.stack) <= self._floor():
            raise ValueError("it takes what is not there")
        return self.stack[-1]

    def _floor(self) -> int:
        return self.marks[-1] if self.marks else 0

    def _take(self, count: int) -> list[Any]:
        at = len(self.stack) - count
        if at < self._floor():
            raise ValueError("it takes what is not there")
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def _since_mark(self) -> list[Any]:
        at = self.marks.pop()
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(target := self._top(), list):
            raise ValueError("it appends to what is no list")
        target.extend(values)

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        # Only texts are compared as keys: others might be made to take long.
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in items[::2]):
            raise ValueError("a dict's keys must be texts")
        target.update(zip(items[::2], items[1::2], strict=True))


#: What is done by the rest.
ACTS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "MEMOIZE": _Machine.memoize,
    "LIST": _Machine.list_,
    "TUPLE": _Machine.tuple_,
    "DICT": _Machine.dict_,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "GLOBAL": _Machine.symbol,
    "STACK_GLOBAL": _Machine.stack_symbol,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
