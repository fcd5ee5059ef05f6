"""Makes a class that was sent by value, and what is found in classes. The trial's side of ``class_transport``.

Imported in a trial whose function needs it, never in the supervisor.
"""

from __future__ import annotations

import abc
import enum
import functools
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NewType

from cloudtune.backend.function_loader import module_name


def make_class(
    maker: type[type],
    metaclass: type[type],
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    hooked: tuple[type, ...],
) -> type:
    """A class without the attributes that may refer back to it: :func:`fill_class` adds them.

    Args:
        maker: The metaclass whose ``__new__`` makes the class.
        metaclass: The class's.
        name: The class's.
        bases: The class's.
        namespace: What must be there from the beginning.
        hooked: Bases with an ``__init_subclass__``. It is not called: what it did to the class is among its attributes.
    """
    namespace["__module__"] = module_name(namespace["__module__"])
    hooks = [(base, vars(base)["__init_subclass__"]) for base in hooked if "__init_subclass__" in vars(base)]
    for base, _ in hooks:
        type.__delattr__(base, "__init_subclass__")
    try:
        made = maker.__new__(metaclass, name, bases, namespace)
    finally:
        for base, hook in hooks:
            type.__setattr__(base, "__init_subclass__", hook)
    assert isinstance(made, type)
    return made


def make_enum(
    metaclass: type[enum.EnumMeta],
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    members: dict[str, Any],
    options: dict[str, Any],
) -> type:
    """An Enum with its members, aliases too, but without its methods: :func:`fill_class` adds them."""
    body: Any = enum.EnumMeta.__prepare__(name, bases)
    body["__module__"] = module_name(namespace["__module__"])
    body["__qualname__"] = namespace["__qualname__"]
    for member, value in members.items():
        body[member] = value
    made = enum.EnumMeta.__new__(metaclass, name, bases, body, **options)
    assert isinstance(made, type)
    return made


def fill_class(cls: type, state: dict[str, Any]) -> None:
    """Gives a class its attributes, and its module the class where the sender's had it."""
    for name, value in state["attributes"].items():
        type.__setattr__(cls, name, value)
    for name, attributes in state["members"].items():
        cls.__members__[name].__dict__.update(attributes)  # type: ignore[attr-defined]
    for virtual in state["registered"]:
        abc.ABCMeta.register(cls, virtual)  # type: ignore[arg-type]
    if state["namespace"] is not None:
        state["namespace"][cls.__name__] = cls


def make_lru_cache(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Callable[..., Any]:
    """The function with an empty cache."""
    return functools.lru_cache(maxsize, typed)(function)


def make_cached_property(function: Callable[[Any], Any], name: str) -> functools.cached_property[Any]:
    """A cached property of the attribute ``name``."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def make_mapping_proxy(mapping: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    """A read-only view of a dict."""
    return MappingProxyType(mapping)


def make_type_variable(
    kind: Callable[..., Any], name: str, constraints: tuple[Any, ...], options: dict[str, Any], module: str
) -> object:
    """A TypeVar, ParamSpec or TypeVarTuple."""
    made = kind(name, *constraints, **options)
    made.__module__ = module_name(module)
    return made


def make_new_type(name: str, supertype: Any, module: str) -> Any:
    """A NewType."""
    new_type: Any = NewType  # type checkers want to see a literal
    made = new_type(name, supertype)
    made.__module__ = module_name(module)
    return made


def constant(module: str, name: str) -> object:
    """An object of a module that is known by being that very object."""
    __import__(module)
    return getattr(sys.modules[module], name)
