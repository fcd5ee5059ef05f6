"""Names the place of an object inside another one: ``tuner.callbacks[1].socket``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, MethodType

from cloudtune.backend.function_transport import PackedFunction

#: More steps would help nobody.
_MOST_STEPS = 12


def path_of(chain: Sequence[object], root: str) -> str:
    """The place of the last object of a chain.

    Args:
        chain: From the outermost object to the innermost, each reached from the one before: as an attribute, an item,
            a variable of a function, or by way of something made only for pickling, which has no name.
        root: Name of the first.
    """
    steps: list[str] = []
    owner: object = chain[0] if chain else None
    between: list[object] = []
    for child in chain[1:]:
        step = _step(owner, child) or next(filter(None, (_step_of_state(made, child) for made in between)), None)
        if step is None:
            between.append(child)
            continue
        if not isinstance(owner, PackedFunction):  # how a function is packed is nobody's business
            steps.append(step)
        owner, between = child, []
    shown = steps if len(steps) <= _MOST_STEPS else [*steps[:_MOST_STEPS], "..."]
    return root + "".join(shown)


def _step(owner: object, child: object) -> str | None:
    if isinstance(owner, Mapping):
        return next((f"[{key!r}]" for key, value in owner.items() if value is child), None)
    if isinstance(owner, list | tuple | deque):
        return next((f"[{index}]" for index, value in enumerate(owner) if value is child), None)
    if isinstance(owner, MethodType):
        return f"'s {type(child).__name__}" if owner.__self__ is child else None
    if isinstance(owner, FunctionType):
        return next((f" -> {name}" for name, value in _variables(owner) if value is child), None)
    return next((f".{name}" for name, value in _attributes(owner) if value is child), None)


def _step_of_state(state: object, child: object) -> str | None:
    """A step by way of what ``__getstate__`` has made: it need not hold the object's own attributes."""
    if isinstance(state, dict):
        return next((f".{name}" for name, value in state.items() if value is child and isinstance(name, str)), None)
    return None


def _attributes(owner: object) -> Iterator[tuple[str, object]]:
    yield from getattr(owner, "__dict__", {}).items()
    for base in type(owner).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(owner, name):
                yield name, getattr(owner, name)


def _variables(function: FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    yield from function.__globals__.items()
    yield from function.__dict__.items()
