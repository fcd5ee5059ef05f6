"""How far the experiments of a launch are: one line whenever that changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from cloudtune.aws.errors import PASSING
from cloudtune.studies.cell_standing import FAILED, FINISHED, INTERRUPTED, UNFINISHED, WAITING, StudyStanding
from cloudtune.studies.status import StudyWatch

#: Seconds until it is looked again, at first and at the longest, and by what factor they grow while nothing changes.
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 20.0, 1.5
#: So often in a row AWS may not answer, for a minute each.
_FAILURES = 10
#: In words, in the order in which they are told.
_WORDS = {
    FINISHED: "finished",
    FAILED: "failed",
    INTERRUPTED: "interrupted",
    UNFINISHED: "left by their tuners",
    "driven": "running",
    WAITING: "waiting",
}


def driven_names(standing: StudyStanding, launched: Mapping[str, str]) -> set[str]:
    """Experiments that somebody drives, or is about to.

    Args:
        standing: Of the study.
        launched: Experiment -> its tuner's job, created just now: it may be on no list yet.
    """
    found = {one.name for one in standing.cells if one.is_driven}
    by_name = standing.by_name
    for name, job in launched.items():
        known = by_name[name].tuner_job if name in by_name else None
        if known is None or _launch_number(known) < _launch_number(job):
            found.add(name)
    return found


def _launch_number(job: str) -> int:
    """Of a tuner's job: its name ends with the number of the launch."""
    number = job.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


class Progress:
    """Tells how many experiments are in which state, whenever that has changed.

    Args:
        names: Of the experiments.
        tell: Is told.
    """

    def __init__(self, names: Sequence[str], tell: Callable[[str], object]) -> None:
        self._names = names
        self._tell = tell
        self._told = ""

    def see(self, standing: StudyStanding, driven: set[str]) -> None:
        """Tells it, if it is news."""
        by_name = standing.by_name
        states = Counter(
            "driven" if name in driven else by_name[name].state if name in by_name else WAITING for name in self._names
        )
        counted = ", ".join(f"{states[state]} {words}" for state, words in _WORDS.items() if states[state])
        line = f"{standing.tag}: of {len(self._names)} experiments {counted}"
        if line != self._told:
            self._told = line
            self._tell(line)


def wait_until_ended(
    watch: StudyWatch, names: Sequence[str], launched: Mapping[str, str], tell: Callable[[str], object]
) -> StudyStanding:
    """Returns when nobody drives any of some experiments; how they stand then.

    Args:
        watch: Of their study.
        names: Of the experiments.
        launched: Experiment -> its tuner's job, created just now.
        tell: Is told how far they are.

    Raises:
        AwsError: S3 cannot be read.
    """
    progress, pause, failures = Progress(names, tell), FIRST_PAUSE, 0
    before: object = None
    while True:
        try:
            standing = watch.look()
        except PASSING:
            failures += 1
            if failures > _FAILURES:
                raise
        else:
            failures = 0
            driven = driven_names(standing, launched)
            progress.see(standing, driven)
            if not driven.intersection(names):
                return standing
            seen = tuple((one.name, one.state, one.reports) for one in standing.cells)
            if seen != before:
                pause, before = FIRST_PAUSE, seen
        threading.Event().wait(pause)  # nothing but signals has to end it
        pause = min(LONGEST_PAUSE, pause * GROWTH)
