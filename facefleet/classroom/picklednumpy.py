"""What a pickle has numpy do to make its arrays, as data: no numpy, and nothing that it would run."""

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any

from facefleet.errors import BadFile

#: numpy called its inner parts otherwise before version 2.
CORES = ("numpy.core.", "numpy._core.")
#: What struct calls numpy's floats.
FLOATS = {"f8": "d", "f4": "f"}
#: Of an array, in one direction: more would not fit a file.
MAX_LENGTH = 2**31
#: Of a name that is told.
MAX_NAME = 100
#: `=` and `|` are what the writer's machine had; every machine that numpy is used on today has the little end first.
ORDERS = {"<": "<", ">": ">", "=": "<", "|": "<"}


@dataclass(frozen=True, slots=True)
class Symbol:
    """The name of something to import, which nobody imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"[:MAX_NAME]


@dataclass(slots=True)
class Dtype:
    """Mutable, as it is finished after others have referred to it."""

    code: str
    order: str = "<"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes as protocols before 3 have them: a text, to be encoded."""

    text: str
    encoding: str


@dataclass(slots=True)
class Array:
    """Numbers as they lie in the file, empty until it is finished."""

    shape: tuple[int, ...] = (0,)
    dtype: Dtype = field(default_factory=lambda: Dtype("d"))
    #: Bytes, or what stands for them: a small file can refer to the same long text again and again, so nothing is made
    #: of it before it is asked for, and is known to be short.
    data: object = field(default=b"", repr=False)

    def values(self, *, most: int) -> tuple[float, ...]:
        """All of them, row after row; raises `ValueError` where there are more than that, or not what it says."""
        count = prod(self.shape)
        if count > most:
            raise ValueError(f"an array of {count} numbers, at most {most} are expected")
        text = self.data.text if isinstance(self.data, Encoded) else self.data
        if not isinstance(text, str | bytes | bytearray) or len(text) != count * struct.calcsize(self.dtype.code):
            raise ValueError(f"an array of {count} numbers does not have as many bytes")
        # A text is Python 2's, which had no bytes of their own.
        data = text.encode("latin-1") if isinstance(text, str) else text
        return struct.unpack(f"{self.dtype.order}{count}{self.dtype.code}", data)


def called(function: object, arguments: object) -> object:
    """What this function would return; raises `BadFile` for any but numpy's that make arrays of floats."""
    if not isinstance(function, Symbol) or not isinstance(arguments, tuple):
        raise BadFile("the pickle calls what is no function: it holds more than plain data")
    name = str(function)
    for core in CORES:
        name = name.replace(core, "numpy.core.", 1) if name.startswith(core) else name
    match name:
        case "_codecs.encode":
            return _encoded(*_kinds(arguments, str, str))
        case "numpy.dtype":
            return _dtype(arguments)
        case "numpy.core.multiarray._reconstruct":
            return _blank(arguments)
        case "numpy.core.multiarray.scalar":
            dtype, data = _kinds(arguments, Dtype, object)
            return Array((), dtype, data).values(most=1)[0]
        case "numpy.core.numeric._frombuffer":
            # Since 2.4 another argument may stand behind, None for what lies row by row.
            data, dtype, shape, order = _kinds(arguments[:4], object, Dtype, tuple, str)
            return _filled(Array(), shape, dtype, data, is_fortran=order == "F")
    raise BadFile(f"the pickle would call {function}: it holds more than plain data, and nothing of it was run")


def built(thing: object, state: object) -> object:
    """The thing, finished as this state says."""
    if isinstance(thing, Dtype) and isinstance(state, tuple) and len(state) >= 2 and isinstance(state[1], str):
        thing.order = ORDERS[state[1]]
        return thing
    if isinstance(thing, Array):
        _, shape, dtype, is_fortran, data = _kinds(state, int, tuple, Dtype, object, object)
        return _filled(thing, shape, dtype, data, is_fortran=bool(is_fortran))
    raise BadFile("the pickle gives a state to what has none: it holds more than plain data")


def _encoded(text: str, encoding: str) -> Encoded:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in an encoding that pickles do not have")
    return Encoded(text, encoding)


def _dtype(arguments: tuple[Any, ...]) -> Dtype:
    code = arguments[0] if arguments and isinstance(arguments[0], str) else ""
    if code.lstrip("<>=|") not in FLOATS:
        raise BadFile(f"the pickle holds an array of {code[:MAX_NAME]!r}, not of floats, f8 or f4")
    return Dtype(FLOATS[code.lstrip("<>=|")], ORDERS.get(code[0], "<"))


def _blank(arguments: tuple[Any, ...]) -> Array:
    kind, _, _ = _kinds(arguments, Symbol, tuple, object)
    if str(kind) != "numpy.ndarray":
        raise BadFile(f"the pickle would make a {kind}: only numpy.ndarray is plain data")
    return Array()


def _filled(array: Array, shape: tuple[Any, ...], dtype: Dtype, data: object, *, is_fortran: bool) -> Array:
    if len(shape) > 2 or not all(type(length) is int and 0 <= length < MAX_LENGTH for length in shape):
        raise ValueError("an array of one or two dimensions is expected")
    if is_fortran and len(shape) > 1:
        raise ValueError("an array by columns is not read: save it with numpy.ascontiguousarray")
    array.shape, array.dtype, array.data = shape, dtype, data
    return array


def _kinds(arguments: object, *kinds: type) -> tuple[Any, ...]:
    if not isinstance(arguments, tuple) or len(arguments) != len(kinds):
        raise ValueError("numpy is given what it does not take")
    if not all(isinstance(value, kind) for value, kind in zip(arguments, kinds, strict=True)):
        raise ValueError("numpy is given what it does not take")
    return arguments
