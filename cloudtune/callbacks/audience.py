"""Who listens to what: a hook that no callback overrides costs a run nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.tuning_status import TuningStatus

Hook = Callable[..., Any]


class Audience:
    """The callbacks of one run, each hook with those that override it, in their order.

    Args:
        callbacks: All of them, looked at in :meth:`gather`.
    """

    def __init__(self, callbacks: Sequence[TunerCallback]) -> None:
        self._callbacks = callbacks
        self.gather()

    def gather(self) -> None:
        """Finds out who listens to what: at the start of a run, when callbacks have got ready."""
        callbacks = self._callbacks
        self.start_trial: Sequence[Hook] = _listening(callbacks, "on_start_trial")
        self.resume_trial: Sequence[Hook] = _listening(callbacks, "on_resume_trial")
        self.trial_result: Sequence[Hook] = _listening(callbacks, "on_trial_result")
        # What a callback inherits of it calls the other.
        self.trial_end: Sequence[Hook] = _listening(callbacks, "on_trial_end", "on_trial_complete")
        self._watching = [one for one in callbacks if _overrides(one, "next_time")]

    def next_times(self) -> list[float]:
        """When callbacks want to be called (Unix seconds)."""
        return [due for one in self._watching if (due := one.next_time()) is not None]

    def look(self, now: float, status: TuningStatus) -> None:
        """Calls those whose time has come.

        Args:
            now: Unix seconds.
            status: Of the experiment.
        """
        for one in self._watching:
            due = one.next_time()
            if due is not None and due <= now:
                one.on_time(now, status)


def _listening(callbacks: Sequence[TunerCallback], hook: str, *called: str) -> list[Hook]:
    return [getattr(one, hook) for one in callbacks if any(_overrides(one, name) for name in (hook, *called))]


def _overrides(callback: TunerCallback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(TunerCallback, hook)
