"""Which modules a pickle needs to be read: those it names, and those that functions in it import. Nothing is unpickled.

A function of a PythonBackend is a pickle inside the tuner's, as bytes; in it, code is marshalled.
"""

from __future__ import annotations

import marshal
import pickletools
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from cloudtune.remote.code_imports import imports_of_nested_code

_IMPORTERS = {("cloudtune.backend.function_loader", "import_module"), ("dill._dill", "_import_module")}
_FUNCTION_MAKER = ("cloudtune.backend.function_loader", "make_function")
_STRINGS = {"BINUNICODE", "BINUNICODE8", "SHORT_BINUNICODE", "UNICODE"}
_BYTES = {"BINBYTES", "BINBYTES8", "SHORT_BINBYTES"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
#: Push nothing that could stand between a function's name and its first argument.
_SILENT = {"FRAME", "MARK", "PROTO"}


class Named(NamedTuple):
    """A function or class that a pickle names."""

    module: str
    name: str


def modules_of_pickle(data: bytes) -> set[str]:
    """Full names of the modules, ``__main__`` not among them."""
    found = {one.module if isinstance(one, Named) else one for one in _references(data)}
    return found - {"__main__", ""}


def names_of_pickle(data: bytes) -> set[Named]:
    """The functions and classes that it names."""
    return {one for one in _references(data) if isinstance(one, Named)}


def _references(data: bytes) -> Iterator[Named | str]:
    """What it names, and modules that it imports."""
    memo: dict[int, object] = {}
    before: object = None
    last: object = None
    for opcode, argument, _ in pickletools.genops(data):
        code = opcode.name
        if code in _SILENT:
            continue
        if code == "MEMOIZE":
            memo[len(memo)] = last
            continue
        if code in _PUT:
            assert isinstance(argument, int)
            memo[argument] = last
            continue
        if code == "STACK_GLOBAL":
            pushed: object = Named(str(before), str(last))
        elif code == "GLOBAL":
            pushed = Named(*str(argument).split(" ", 1))
        elif code in _GET:
            assert isinstance(argument, int)
            pushed = memo.get(argument)
        else:
            pushed = argument if code in _STRINGS or code in _BYTES else None
        if isinstance(pushed, Named) or (isinstance(pushed, str) and last in _IMPORTERS):
            yield pushed
        elif isinstance(pushed, bytes):
            yield from _references_in_bytes(pushed, last == _FUNCTION_MAKER)
        before, last = last, pushed


def _references_in_bytes(data: bytes, is_code: bool) -> Iterator[Named | str]:
    if is_code:
        code = marshal.loads(data)  # noqa: S302 - this process has just made it
        if isinstance(code, CodeType):
            yield from imports_of_nested_code(code)
    elif data[:1] == b"\x80" and data[-1:] == b".":
        try:
            yield from list(_references(data))
        except ValueError:  # other bytes that look like a pickle at both ends
            return
