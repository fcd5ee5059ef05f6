"""What launching a plan would refuse, found before anybody is asked whether to launch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError
from cloudtune.remote.launches import newest_launch
from cloudtune.remote.launching import is_under_way
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.lease import ourselves
from cloudtune.store.s3_log import newest_entry
from cloudtune.studies.cell_record import CellRecord
from cloudtune.studies.cell_records import Differences, check_conflicts, differences
from cloudtune.studies.cell_standing import WAITING
from cloudtune.studies.machines import Machines, machines_of

if TYPE_CHECKING:
    from cloudtune.optimizer.scheduler import TrialScheduler
    from cloudtune.remote.remote_launcher import RemoteLauncher
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.cell import Cell
    from cloudtune.studies.cell_tuner import CellTuners
    from cloudtune.studies.plan import Plan


def unusable_methods(catalogue: Catalogue, plan: Plan, cells: Iterable[Cell]) -> Iterator[str]:
    """Why methods cannot be made, a sentence each; each is made once for a benchmark and a number of workers.

    Args:
        catalogue: Of benchmarks and methods.
        plan: What is to be launched.
        cells: Of the plan.
    """
    told = set()
    for cell in {(cell.method, cell.benchmark, cell.n_workers): cell for cell in cells}.values():
        try:
            catalogue.scheduler(cell, plan.settings)
        except (ValueError, CloudtuneError) as error:
            if str(error) not in told:
                told.add(str(error))
                yield str(error)


def check_for_conflicts(
    catalogue: Catalogue,
    plan: Plan,
    place: StudyPlace,
    cells: Mapping[str, Cell],
    there: Mapping[str, CellRecord],
    states: Mapping[str, str],
) -> Sequence[str]:
    """Checks that no cell exists with other settings. Changes nothing.

    Args:
        catalogue: Of benchmarks and methods.
        plan: What is to be launched.
        place: Of the study.
        cells: Of the plan, by name.
        there: What was written down of these, by name, where it was.
        states: Of the study's experiments, by name.

    Returns:
        Names of experiments that were written down with other settings, but never begun: they may be launched anew.

    Raises:
        CellConflict: Others have begun with other settings; the message shows the differences.
        ValueError: A method cannot be made.
        AwsError: S3 does not answer.
    """
    found: dict[str, Differences] = {}
    for name, record in there.items():
        scheduler = catalogue.scheduler(cells[name], plan.settings)
        now = CellRecord(cells[name], plan.settings, described(scheduler), record.machines)
        if other := differences(record, now):
            found[name] = other
    unbegun = [name for name in found if states.get(name, WAITING) == WAITING and not _has_begun(place, name)]
    check_conflicts(plan.tag, {name: one for name, one in found.items() if name not in unbegun})
    return unbegun


def check_unbegun(place: StudyPlace, names: Iterable[str]) -> None:
    """Looks again, right before their records are replaced, at experiments that had never begun.

    Args:
        place: Of the study.
        names: Of the experiments.

    Raises:
        CloudtuneError: One has begun since.
        AwsError: AWS does not answer.
    """
    for name in names:
        if _has_begun(place, name):
            raise CloudtuneError(
                f"{name} has just been launched with other settings; launch again, which shows what differs"
            )


def _has_begun(place: StudyPlace, name: str) -> bool:
    """Whether an experiment has a log, or a job of its tuner was created, or is about to be."""
    tuner = TunerPlace(place.bucket, place.experiment(name))
    # In this order: what is under way has a job, and then a log.
    return is_under_way(tuner) or newest_launch(tuner) is not None or newest_entry(place.bucket, tuner.root) is not None


def planned(tuners: CellTuners, cell: Cell, launcher: RemoteLauncher) -> CellRecord:
    """What is written down of an experiment that is about to be launched.

    Args:
        tuners: Of the study.
        cell: Which.
        launcher: Of the cell.
    """
    machine = Machines((launcher.job.instance_type,), launcher.job.instance_count, launcher.job.use_spot)
    machines = machines_of(cell, tuners.settings, tuners.catalogue.benchmark(cell.benchmark), machine)
    return CellRecord(cell, tuners.settings, described(launcher.tuner.scheduler), tuple(machines), ourselves())


def described(scheduler: TrialScheduler) -> dict[str, object]:
    """What a method says of itself, without a seed that it has drawn."""
    said = scheduler.metadata()
    return {key: value for key, value in said.items() if key != "random_seed" or scheduler.random_seed_given}
