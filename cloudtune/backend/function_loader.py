"""Rebuilds a function that was sent by value. The trial's side of ``function_transport``; imports next to nothing."""

from __future__ import annotations

import builtins
import marshal
import sys

TYPE_CHECKING = False  # importing typing would make every fork dearer
if TYPE_CHECKING:
    from types import CellType, FunctionType, ModuleType
    from typing import Any


def _types() -> tuple[type, type]:
    """FunctionType and CellType, without importing types."""
    cell = None

    def function() -> object:
        return cell

    assert function.__closure__ is not None
    return type(function), type(function.__closure__[0])


_FUNCTION, _CELL = _types()


def make_globals(name: str) -> dict[str, Any]:
    """The namespace that all functions of one module share."""
    return {"__name__": name, "__builtins__": builtins}


def make_cell() -> CellType:
    """An empty cell of a closure."""
    cell: CellType = _CELL()
    return cell


def make_function(code: bytes, namespace: dict[str, Any], name: str, closure: tuple[CellType, ...]) -> FunctionType:
    """A function without the values that may refer back to it: :func:`fill_function` adds them."""
    function: FunctionType = _FUNCTION(marshal.loads(code), namespace, name, None, closure or None)  # noqa: S302
    return function


def fill_function(function: FunctionType, state: dict[str, Any]) -> None:
    """Gives a function its globals, closure, defaults and attributes, and imports the submodules that it refers to."""
    for module in state["modules"]:
        import_module(module)
    function.__globals__.update(state["globals"])
    for cell, contents in state["cells"]:
        cell.cell_contents = contents
    function.__defaults__ = state["defaults"]
    function.__kwdefaults__ = state["kwdefaults"]
    function.__qualname__ = state["qualname"]
    function.__module__ = state["module"]
    function.__dict__.update(state["attributes"])


def import_module(name: str) -> ModuleType:
    """The module of that name, a submodule too."""
    __import__(name)
    return sys.modules[name]
