"""How long jobs take to end, from the end of their script or from a stop, learnt from the jobs of the experiment."""

from __future__ import annotations

from collections import deque

#: Asking again: a quantile of the times seen, and a multiple of it, to which the cadence adds seconds.
_QUESTIONS = ((0.5, 1.0), (0.6, 1.0), (0.8, 1.0), (0.9, 1.5), (0.9, 3.0))

#: When to ask for a job that is being stopped, before any was seen (seconds after the stop): the next question comes
#: before the wait has doubled. What takes longer the listing finds.
_AFTER_STOP = (3.0, 5.5, 10.0, 18.0, 34.0)
#: A little later than jobs typically take.
_LATER, _MARGIN = 1.1, 0.5


class SettleTimes:
    """When to ask whether a job is over: soon after it probably is, and at most five times.

    Args:
        extra: Seconds added to the times of the questions, ascending.
        first_guess: Seconds, before anything was seen.
    """

    def __init__(self, extra: tuple[float, ...], first_guess: float = 1.0) -> None:
        self._extra = extra
        self._seen: deque[float] = deque([first_guess], maxlen=31)

    @property
    def most(self) -> int:
        """How often to ask."""
        return min(len(self._extra), len(_QUESTIONS))

    def delay(self, asked: int) -> float | None:
        """Seconds after the end mark at which to ask, having asked ``asked`` times; None: no more."""
        if asked >= self.most:
            return None
        quantile, multiple = _QUESTIONS[asked]
        seen = sorted(self._seen)
        return seen[int(quantile * (len(seen) - 1) + 0.5)] * multiple + self._extra[asked]

    def learn(self, not_over_at: float, over_at: float) -> None:
        """A job was not over ``not_over_at`` seconds after its end mark (0: never asked), and was at ``over_at``."""
        # When in between is not known. The middle, or a little less than the first question, keeps the typical time
        # from creeping up with our own delays.
        earlier = over_at - max(0.3, 0.03 * over_at)
        self._seen.append(max(0.0, (not_over_at + over_at) / 2 if not_over_at else earlier))


class StopTimes:
    """When to ask whether a job is over that StopTrainingJob was called for and whose agent tells nothing.

    Most end within seconds, for their containers are dead or never began, and those that do not heed SIGTERM after two
    minutes. So most questions stay where they are, and one moves to where jobs of this experiment typically end.
    """

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=31)

    @property
    def most(self) -> int:
        """How often to ask."""
        return len(_AFTER_STOP)

    def delay(self, asked: int) -> float | None:
        """Seconds after the stop at which to ask, having asked ``asked`` times; None: no more."""
        if asked >= self.most:
            return None
        times = list(_AFTER_STOP)
        if self._seen:
            typical = sorted(self._seen)[int(0.6 * (len(self._seen) - 1) + 0.5)]
            times = sorted([*times[:-1], typical * _LATER + _MARGIN])
        return times[asked]

    def learn(self, not_over_at: float, over_at: float) -> None:
        """A job was not over ``not_over_at`` seconds after its stop (0: never asked), and was at ``over_at``."""
        self._seen.append((not_over_at + over_at) / 2)
