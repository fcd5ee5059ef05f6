"""The limits of an experiment as options of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloudtune.stopping_criterion import StoppingCriterion

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SECONDS = click.FloatRange(min=0, min_open=True)
_COUNT = click.IntRange(min=1)

_LIMITS: list[tuple[str, click.ParamType[Any], str]] = [
    ("max_wallclock_time", _SECONDS, "End after this many seconds of tuning."),
    ("max_num_trials_started", _COUNT, "Start this many trials, and let them finish."),
    ("max_num_trials_completed", _COUNT, "End when this many trials have trained to their end."),
    ("max_num_trials_finished", _COUNT, "End when this many trials have ended in any way."),
    ("max_num_evaluations", _COUNT, "End after this many reports."),
]


def limit_options(command: _Command) -> _Command:
    """Adds an option for each limit to a command; unset ones arrive as None."""
    for name, kind, help_text in reversed(_LIMITS):
        command = click.option(f"--{name.replace('_', '-')}", name, type=kind, help=help_text)(command)
    return command


def criterion_of(options: dict[str, Any]) -> StoppingCriterion | None:
    """Takes the limits out of a command's options; None if none was given."""
    given = {name: options.pop(name) for name, _, _ in _LIMITS}
    limits = {name: value for name, value in given.items() if value is not None}
    if not limits:
        return None
    from cloudtune.stopping_criterion import StoppingCriterion

    return StoppingCriterion(**limits)
