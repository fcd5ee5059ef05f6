"""Sends a function to another process by value: its code, and of its globals only those that it refers to.

The receiving side neither imports the module of the function nor runs the script or notebook it was written in.
What cannot be taken apart this way (classes of ``__main__``, local classes) is left to dill.
"""

from __future__ import annotations

import dis
import io
import marshal
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from cloudtune.backend import function_loader


@dataclass(frozen=True)
class PackedFunction:
    """A function as bytes.

    Args:
        data: The bytes.
        by_dill: Whether dill is needed to read them.
    """

    data: bytes
    by_dill: bool

    def load(self) -> Callable[..., Any]:
        """The function."""
        if self.by_dill:
            import dill

            function: Callable[..., Any] = dill.loads(self.data)
        else:
            function = pickle.loads(self.data)
        return function


def pack_function(function: Callable[..., Any]) -> PackedFunction:
    """Packs a function, or another callable.

    Raises:
        ValueError: It refers to something that cannot be sent to another process; the message names it.
    """
    data = _dump(function, function)
    if data is not None:
        return PackedFunction(data, by_dill=False)
    data = _dump_by_dill(function)
    if data is not None:
        return PackedFunction(data, by_dill=True)
    raise ValueError(_culprit(function, function, set()) or f"{_name(function)} cannot be sent to another process")


def _dump(value: object, function: Callable[..., Any]) -> bytes | None:
    """``value``, packed as ``function`` would pack it; None if that is impossible without dill."""
    file = io.BytesIO()
    try:
        _FunctionPickler(file, getattr(function, "__module__", None)).dump(value)
    except Exception:  # noqa: BLE001 - __reduce__ and __getstate__ of any object may raise anything; dill tries next
        return None
    return file.getvalue()


def _dump_by_dill(value: object) -> bytes | None:
    import dill

    try:
        data: bytes = dill.dumps(value, recurse=True)
    except Exception:  # noqa: BLE001 - as above; the caller says what it was about
        return None
    return data


class _NeedsDillError(pickle.PicklingError):
    """Plain pickling cannot carry an object."""


class _Namespace:
    """Stands for the globals of one module while functions of it are packed."""

    def __init__(self, name: str) -> None:
        self.name = name


class _FunctionPickler(pickle.Pickler):
    """Packs functions by value where the other process could not import them as they are.

    Args:
        file: Where the bytes go.
        module: Functions of this module are packed by value in any case.
    """

    def __init__(self, file: io.BytesIO, module: str | None) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._by_value = {None, "__main__", module}
        self._namespaces: dict[int, _Namespace] = {}

    def reducer_override(self, obj: Any) -> Any:
        """How pickle asks about anything that is not of a plain type."""
        if isinstance(obj, FunctionType):
            if obj.__module__ in self._by_value or not _is_importable(obj):
                return self._reduce_function(obj)
        elif isinstance(obj, type):
            if obj.__module__ == "__main__" or not (obj.__module__ == "builtins" or _is_importable(obj)):
                raise _NeedsDillError(f"class {obj.__qualname__}")
        elif isinstance(obj, ModuleType):
            if not _module_is_importable(obj.__name__):
                raise _NeedsDillError(f"module {obj.__name__}")
            return function_loader.import_module, (obj.__name__,)
        elif isinstance(obj, CellType):
            return function_loader.make_cell, ()
        elif isinstance(obj, _Namespace):
            return function_loader.make_globals, (obj.name,)
        return NotImplemented

    def _reduce_function(self, function: FunctionType) -> Any:
        namespace = self._namespaces.get(id(function.__globals__))
        if namespace is None:
            name = function.__globals__.get("__name__", "__main__")
            namespace = self._namespaces[id(function.__globals__)] = _Namespace(name)
        code = marshal.dumps(function.__code__)
        closure = function.__closure__ or ()
        state = {
            "modules": sorted(_submodules(function)),
            "globals": dict(_referenced_globals(function)),
            "cells": [(cell, cell.cell_contents) for cell in closure if not _is_empty(cell)],
            "defaults": function.__defaults__,
            "kwdefaults": function.__kwdefaults__,
            "qualname": function.__qualname__,
            "module": function.__module__,
            "attributes": function.__dict__,
        }
        arguments = (code, namespace, function.__name__, closure)
        return function_loader.make_function, arguments, state, None, None, function_loader.fill_function


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those of all functions and classes defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _global_names(function: FunctionType) -> set[str]:
    """Names the function looks up in its module; ``co_names`` would not do, it has those of attributes as well."""
    return {
        instruction.argval
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
        if "_GLOBAL" in instruction.opname or instruction.opname in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
    }


def _referenced_globals(function: FunctionType) -> Iterator[tuple[str, object]]:
    namespace = function.__globals__
    for name in sorted(_global_names(function)):
        if name in namespace and name not in ("__name__", "__builtins__"):
            yield name, namespace[name]


def _submodules(function: FunctionType) -> Iterator[str]:
    """Modules like ``a.b``, of which the function knows only ``a``, and finds ``b`` because somebody imported it."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for _, value in _referenced_globals(function):
        if isinstance(value, ModuleType) and hasattr(value, "__path__"):
            prefix = f"{value.__name__}."
            for name in list(sys.modules):
                if name.startswith(prefix) and names.issuperset(name[len(prefix) :].split(".")):
                    yield name


def _is_importable(obj: Any) -> bool:
    """Whether importing the module of a function or class gives this very object."""
    found: Any = sys.modules.get(obj.__module__)
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj and _module_is_importable(obj.__module__)


def _module_is_importable(name: str) -> bool:
    """Whether another process with the same search path finds the module. Some live only in this one."""
    if name == "__main__":
        return False
    parent, _, _ = name.rpartition(".")
    if parent and not _module_is_importable(parent):
        return False
    path = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    if any(finder.find_spec(name, path) is not None for finder in finders):
        return True
    # os.path and the like are known by a name that no finder finds.
    return name in sys.modules and getattr(sys.modules.get(parent), name.rpartition(".")[2], None) is sys.modules[name]


def _is_empty(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def _culprit(function: object, root: Callable[..., Any], seen: set[int]) -> str | None:
    """One sentence on what makes a function impossible to send; None if it was not found."""
    seen.add(id(function))
    if not isinstance(function, FunctionType):
        return None
    for what, name, value in _parts(function):
        if id(value) in seen or _dump(value, root) is not None:
            continue
        deeper = _culprit(value, root, seen)
        if deeper is not None:
            return deeper
        if _dump_by_dill(value) is not None:
            continue
        return (
            f"{_name(function)} refers to {what} {name!r} of type {type(value).__name__}, which cannot be sent to "
            "another process; create it inside the function"
        )
    return None


def _parts(function: FunctionType) -> Iterator[tuple[str, str, object]]:
    for name, value in _referenced_globals(function):
        yield "global", name, value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if not _is_empty(cell):
            yield "the enclosing function's variable", name, cell.cell_contents
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True):
        yield "the default of parameter", name, value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield "the default of parameter", name, value


def _name(function: object) -> str:
    return f"function {getattr(function, '__name__', repr(function))!r}"
