"""Launches the experiments of a plan: those that are missing, and those that nobody goes on with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.images import tuning_image
from cloudtune.aws.roles import get_execution_role
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import CloudtuneError
from cloudtune.remote.launching import Checks
from cloudtune.remote.parcel import Parcel, bucket_of, make_parcels
from cloudtune.store.entries import FAILED as TOO_MANY_FAILURES
from cloudtune.store.entries import FINISH
from cloudtune.store.s3_log import newest_entry
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.account_room import AccountRoom, QuotaTooSmall
from cloudtune.studies.budget import StudyBudget, check_unlimited, share_budget
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_record import CellRecord
from cloudtune.studies.cell_records import CellConflict, CellRecords
from cloudtune.studies.cell_standing import FAILED, FINISHED, INTERRUPTED, UNFINISHED, WAITING
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.claimed_here import check_unclaimed, claimed, why_claimed
from cloudtune.studies.foreseen import check_for_conflicts, check_unbegun, planned
from cloudtune.studies.launch_queue import Candidate, LaunchQueue
from cloudtune.studies.launch_turn import LaunchTurn
from cloudtune.studies.launched_plan import launch_flags, launched_plan
from cloudtune.studies.launches_stopped import StopCheck
from cloudtune.studies.ledger import dollars
from cloudtune.studies.machines import Machines
from cloudtune.studies.plan import Plan
from cloudtune.studies.status import StudyWatch, study_standing
from cloudtune.studies.study_launch import NotAllLaunched, StudyLaunch
from cloudtune.studies.study_money import open_study_budget
from cloudtune.studies.study_progress import wait_until_ended

if TYPE_CHECKING:
    from cloudtune.remote.remote_launcher import RemoteLauncher

logger = logging.getLogger(__name__)

_DIGITS = 16
#: Of experiments that nobody drives, and that have not come to an end.
_LEFT = (INTERRUPTED, UNFINISHED)


def launch_study(
    catalogue: Catalogue,
    plan: Plan,
    account: Account | None = None,
    *,
    max_parallel_experiments: int | None = None,
    max_cost: float | None = None,
    wait: bool = False,
    tell: Callable[[str], object] = lambda _line: None,
) -> StudyLaunch:
    """Launches what is missing of a plan, continues what nobody goes on with, and leaves what runs or is done.

    Experiments for which quotas have no room wait until others have ended: it returns once all tuners are launched. It
    may be ended at any moment: called again, it goes on from there.

    Args:
        catalogue: Of benchmarks and methods.
        plan: What is to be launched.
        account: Where; by default as it is found.
        max_parallel_experiments: So many experiments of the study run at once, those of earlier launches counted.
        max_cost: US dollars that all experiments of the study together may commit.
        wait: Return when all experiments have ended.
        tell: Is told, in lines, what happens and why something waits.

    Raises:
        UnknownName: There is no such method or benchmark.
        ValueError: ``max_parallel_experiments`` is below 1.
        CellConflict: An experiment exists with other settings. Nothing was launched.
        NotAllLaunched: Some could not be launched.
        LaunchesStopped: Somebody has stopped the study meanwhile.
        CloudtuneError: Nothing can be launched; the message says what is missing.
    """
    if max_parallel_experiments is not None and max_parallel_experiments < 1:
        raise ValueError(f"max_parallel_experiments must be at least 1, got {max_parallel_experiments}")
    cells = {cell.name: cell for cell in catalogue.cells(plan)}
    launching = _Launching(catalogue, plan, cells, account or Account(), tell)
    launching.look(max_cost, max_parallel_experiments)
    launching.launch(max_parallel_experiments)
    return launching.end(wait)


class _Launching:
    """One launch of a plan."""

    def __init__(
        self,
        catalogue: Catalogue,
        plan: Plan,
        cells: Mapping[str, Cell],
        account: Account,
        tell: Callable[[str], object],
    ) -> None:
        self._catalogue = catalogue
        self._plan = plan
        self._cells = cells
        self._tell = tell
        self._account = account
        self._aws: Aws = aws_for(account.region, account.profile)
        self._found = bucket_of(self._aws, account.s3_path)
        self._place = StudyPlace(Bucket(self._aws, self._found.name, self._found.owner), self._found.prefix, plan.tag)
        # What is the same for all of them is looked up once.
        self._tuners = CellTuners(
            catalogue, plan.settings, replace(account, role=get_execution_role(account.role, self._aws))
        )
        self._room = AccountRoom(self._place)
        self._records = CellRecords(self._place)
        self._planned: dict[str, CellRecord] = {}
        self._launchers: dict[str, RemoteLauncher] = {}
        self._refused: dict[str, str] = {}
        self._budget: StudyBudget | None = None

    # ------------------------------------------------------------------ before anything is launched

    def look(self, max_cost: float | None, max_parallel: int | None) -> None:
        """Finds out what is to be launched, and writes it down; raises what keeps it from being launched."""
        there, others = self._look_at_study()
        wanted = [name for name in self._cells if self._is_to_be_launched(name)]
        for name in claimed(self._place, wanted):
            wanted.remove(name)
            self._refused[name] = why_claimed(self._place, name)
        if wanted:
            with ThreadPoolExecutor(1, "cloudtune launching") as aside:
                foreseeing = aside.submit(self._room.foresee, self._tuners.account.tuner_instance_type)
                for name in wanted:
                    self._prepare(name)
                foreseeing.result()
        for name in wanted:
            try:
                self._room.check(name, self._planned[name].machines)
            except QuotaTooSmall as error:
                self._refused[name] = str(error)
                del self._launchers[name]
        self._tell_what_comes()
        self._budget = open_study_budget(self._place, self._standing, max_cost)
        check_unbegun(self._place, [name for name in others if name in self._launchers])
        limit = None if self._budget is None else dollars(self._budget.book().limit)
        flags = launch_flags(self._account, self._place, limit, max_parallel)
        self._write([name for name in self._launchers if name not in there or name in others], flags)

    def _look_at_study(self) -> tuple[Collection[str], Collection[str]]:
        """Names of the plan's cells that are written down, and of those of them with other settings, never begun.

        Raises CellConflict.
        """
        recorded = dict.fromkeys(self._records.names())
        there = self._records.read(name for name in self._cells if name in recorded)
        self._standing = study_standing(self._place, {**recorded, **self._cells})
        for note in self._standing.notes:
            self._tell(note)
        self._states = {one.name: one.state for one in self._standing.cells}
        others = check_for_conflicts(self._catalogue, self._plan, self._place, self._cells, there, self._states)
        return there.keys(), others

    def _root(self, name: str) -> str:
        return self._place.experiment(name)

    def _is_to_be_launched(self, name: str) -> bool:
        one = self._standing.by_name.get(name)
        if one is None:
            return True
        if one.state == FAILED:
            # Its log knows whether it has ended like this, or its tuner has only died.
            last = newest_entry(self._place.bucket, self._root(name))
            return last is None or (last["event"], last.get("state")) != (FINISH, TOO_MANY_FAILURES)
        return not one.is_driven and one.state != FINISHED

    def _prepare(self, name: str) -> None:
        """Makes what launches an experiment, and what is written down of it."""
        cell = self._cells[name]
        launcher = self._launchers[name] = self._tuners.launcher(cell)
        self._planned[name] = planned(self._tuners, cell, launcher)

    def _tell_what_comes(self) -> None:
        new = [name for name in self._launchers if self._states.get(name, WAITING) == WAITING]
        counts = {
            "to launch": len(new),
            "to continue": len(self._launchers) - len(new),
            "running": sum(self._standing.by_name[name].is_driven for name in self._known()),
            "finished": sum(self._states[name] == FINISHED for name in self._known()),
            "failed": sum(self._states[name] == FAILED for name in self._known() if name not in self._launchers),
            "that cannot be launched": len(self._refused),
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        self._tell(f"study '{self._plan.tag}': of {len(self._cells)} experiments {told}")

    def _known(self) -> list[str]:
        return [name for name in self._cells if name in self._states]

    def _write(self, names: Sequence[str], flags: Mapping[str, Any]) -> None:
        """Writes down the plan, how it was launched last, and the cells that were not written down yet."""
        if not self._launchers:
            return
        digest = hashlib.sha256(self._plan.to_json().encode()).hexdigest()[:_DIGITS]
        self._place.bucket.put(f"{self._place.plans}{digest}.json", launched_plan(self._plan, flags))
        self._records.write(self._planned[name] for name in names)

    # ------------------------------------------------------------------ launching

    def launch(self, max_parallel: int | None) -> None:
        """Launches; returns when none waits any more."""
        names = list(self._launchers)
        candidates = [
            Candidate(name, self._planned[name].machines, partial(self._launch, name, parcel))
            for name, parcel in zip(names, self._pack(names), strict=True)
        ]
        self._watch = StudyWatch(self._place)
        self._stop = StopCheck(self._place, self._standing.stop_mark)
        self._queue = LaunchQueue(
            candidates,
            self._watch,
            self._room,
            self._machines,
            self._stop,
            LaunchTurn(self._place),
            max_parallel=max_parallel,
            tell=self._tell,
        )
        if candidates:
            self._queue.run(self._standing)

    def _pack(self, names: Sequence[str]) -> list[Parcel]:
        tuners = [self._launchers[name].tuner for name in names]
        if self._budget is not None:
            # What is packed already asks the study's ledger.
            for name, tuner in zip(names, tuners, strict=True):
                share_budget(tuner, self._place, name)
        images: dict[str, str] = {}
        for launcher in self._launchers.values():
            kind = launcher.job.instance_type
            if launcher.image_uri is None and kind not in images:
                image = tuning_image(self._aws.region, aws=self._aws, instance_type=kind)
                images[kind] = image.uri
                if image.note:
                    self._tell(image.note)
            launcher.image_uri = launcher.image_uri or images[kind]
        return make_parcels(self._aws, tuners, self._found)

    def _machines(self, names: Sequence[str]) -> dict[str, Sequence[Machines]]:
        """What experiments of the study have at once, those of earlier launches among them."""
        known: dict[str, Sequence[Machines]] = {
            name: self._planned[name].machines for name in names if name in self._planned
        }
        read = self._records.read(name for name in names if name not in known)
        return {**known, **{name: record.machines for name, record in read.items()}}

    def _launch(self, name: str, parcel: Parcel) -> str:
        launcher = self._launchers[name]
        with nullcontext() if self._budget is None else self._budget.admitted(name, launcher):
            checks = Checks(partial(self._check_before, name), partial(self._check, name))
            return launcher.run_with(parcel, checks).job_name

    def _check(self, name: str) -> None:
        """Raises what others have done since it was looked what is to be launched, and keeps an experiment from it."""
        self._stop()
        if self._budget is None:
            check_unlimited(self._place, name)

    def _check_before(self, name: str) -> None:
        """The same, and what nobody does any more who sees that a job is about to be created."""
        self._check(name)
        check_unclaimed(self._place, name)
        if not self._records.is_current(name):
            raise CloudtuneError(
                f"{name} was launched with other settings, or its record was deleted, while this launch was made; "
                "launch again, which shows what differs"
            )

    # ------------------------------------------------------------------ the end

    def end(self, wait: bool) -> StudyLaunch:
        """What was done; raises NotAllLaunched."""
        queue = self._queue
        refused = {**self._refused, **queue.refused}
        others = [name for name in self._cells if name not in refused]
        standing = self._standing
        if wait and others:
            standing = wait_until_ended(self._watch, others, queue.launched, self._tell)
        by_name = standing.by_name
        # Before a wait, what is known of those that were launched is how they stood before.
        ended = others if wait else [name for name in others if name not in queue.launched]
        why = {name: (by_name[name].state, by_name[name].why) for name in ended if name in by_name}
        driven = {name for name in ended if name in queue.left or (name in by_name and by_name[name].is_driven)}
        new = {name for name in queue.launched if self._states.get(name, WAITING) == WAITING}
        launch = StudyLaunch(
            place=self._place,
            launched=tuple(name for name in others if name in new),
            continued=tuple(name for name in others if name in queue.launched and name not in new),
            running=tuple(name for name in ended if name in driven),
            finished=tuple(name for name in why if why[name][0] == FINISHED),
            failed={name: told for name, (state, told) in why.items() if state == FAILED},
            refused=refused,
            unfinished={name: told for name, (state, told) in why.items() if wait and state in _LEFT},
        )
        if refused:
            raise NotAllLaunched(launch, len(self._cells))
        return launch


__all__ = ["CellConflict", "NotAllLaunched", "StudyLaunch", "launch_study"]
