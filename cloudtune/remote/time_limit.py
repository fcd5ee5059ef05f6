"""How long the tuner's job may run: as long as the experiment can take, or as long as AWS allows.

An experiment that takes longer than one job may run is handed over: the job ends in order a while before its limit, and
creates its successor.
"""

from __future__ import annotations

import logging
import math

from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Longest run of a training job unless AWS has raised it for the account, in seconds: five days. `Quotas
#: <https://docs.aws.amazon.com/general/latest/gr/sagemaker.html>`_.
LONGEST_JOB = 432_000
#: Beyond the experiment's own time, in seconds: for installing what the tuner needs, for ends and bills of the last
#: trials, and for starting again on another machine.
MARGIN = 3600
#: So long before its limit the job hands over to its successor, in seconds; of a short limit this part at most.
_HAND_OVER = 900.0
_HAND_OVER_PART = 0.25


def longest_time(tuner: Tuner) -> float | None:
    """Seconds after which the experiment has certainly reached its end; None if nothing limits its time."""
    return _from(tuner, tuner.status.wallclock_time)


def whole_time(tuner: Tuner) -> float | None:
    """The same for one that has not begun."""
    return _from(tuner, 0.0)


def _from(tuner: Tuner, done: float) -> float | None:
    limit = tuner.stop_criterion.longest()
    if limit is None:
        return None
    last = last_trials(tuner)
    return None if last is None else max(0.0, limit - done) + last


def last_trials(tuner: Tuner) -> float | None:
    """Seconds that trials may run on once the stopping criterion is met; None: as long as they like."""
    return tuner.trial_backend.longest_trial() if tuner.wait_trial_completion_when_stopping else 0.0


def max_run(tuner: Tuner, given: int | None) -> int:
    """``MaxRuntimeInSeconds`` for the job.

    Args:
        tuner: Whose stopping criterion counts.
        given: What the user wants; it wins. Where it would cut the experiment, a warning says so.
    """
    needed = longest_time(tuner)
    if given is None:
        return LONGEST_JOB if needed is None else min(LONGEST_JOB, int(needed) + MARGIN)
    if will_hand_over(tuner, given):
        takes = "as long as its stopping criterion lets it" if needed is None else f"up to {needed:.0f} seconds"
        logger.warning(
            "max_run=%d may be too little for the experiment, which may take %s: after %.0f seconds the tuner's job "
            "hands over to a successor; leave max_run out to have it follow the stopping criterion",
            given,
            takes,
            hand_over_after(given),
        )
    return given


def will_hand_over(tuner: Tuner, given: int | None) -> bool:
    """Whether the experiment is expected to take longer than its job.

    Args:
        tuner: Whose stopping criterion counts. Without a limit of time it is expected to end within the longest job.
        given: What the user wants, as in :func:`max_run`.
    """
    needed = longest_time(tuner)
    if needed is None:
        return given is not None
    return jobs_of(needed, max_run(tuner, None) if given is None else given) > 1


def hand_over_after(limit: float) -> float:
    """Seconds of a job that may run ``limit`` seconds after which it hands over."""
    return limit - _before_its_end(limit)


def jobs_of(needed: float, limit: float) -> int:
    """How many jobs carry an experiment on at most, one after the other.

    Until a tuner's loop begins, and from its end to the job's, no more time is reckoned with than a job hands over
    before its end.

    Args:
        needed: Seconds of active tuning time.
        limit: Seconds that each job may run.
    """
    return max(1, math.ceil(needed / (hand_over_after(limit) - _before_its_end(limit))))


def _before_its_end(limit: float) -> float:
    return min(_HAND_OVER, limit * _HAND_OVER_PART)
