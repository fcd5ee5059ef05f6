"""Launches reruns whose trials are training jobs, as experiments of their study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from cloudtune.aws.clients import aws_for
from cloudtune.remote.launching import Checks
from cloudtune.remote.parcel import bucket_of, make_parcels
from cloudtune.studies.budget import check_unlimited, share_budget
from cloudtune.studies.cell_records import CellRecords
from cloudtune.studies.foreseen import planned
from cloudtune.studies.launches_stopped import StopCheck
from cloudtune.studies.status import study_standing
from cloudtune.studies.study_money import open_study_budget

if TYPE_CHECKING:
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.budget import StudyBudget
    from cloudtune.studies.rerun import Rerun


def launch_reruns(place: StudyPlace, reruns: Sequence[Rerun], tell: Callable[[str], object]) -> list[str]:
    """Launches reruns one after the other; the names of their tuners' jobs.

    They are written down like the other experiments of their study: whoever looks at it, stops it or limits its money
    knows of them from the beginning. Where it has a limit of money, they share it.

    Args:
        place: Of the study.
        reruns: That are to run.
        tell: Is told of each in a line.

    Raises:
        LaunchesStopped: Somebody has stopped the study meanwhile.
        CloudtuneError: One cannot be launched; those before it run.
    """
    standing = study_standing(place)
    stop = StopCheck(place, standing.stop_mark)
    budget = open_study_budget(place, standing, None)
    jobs = []
    for rerun in reruns:
        jobs.append(_launch(place, rerun, stop, budget))
        tell(f"{rerun.name} runs as training job {jobs[-1]}")
    return jobs


def _launch(place: StudyPlace, rerun: Rerun, stop: StopCheck, budget: StudyBudget | None) -> str:
    tuners, cell = rerun.tuners(), rerun.cell
    launcher = tuners.launcher(cell)
    if budget is not None:
        share_budget(launcher.tuner, place, rerun.name)
    account = rerun.account
    aws = aws_for(account.region, account.profile)
    (parcel,) = make_parcels(aws, [launcher.tuner], bucket_of(aws, account.s3_path))
    CellRecords(place).note(planned(tuners, cell, launcher))

    def check() -> None:
        stop()
        if budget is None:
            check_unlimited(place, rerun.name)

    with nullcontext() if budget is None else budget.admitted(rerun.name, launcher):
        return launcher.run_with(parcel, Checks(check, check)).job_name
