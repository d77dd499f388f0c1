"""Pickles of float arrays in lists, read without being run.

A pickle is a program: an unpickler calls what it names, with arguments that it gives. Even of numpy's own
constructors some arguments end the process. So no unpickler runs here. `pickletools` lists a pickle's
instructions, and the few that arrays in lists take are followed by code of ours, which builds each array from
its plain bytes; every other instruction and name is refused by name. What a pickle can ask for is bounded by
the bytes that it has.
"""

import io
import math
import pickletools
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np


def load(data: bytes) -> Any:
    """What a pickle holds: lists, tuples, numbers and texts as they are, arrays read-only and of floats.

    Pickles of every protocol, of numpy 1 and 2. ValueError naming what else it asks for; pickles that are cut
    short or damaged raise errors of many kinds.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    left = len(data)

    for instruction, argument, _ in pickletools.genops(io.BytesIO(data)):
        match instruction.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                if isinstance(memo[argument], _Unfilled):
                    raise ValueError("it holds one array twice")
                stack.append(memo[argument])
            case name if name in _LITERALS:
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(_taken(stack, marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3" as name:
                last = slice(-int(name[-1]), None)
                stack[last] = [tuple(stack[last])]
            case "GLOBAL":
                stack.append(_known(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack[-2:] = [_known(*stack[-2:])]
            case "REDUCE":
                arguments = stack.pop()
                stack[-1] = _called(stack[-1], arguments)
                if isinstance(stack[-1], bytes) and (left := left - len(stack[-1])) < 0:
                    raise ValueError("it encodes one text again and again")
            case "BUILD":
                state = stack.pop()
                stack[-1] = _built(stack[-1], state)
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(_taken(stack, marks.pop()))
            case "APPEND":
                item = stack.pop()
                _list(stack[-1]).append(item)
            case "APPENDS":
                items = _taken(stack, marks.pop())
                _list(stack[-1]).extend(items)
            case name:
                raise ValueError(f"it asks for {name}, and {_ADMITTED}")
    raise ValueError("it has no end")


def _taken(stack: list[Any], start: int) -> list[Any]:
    items = stack[start:]
    del stack[start:]
    return items


_ADMITTED = "only float arrays in lists are admitted"
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(eq=False)
class _Dtype:
    """numpy's type of numbers: "f4" or "f8"; order "<" or ">", "" until it is told."""

    code: str
    order: str = ""


class _Unfilled:
    """An array whose numbers are still to come. They take its place on the stack, but not in the memo, so
    that no array is held twice."""


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Unfilled:
    if kind is not _NDARRAY:
        raise ValueError("it asks for arrays of another kind than numpy.ndarray")
    return _Unfilled()


def _dtype(code: Any, align: Any, copy: Any) -> _Dtype:
    if code not in ("f4", "f8"):
        raise ValueError(f"it holds arrays of type {_text(code)}, not of 32- or 64-bit floats")
    return _Dtype(code)


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes as old pickle protocols write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"it asks for the codec {_text(encoding)}")
    return text.encode("latin1")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    if order not in ("C", "F"):
        raise ValueError(f"it holds an array in the order {_text(order)}")
    return _array(data, dtype, shape, order)


_NDARRAY = object()
_NAMES = {("numpy", "ndarray"): _NDARRAY, ("numpy", "dtype"): _dtype, ("_codecs", "encode"): _encode}
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and of numpy 2
    _NAMES[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _NAMES[f"{_core}.numeric", "_frombuffer"] = _from_buffer
"""All that a pickle may name, and what stands for it."""


def _known(module: Any, name: Any) -> Any:
    if not isinstance(module, str) or not isinstance(name, str):  # other things may not be hashed or shown
        raise ValueError("it asks for something whose name is no text")
    if (module, name) not in _NAMES:
        raise ValueError(f"it asks for {f'{module}.{name}'[:80]}, and {_ADMITTED}")
    return _NAMES[module, name]


def _called(function: Any, arguments: Any) -> Any:
    if not isinstance(function, FunctionType) or not isinstance(arguments, tuple):
        raise ValueError("it calls what is no function")
    return function(*arguments)


def _built(target: Any, state: Any) -> Any:
    """A type told its byte order, in place; an array of the numbers that were to come."""
    match target, state:
        case _Dtype(), (int(), "<" | ">" as order, None, None, None, *_):
            target.order = order
            return target
        case _Unfilled(), (int(), shape, dtype, fortran, data):
            return _array(data, dtype, shape, "F" if fortran else "C")
    raise ValueError("it asks to fill what is no float array")


def _array(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    """The array that these bytes are."""
    if not isinstance(data, bytes | bytearray) or not isinstance(dtype, _Dtype) or not dtype.order:
        raise ValueError("it holds an array that is not made of bytes and a type of floats")
    size = int(dtype.code[1])
    fits = isinstance(shape, tuple) and all(type(n) is int and 0 <= n <= len(data) for n in shape)
    if not fits or len(shape) not in (1, 2, 3) or math.prod(shape) * size != len(data):
        raise ValueError(f"it holds an array whose shape does not fit its {len(data)} bytes")
    return np.frombuffer(data, np.dtype(dtype.order + dtype.code)).reshape(shape, order=order)


def _text(value: Any) -> str:
    """A text as messages show it. What else may stand in its place can be endlessly long."""
    return repr(value[:20]) if isinstance(value, str) else f"a {type(value).__name__}"


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("it appends to what is no list")
    return value
