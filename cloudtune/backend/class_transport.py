"""Takes classes apart, and what is found in and around them, so that another process can make them again.

A class is sent in two steps, first what is needed to make it, then its attributes: these may refer to the class.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import typing
from collections.abc import Callable, Iterator, Mapping
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from cloudtune.backend import class_loader
from cloudtune.backend.function_loader import short_module_name
from cloudtune.backend.importable import is_importable

#: What making a class makes, or needs.
_MADE_ANEW = {"__dict__", "__weakref__", "_abc_impl", "__module__", "__qualname__", "__slots__", "__orig_bases__"}

_IN_C = (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)

#: Bits of ``__flags__``: a class made at run time, and one whose attributes cannot be set. See CPython's object.h.
_HEAP_TYPE = 1 << 9
_IMMUTABLE_TYPE = 1 << 8

_TYPE_VARIABLES = tuple(
    getattr(typing, name) for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(typing, name)
)


def reduce_class(cls: type, namespace: object) -> tuple[Any, ...] | None:
    """How pickle shall make a class again (see ``object.__reduce__``); None if its kind is not known here.

    Args:
        cls: The class.
        namespace: Stands for the globals of the module that the other process shall put the class into; None for none.
    """
    metaclass: type[type] = type(cls)
    maker = _maker(next(kind for kind in type.mro(metaclass) if is_importable(kind)))
    if maker is None or not cls.__flags__ & _HEAP_TYPE or _has_parts_in_c(cls):
        return None
    head = {"__module__": short_module_name(cls.__module__), "__qualname__": cls.__qualname__}
    state = {"members": {}, "registered": _registered(cls), "namespace": namespace}
    arguments: tuple[Any, ...]
    if issubclass(cls, enum.Enum):
        if any("__new_member__" in vars(base) for base in cls.__mro__ if not is_importable(base)):
            return None  # a __new__ of its own: what it was called with is not known any more
        names: Mapping[str, enum.Enum] = cls.__members__
        options = {"boundary": cls._boundary_} if hasattr(cls, "_boundary_") else {}
        values = {name: _as_value(member.value) for name, member in names.items()}
        arguments = (metaclass, cls.__name__, cls.__bases__, head, values, options)
        state["attributes"] = {
            name: value for name, value in vars(cls).items() if name not in names and _belongs_to_user(name)
        }
        state["members"] = {member.name: dict(_attributes_of_member(member)) for member in cls}
        return class_loader.make_enum, arguments, state, None, None, class_loader.fill_class
    head |= {name: vars(cls)[name] for name in ("__slots__", "__orig_bases__") if name in vars(cls)}
    hooked = tuple(base for base in cls.__mro__[1:] if "__init_subclass__" in vars(base) and _is_mutable(base))
    arguments = (maker, metaclass, cls.__name__, cls.__bases__, head, hooked)
    state["attributes"] = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_ANEW and not isinstance(value, MemberDescriptorType)
    }
    return class_loader.make_class, arguments, state, None, None, class_loader.fill_class


def reduce_part(obj: object, by_value: Callable[[Any], bool]) -> tuple[Any, ...] | None:
    """How pickle shall make again what occurs in classes, or is made by a decorator; None for anything else.

    Args:
        obj: The object.
        by_value: Whether a function shall be sent by value.
    """
    kind = type(obj)
    if kind is property:
        assert isinstance(obj, property)
        return property, (obj.fget, obj.fset, obj.fdel, obj.__doc__)
    if isinstance(obj, (classmethod, staticmethod)):
        return kind, (obj.__func__,)
    if kind is functools.cached_property:
        assert isinstance(obj, functools.cached_property)
        return class_loader.make_cached_property, (obj.func, obj.attrname)
    if isinstance(obj, functools._lru_cache_wrapper):
        parameters = obj.cache_parameters()
        if by_value(obj):
            return class_loader.make_lru_cache, (obj.__wrapped__, parameters["maxsize"], parameters["typed"])
    elif kind is MappingProxyType:
        assert isinstance(obj, MappingProxyType)
        return class_loader.make_mapping_proxy, (dict(obj),)
    elif kind.__module__ == "dataclasses":
        for name, value in vars(dataclasses).items():
            if value is obj:  # MISSING and the like, which are told by their identity
                return class_loader.constant, ("dataclasses", name)
    elif kind.__module__ == "typing":
        return _reduce_typing(obj)
    return None


def _reduce_typing(obj: object) -> tuple[Any, ...] | None:
    if isinstance(obj, typing.ForwardRef):
        return typing.ForwardRef, (obj.__forward_arg__,)
    if isinstance(obj, typing.NewType) and not is_importable(obj):
        return class_loader.make_new_type, (obj.__name__, obj.__supertype__, short_module_name(obj.__module__))
    if isinstance(obj, _TYPE_VARIABLES) and not is_importable(obj):
        return _reduce_type_variable(obj)
    return None


def _reduce_type_variable(obj: Any) -> tuple[Any, ...]:
    options = {
        name: getattr(obj, f"__{name}__")
        for name in ("bound", "covariant", "contravariant", "infer_variance")
        if getattr(obj, f"__{name}__", None)
    }
    if getattr(obj, "has_default", bool)():
        options["default"] = obj.__default__
    constraints = getattr(obj, "__constraints__", ())
    arguments = (type(obj), obj.__name__, constraints, options, short_module_name(obj.__module__))
    return class_loader.make_type_variable, arguments


def _maker(metaclass: type) -> type | None:
    """The metaclass whose ``__new__`` makes a class step by step; None for one that wants to see all at once."""
    if metaclass in (type, abc.ABCMeta, enum.EnumMeta):
        return metaclass
    if metaclass.__module__ in ("typing", "typing_extensions"):  # those of Protocol and TypedDict
        return abc.ABCMeta if issubclass(metaclass, abc.ABCMeta) else type
    return None


def _has_parts_in_c(cls: type) -> bool:
    """Whether a class has methods or attributes written in C, other than its slots."""
    own = [value for name, value in vars(cls).items() if name not in _MADE_ANEW and isinstance(value, _IN_C)]
    slots = "__slots__" in vars(cls)
    return any(
        getattr(value, "__objclass__", None) is cls and not (slots and isinstance(value, MemberDescriptorType))
        for value in own
    )


def _is_mutable(cls: type) -> bool:
    return bool(cls.__flags__ & _HEAP_TYPE) and not cls.__flags__ & _IMMUTABLE_TYPE and cls.__module__ != "typing"


def _registered(cls: type) -> list[type]:
    """Classes registered as virtual subclasses of an abstract one."""
    if not isinstance(cls, abc.ABCMeta):
        return []
    references = abc._get_dump(cls)[0]  # type: ignore[attr-defined]  # the only way to ask
    return [virtual for virtual in (reference() for reference in references) if virtual is not None]


def _belongs_to_user(name: str) -> bool:
    """Whether an attribute of an Enum is not one of those that Enum sets."""
    if name in _MADE_ANEW or name in ("__new__", "__new_member__"):
        return False
    sunder = name.startswith("_") and name.endswith("_") and not name.startswith("__")
    return not sunder or name == "_missing_"


def _as_value(value: object) -> object:
    """What makes an Enum member of a value; a function would be taken for a method."""
    return enum.member(value) if hasattr(value, "__get__") and hasattr(enum, "member") else value


def _attributes_of_member(member: enum.Enum) -> Iterator[tuple[str, object]]:
    for name, value in vars(member).items():
        if not (name.startswith("_") and name.endswith("_")):
            yield name, value
