"""What launching a plan would refuse, found before anybody is asked whether to launch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError
from cloudtune.store.s3_log import newest_entry
from cloudtune.studies.cell_record import CellRecord
from cloudtune.studies.cell_records import CellRecords, Differences, check_conflicts, differences
from cloudtune.studies.cell_standing import WAITING

if TYPE_CHECKING:
    from cloudtune.optimizer.scheduler import TrialScheduler
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.cell import Cell
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
    catalogue: Catalogue, plan: Plan, place: StudyPlace, cells: Sequence[Cell], states: Mapping[str, str]
) -> None:
    """Checks that no cell exists with other settings. Changes nothing.

    Args:
        catalogue: Of benchmarks and methods.
        plan: What is to be launched.
        place: Of the study.
        cells: Of the plan.
        states: Of the study's experiments, by name.

    Raises:
        CellConflict: Some do; the message shows the differences.
        DamagedRecord: What was written down of one cannot be read.
        ValueError: A method cannot be made.
        AwsError: S3 does not answer.
    """
    by_name, records = {cell.name: cell for cell in cells}, CellRecords(place)
    recorded = dict.fromkeys(records.names())
    found: dict[str, Differences] = {}
    for name, record in records.read(name for name in by_name if name in recorded).items():
        scheduler = catalogue.scheduler(by_name[name], plan.settings)
        now = CellRecord(by_name[name], plan.settings, described(scheduler), record.machines)
        other = differences(record, now)
        # What was written down only may be launched in another way.
        if other and not (states.get(name, WAITING) == WAITING and _has_no_log(place, name)):
            found[name] = other
    check_conflicts(plan.tag, found)


def _has_no_log(place: StudyPlace, name: str) -> bool:
    return newest_entry(place.bucket, place.experiment(name)) is None


def described(scheduler: TrialScheduler) -> dict[str, object]:
    """What a method says of itself, without a seed that it has drawn."""
    said = scheduler.metadata()
    return {key: value for key, value in said.items() if key != "random_seed" or scheduler.random_seed_given}
