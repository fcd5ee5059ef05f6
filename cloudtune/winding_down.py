"""The end of a run: stops what runs, and takes in what is still to come of it."""

from __future__ import annotations

import math
from collections.abc import Callable

from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.trial_record import WISH_END, WISH_PAUSE
from cloudtune.tuning_status import TuningStatus


def wind_down(
    backend: TrialBackend, status: TuningStatus, turn: Callable[[float], object], time_left: Callable[[], float]
) -> bool:
    """Stops what runs and takes in its last reports; a trial ended like this goes on when the experiment does.

    Returns when all workers are free, nothing is kept that costs money, and all costs are known; or when the time
    is over. What runs then ends without this tuner, and the next one hears of it.

    Args:
        backend: Open. What was decided so far, it has been told.
        status: Has the records of the trials.
        turn: One turn of the loop, which waits for so many seconds at most.
        time_left: Seconds until the process is ended by force; infinite if nobody waits for its end.

    Returns:
        Whether trials were left running.
    """
    for trial_id, record in list(status.running.items()):
        if record.wish is None:
            status.set_wish(record, WISH_END)
            backend.pause_trial(trial_id)  # its checkpoint is wanted
        elif record.wish != WISH_PAUSE:
            backend.stop_trial(trial_id)
    in_a_hurry = False
    while status.running or not backend.wind_down():
        left = time_left()
        if left <= 0:
            return backend.trials_outlive_tuner
        if not in_a_hurry and left < math.inf:
            in_a_hurry = True
            backend.hasten(left)
        turn(left)
    return False


def tell_again(backend: TrialBackend, status: TuningStatus) -> None:
    """Does what an earlier tuner has logged and perhaps not done any more: all of it may be done twice."""
    for trial_id, record in status.running.items():
        if record.wish == WISH_PAUSE:
            backend.pause_trial(trial_id)
        elif record.wish is not None:
            backend.stop_trial(trial_id)
    if backend.delete_checkpoints:
        records = status.records.items()
        backend.delete_left_checkpoints([trial_id for trial_id, one in records if one.is_done_with_checkpoint])
