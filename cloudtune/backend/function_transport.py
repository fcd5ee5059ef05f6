"""Sends a function to another process by value: its code, and of its globals only those that it refers to.

The receiving side neither imports the module of the function nor runs the script or notebook it was written in.
Classes go the same way (see ``class_transport``). What is neither, and which pickle does not know, is left to dill.
"""

from __future__ import annotations

import dis
import io
import marshal
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from cloudtune.backend import class_transport, function_loader
from cloudtune.backend.importable import is_importable, module_is_importable
from cloudtune.backend.pickle_references import reference_to_main


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
    packed = _pack_by_value(function, function) or _pack_by_dill(function)
    if packed is None:
        raise ValueError(_culprit(function, function, set()) or f"{_name(function)} cannot be sent to another process")
    return packed


def _pack_by_value(value: object, function: Callable[..., Any]) -> PackedFunction | None:
    """``value``, packed as ``function`` would pack it; None if that is impossible."""
    module = getattr(function, "__module__", None)
    data = _dump(value, lambda file: _FunctionPickler(file, module))
    if data is not None:
        return PackedFunction(data, by_dill=False)
    data = _dump(value, lambda file: _pickler_with_dill(file, module))
    return None if data is None else PackedFunction(data, by_dill=True)


def _pack_by_dill(value: object) -> PackedFunction | None:
    """``value``, packed as dill would; None if that is impossible."""
    import dill

    data = _dump(value, lambda file: dill.Pickler(file, protocol=pickle.HIGHEST_PROTOCOL, recurse=True))
    return None if data is None else PackedFunction(data, by_dill=True)


def _dump(value: object, new_pickler: Callable[[io.BytesIO], Any]) -> bytes | None:
    """``value`` as bytes that mean the same in another process; None if the pickler cannot do it."""
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dill's are about references to __main__, which are found below
            new_pickler(file).dump(value)
    except Exception:  # noqa: BLE001 - __reduce__ and __getstate__ of any object may raise anything; the caller goes on
        return None
    data = file.getvalue()
    return None if reference_to_main(data) is not None else data


def _pickler_with_dill(file: io.BytesIO, module: str | None) -> Any:
    """A pickler that takes functions and classes apart as ours does, and leaves what is unknown to dill."""
    import dill

    class Pickler(_ByValue, dill.Pickler):  # type: ignore[misc]  # dill has no types
        pass

    pickler = Pickler(file, protocol=pickle.HIGHEST_PROTOCOL, recurse=True)
    pickler.begin(module)
    return pickler


class _NeedsDillError(pickle.PicklingError):
    """Plain pickling cannot carry an object."""


class _Namespace:
    """Stands for the globals of one module while functions of it are packed."""

    def __init__(self, name: str, is_main: bool) -> None:
        self.name = name
        self.is_main = is_main


class _ByValue:
    """What makes a pickler pack functions and classes by value where the other process could not import them."""

    def begin(self, module: str | None) -> None:
        """To be called first.

        Args:
            module: Functions of this module are packed by value in any case.
        """
        self._by_value = {None, "__main__", module}
        self._namespaces: dict[int, _Namespace] = {}

    def reducer_override(self, obj: Any) -> Any:
        """How pickle asks about anything that is not of a plain type."""
        if isinstance(obj, FunctionType):
            if self._function_goes_by_value(obj):
                return self._reduce_function(obj)
        elif isinstance(obj, type):
            if not is_importable(obj):
                namespace = self._namespace_with(obj)
                return class_transport.reduce_class(obj, namespace) or self._unknown(obj)
        elif isinstance(obj, ModuleType):
            if not module_is_importable(obj.__name__):
                return self._unknown(obj)
            return function_loader.import_module, (obj.__name__,)
        elif isinstance(obj, CellType):
            return function_loader.make_cell, ()
        elif isinstance(obj, _Namespace):
            return function_loader.make_globals, (obj.name, obj.is_main)
        else:
            return class_transport.reduce_part(obj, self._function_goes_by_value) or NotImplemented
        return NotImplemented

    def _unknown(self, obj: Any) -> Any:
        return NotImplemented

    def _function_goes_by_value(self, function: Any) -> bool:
        return function.__module__ in self._by_value or not is_importable(function)

    def _namespace(self, variables: dict[str, Any]) -> _Namespace:
        """One for each namespace."""
        if id(variables) not in self._namespaces:
            name = variables.get("__name__", "__main__")
            is_main = variables is sys.modules["__main__"].__dict__
            self._namespaces[id(variables)] = _Namespace(function_loader.short_module_name(name), is_main)
        return self._namespaces[id(variables)]

    def _namespace_with(self, cls: type) -> _Namespace | None:
        """That of ``__main__``, if the class is to be found there under its name."""
        variables = sys.modules["__main__"].__dict__
        return self._namespace(variables) if variables.get(cls.__name__) is cls else None

    def _reduce_function(self, function: FunctionType) -> Any:
        code = marshal.dumps(function.__code__)
        closure = function.__closure__ or ()
        state = {
            "modules": sorted(_submodules(function)),
            "globals": dict(_referenced_globals(function)) | _itself(function),
            "cells": [(cell, cell.cell_contents) for cell in closure if not _is_empty(cell)],
            "defaults": function.__defaults__,
            "kwdefaults": function.__kwdefaults__,
            "qualname": function.__qualname__,
            "module": function.__module__ and function_loader.short_module_name(function.__module__),
            "attributes": function.__dict__,
        }
        arguments = (code, self._namespace(function.__globals__), function.__name__, closure)
        return function_loader.make_function, arguments, state, None, None, function_loader.fill_function


class _FunctionPickler(_ByValue, pickle.Pickler):
    """The quick one, which needs nothing but the standard library to be read."""

    def __init__(self, file: io.BytesIO, module: str | None) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.begin(module)

    def _unknown(self, obj: Any) -> Any:
        raise _NeedsDillError(repr(obj))


def _itself(function: FunctionType) -> dict[str, FunctionType]:
    """A function's own name in its module: by that it is pickled, for a multiprocessing.Pool, say."""
    name = function.__name__
    return {name: function} if function.__globals__.get(name) is function else {}


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


def _is_empty(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def _culprit(function: object, root: Callable[..., Any], seen: set[int]) -> str | None:
    """One sentence on what makes a function impossible to send; None if it was not found."""
    seen.add(id(function))
    if isinstance(function, type):
        methods = [value for value in vars(function).values() if isinstance(value, FunctionType)]
        return next(filter(None, (_culprit(method, root, seen) for method in methods if id(method) not in seen)), None)
    if not isinstance(function, FunctionType):
        return None
    for what, name, value in _parts(function):
        if id(value) in seen or _pack_by_value(value, root) is not None:
            continue
        deeper = _culprit(value, root, seen)
        if deeper is not None:
            return deeper
        if _pack_by_dill(value) is not None:
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
