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

_MAIN = "__main__"

#: The globals of the module that takes the place of the sender's ``__main__``, where there is one.
_main_globals: dict[str, Any] | None = None


def new_main() -> None:
    """Makes a new ``__main__``, for the functions and classes of the sender's: by their names in it they are pickled.

    For a process that belongs to one function, such as a trial.
    """
    global _main_globals  # noqa: PLW0603 - unpickling calls make_globals, and can pass it nothing of ours
    module = type(sys)(_MAIN)
    sys.modules[_MAIN] = module
    _main_globals = module.__dict__
    _main_globals["__builtins__"] = builtins


def short_module_name(name: str) -> str:
    """What is sent for the name of a module. Nothing for ``__main__``: so what wrongly refers to that can be found."""
    return "" if name == _MAIN else name


def module_name(sent: str) -> str:
    """The name of a module that was sent by :func:`short_module_name`."""
    return sent or _MAIN


def make_globals(name: str, is_main: bool) -> dict[str, Any]:
    """The namespace that all functions of one module share.

    Args:
        name: The module's, as sent.
        is_main: Whether it is that of the sender's ``__main__`` (others may have its name).
    """
    if is_main and _main_globals is not None:
        return _main_globals
    return {"__name__": module_name(name), "__builtins__": builtins}


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
    function.__module__ = None if state["module"] is None else module_name(state["module"])  # type: ignore[assignment]
    function.__dict__.update(state["attributes"])


def import_module(name: str) -> ModuleType:
    """The module of that name, a submodule too."""
    __import__(name)
    return sys.modules[name]
