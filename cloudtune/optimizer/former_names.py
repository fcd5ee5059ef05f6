"""Helpful errors for arguments that methods have, or had, in Syne Tune under other names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

#: What to write instead of each.
_INSTEAD = {
    "do_minimize": "mode='min' or mode='max'",
    "max_resource_level": "max_resource_attr, with the number as a constant of the config space",
    "metrics": "metric",
    "search_options": "the searcher's options as arguments of their own, for instance allow_duplicates=True",
    "search_space": "config_space",
    "searcher_kwargs": "the searcher's options as arguments of their own, for instance allow_duplicates=True",
    "shuffle_config": "shuffle",
    "time_attr": "resource_attr",
}


def explain_former_names(init: Callable[P, None]) -> Callable[P, None]:
    """Decorates a constructor: a former name of an argument raises a ``TypeError`` that says what to write instead."""

    @functools.wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        for name in kwargs:
            if name in _INSTEAD and name not in inspect.signature(init).parameters:
                raise TypeError(f"{type(args[0]).__name__} has no argument {name!r}; write {_INSTEAD[name]}")
        init(*args, **kwargs)

    return checked
