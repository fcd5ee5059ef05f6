"""Cells of a plan that differ in their seeds only: what they need is the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.remote.time_limit import LONGEST_JOB, MARGIN
from cloudtune.studies.machines import Machines, machines_of
from cloudtune.studies.tuner_costs import most_seconds

if TYPE_CHECKING:
    from cloudtune.studies.cell import Cell
    from cloudtune.studies.cell_tuner import CellTuners


@dataclass(frozen=True)
class CellGroup:
    """Repetitions of one method on one benchmark with so many workers.

    Args:
        cells: One for each seed.
        limit: Active tuning time of each, in seconds.
        tuner: Machine of each one's tuner; None: the tuner is no job.
        trials: Machines of each one's trials; None: trials have none of their own.
        tuner_seconds: That its tuner's jobs are billed for at most.
        trial_seconds: That the job of a trial may run.
        max_trials: No cell starts more trials; None: no limit.
        kept_seconds: For which a machine is kept for the next trial.
        without_delay: A worker gets its next trial while its last one is still ending.
    """

    cells: tuple[Cell, ...]
    limit: float
    tuner: Machines | None
    trials: Machines | None
    tuner_seconds: float
    trial_seconds: float
    max_trials: int | None
    kept_seconds: float
    without_delay: bool = False

    @property
    def first(self) -> Cell:
        """One of them."""
        return self.cells[0]

    @property
    def machines(self) -> list[Machines]:
        """All that each has at once."""
        return [one for one in (self.tuner, self.trials) if one is not None]

    @property
    def most_trials_at_once(self) -> int:
        """Trials of one cell whose jobs may run at the same time, those that are ending among them."""
        if self.trials is None:
            return 0
        at_once = self.trials.count * (2 if self.without_delay else 1)
        return at_once if self.max_trials is None else min(at_once, self.max_trials)

    @property
    def most_seconds(self) -> float:
        """Seconds of trials' machines of one cell that nothing can exceed.

        A trial that begins right before the limit runs for as long as its job may if nobody can stop it: its tuner is
        gone, and it cannot see that. Machines that are kept for the next trial count as well.
        """
        if self.trials is None:
            return 0.0
        after = self.trial_seconds + STOP_GRACE + self.kept_seconds
        return self.most_trials_at_once * (self.limit + after)

    @property
    def busy_seconds(self) -> float:
        """Seconds of trials' machines of one cell, if all its workers are busy until its limit."""
        if self.trials is None:
            return 0.0
        busy = self.trials.count * self.limit
        # However often a trial pauses and goes on, it has one worker at a time.
        return busy if self.max_trials is None else min(busy, self.max_trials * self.limit)


def grouped(cells: Iterable[Cell], tuners: CellTuners, tuners_are_jobs: bool, kept_seconds: float) -> list[CellGroup]:
    """The groups of some cells, in the order of their first ones.

    Args:
        cells: Of one plan.
        tuners: Makes their tuners.
        tuners_are_jobs: Each tuner has a job of its own; else it runs on this machine.
        kept_seconds: For which a machine is kept for the next trial.

    Raises:
        UnknownName: There is no such benchmark.
    """
    found: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.method, cell.benchmark, cell.n_workers), []).append(cell)
    return [_group(some, tuners, tuners_are_jobs, kept_seconds) for some in found.values()]


def _group(cells: Sequence[Cell], tuners: CellTuners, tuners_are_jobs: bool, kept_seconds: float) -> CellGroup:
    first, settings = cells[0], tuners.settings
    limit = tuners.wallclock_limit(first)
    tuner = Machines((tuners.tuner_machine(first),), 1)
    _, *trials = machines_of(first, settings, tuners.catalogue.benchmark(first.benchmark), tuner)
    return CellGroup(
        cells=tuple(cells),
        limit=limit,
        tuner=tuner if tuners_are_jobs else None,
        trials=trials[0] if trials else None,
        tuner_seconds=most_seconds(limit, min(LONGEST_JOB, int(limit) + MARGIN)) if tuners_are_jobs else 0.0,
        trial_seconds=float(tuners.trial_limit(first)),
        max_trials=settings.max_num_trials_started,
        kept_seconds=kept_seconds,
        without_delay=settings.start_jobs_without_delay,
    )
