"""Options that are passed on to a class, checked before it refuses them in its own words."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any


def check_options(
    argument: str, options: Mapping[str, Any], made: Callable[..., Any], library: str = "", ours: Collection[str] = ()
) -> None:
    """Returns if a class has all of these options.

    Args:
        argument: Where users give them, for the message.
        options: That users have given.
        made: The class.
        library: Whose it is if another's, for the message: ``"Optuna"``.
        ours: Options of the class that users do not give: they are not recommended.

    Raises:
        TypeError: It lacks one; the message has the nearest that there is, or all if none is near.
    """
    parameters = inspect.signature(made).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return  # it says itself what it lacks
    known = [parameter.name for parameter in parameters]
    for name in options:
        if name not in known:
            usual = [one for one in known if one not in ours]
            near = difflib.get_close_matches(str(name), usual, n=1)
            has = f"its options are {', '.join(usual)}" if usual else "it has no options"
            remedy = f"did you mean {near[0]!r}?" if near else has
            whose = f"{library}'s " if library else ""
            raise TypeError(f"{argument} has {name!r}, which {whose}{made.__name__} does not know; {remedy}")
