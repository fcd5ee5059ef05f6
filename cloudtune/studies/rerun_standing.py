"""How far a rerun is, and whether anything is left to be run: by its trials and how its tuner ended, not by results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.experiments.course import Course, S3Course
from cloudtune.store.entries import FAILED, FINISHED
from cloudtune.store.lease import lease_holder_is_alive
from cloudtune.store.log import LogView
from cloudtune.studies.cell_standing import DRIVEN, RUNNING, UNFINISHED, WAITING

if TYPE_CHECKING:
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.rerun import Rerun

#: States in which a tuner has come to an end of its own: run again, it would end at once unless more is asked for.
_ENDED = frozenset({FINISHED, FAILED})


@dataclass(frozen=True)
class FailedRun:
    """A trial that has failed.

    Args:
        trial_id: Its number.
        seed: That it was run on.
        why: In one sentence.
    """

    trial_id: int
    seed: int | None
    why: str


@dataclass(frozen=True)
class RerunStanding:
    """How far a rerun is.

    Args:
        state: As :class:`cloudtune.studies.cell_standing.CellStanding` has it; ``waiting``: nobody has begun it.
        started: Trials that were begun.
        open: Trials that were begun and may go on.
        seconds: Active tuning time.
        failed: Trials that have failed.
        known_as: What the experiment is called for a command.
        tuner_job: Training job of its tuner, if it has one.
        why: Why it is in this state, where there is something to say.
    """

    state: str = WAITING
    started: int = 0
    open: int = 0
    seconds: float = 0.0
    failed: tuple[FailedRun, ...] = ()
    known_as: str = ""
    tuner_job: str | None = None
    why: str = ""

    @property
    def is_driven(self) -> bool:
        """Whether a tuner is at work on it, or about to be."""
        return self.state in DRIVEN

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {"state": self.state, "started": self.started, "failed": [asdict(one) for one in self.failed]}

    def obstacle(self, rerun: Rerun) -> str | None:
        """Why running it once more, as it is asked for, would bring nothing, and what would; None: it would.

        Args:
            rerun: As it is asked for. More seeds, more time or more failures that are allowed make another answer.
        """
        if self.state not in _ENDED:
            return None
        settings = rerun.plan.settings
        if self.started >= rerun.num_seeds and not self.open:
            return "all its seeds were begun"
        limit, allowed = settings.max_wallclock_time, settings.max_failures
        if len(self.failed) > allowed:
            return (
                f"more than max_failures={allowed} of its runs have failed: remove the cause, then go on with a higher "
                "--max_failures"
            )
        if limit is not None and self.seconds >= limit:
            return (
                f"its time limit of {limit:.6g} s ended it when {self.started} of {rerun.num_seeds} seeds were begun: "
                f"go on with a longer one, as --max_wallclock_time {_longer(limit)}"
            )
        return None


def standing_on_this_machine(rerun: Rerun, folder: Path) -> RerunStanding:
    """How far a rerun on this machine is.

    Args:
        rerun: Which.
        folder: Of its experiment, which is there.

    Raises:
        CloudtuneError: Its log cannot be read.
    """
    course = Course()
    course.apply_all(LogView(folder / "log").blocks())
    state = RUNNING if lease_holder_is_alive(folder / "lock") else course.status.finished_state or UNFINISHED
    return RerunStanding(state=state, known_as=rerun.name, **_of_course(rerun, course))


def standing_at(rerun: Rerun, place: StudyPlace) -> RerunStanding:
    """How far a rerun is whose trials are training jobs, from a few calls.

    Args:
        rerun: Which.
        place: Of its study.

    Raises:
        AwsError: S3 or SageMaker cannot be asked.
    """
    from cloudtune.experiments.s3_finding import experiment_at
    from cloudtune.studies.status import study_standing

    (told,) = study_standing(place, [rerun.name]).cells
    root = place.experiment(rerun.name)
    known_as = experiment_at(place.bucket, root).known_as
    standing = RerunStanding(told.state, known_as=known_as, tuner_job=told.tuner_job, why=told.why)
    if told.state == WAITING or standing.is_driven:
        return standing
    course = S3Course(place.bucket, root).read()
    return RerunStanding(
        told.state, known_as=known_as, tuner_job=told.tuner_job, why=told.why, **_of_course(rerun, course)
    )


def _of_course(rerun: Rerun, course: Course) -> dict[str, Any]:
    status, seed = course.status, rerun.benchmark.seed_attr or ""
    failed = [
        FailedRun(record.trial.trial_id, record.trial.config.get(seed), record.first_reason)
        for record in status.failures()
    ]
    return {
        "started": status.num_trials_started,
        "open": status.num_trials_started - status.num_trials_finished,
        "seconds": status.wallclock_time,
        "failed": tuple(failed),
    }


def _longer(limit: float) -> int:
    """A time limit to try next."""
    return int(2 * limit) + 1
