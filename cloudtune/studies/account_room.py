"""What an account's quotas leave for a study, beside all that runs in the account already."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.machines_in_use import JobMachines, MachinesInUse
from cloudtune.aws.quotas import how_to_raise, quota_name, training_quota
from cloudtune.errors import CloudtuneError
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_record import DamagedRecord
from cloudtune.studies.cell_records import CellRecords
from cloudtune.studies.machines import Machines
from cloudtune.studies.room import Room

logger = logging.getLogger(__name__)

#: Of the place that a tuner's job names.
_OF_TUNER = "/remote/"


class QuotaTooSmall(CloudtuneError):
    """An experiment needs more machines at once than the account may ever have; the message names the quota."""


class AccountRoom:
    """Looks again and again how much room there is.

    Args:
        place: Of the study.
    """

    def __init__(self, place: StudyPlace) -> None:
        self._place = place
        self._aws: Aws = place.bucket.aws
        self._in_use = MachinesInUse(self._aws)
        self._may_look = True
        self._foreseen: list[JobMachines] | None = None
        #: Prefixes of experiments of other studies -> what these need.
        self._others: dict[str, Sequence[Machines]] = {}

    def foresee(self, instance_type: str) -> None:
        """Asks for what takes a while, to have it at the first look: quotas, and what runs in the account.

        Args:
            instance_type: One that will be asked for.

        Raises:
            AwsError: AWS does not answer.
        """
        if self._quota(instance_type, False) is not None:
            self._foreseen = self._jobs()

    def check(self, name: str, wanted: Sequence[Machines]) -> None:
        """Raises QuotaTooSmall if an experiment would not have room even if nothing else ran, and AwsError."""
        short = Room(self._quota).take(wanted)
        if short is None:
            return
        quotas = ", ".join(f"{quota!r} is {allowed}" for quota, allowed in short.quotas.items())
        needed = sum(one.count for one in wanted if set(one.types) & set(short.machines.types))
        wanted_quota = quota_name(short.machines.types[0], spot=short.machines.is_spot)
        fewer = ", or launch it with fewer workers" if short.machines.count > 1 else ", or choose another instance type"
        raise QuotaTooSmall(
            f"{name} needs {needed} instances at once, and the account's quota {quotas}: "
            f"{how_to_raise(self._aws, wanted_quota, needed)}{fewer}"
        )

    def is_limited(self, wanted: Iterable[Sequence[Machines]]) -> bool:
        """Whether a quota that counts for any of these experiments is known. Raises AwsError."""
        kinds = {(kind, one.is_spot) for every in wanted for one in every for kind in one.types}
        return any(self._quota(*kind) is not None for kind in sorted(kinds))

    def look(self, driven: Mapping[str, Sequence[Machines]]) -> Room:
        """What is free.

        Args:
            driven: Experiments of the study that somebody drives, or is about to, and the machines of each: those that
                it does not have yet are put aside.

        Raises:
            AwsError: AWS does not answer.
        """
        room = Room(self._quota)
        jobs = self._jobs() if self._foreseen is None else self._foreseen
        self._foreseen = None
        for job in jobs:
            room.occupy(job.machines, job.is_spot)
        places = {self._place.bucket.uri(self._place.experiment(name)): one for name, one in driven.items()}
        places.update(self._of_other_studies(jobs))
        for place, (tuner, *trials) in places.items():
            own = [job for job in jobs if job.place.startswith(place)]
            of_tuner = [job for job in own if job.place.endswith(_OF_TUNER)]
            room.reserve(tuner, max(0, tuner.count - _count(of_tuner)))
            for one in trials:
                room.reserve(one, max(0, one.count - _count(job for job in own if job not in of_tuner)))
        return room

    def _quota(self, instance_type: str, is_spot: bool) -> int | None:
        return training_quota(self._aws, instance_type, spot=is_spot)

    def _jobs(self) -> list[JobMachines]:
        if not self._may_look:
            return []
        try:
            return self._in_use.now()
        except AccessDenied as error:
            self._may_look = False
            logger.warning("what runs in the account beside this study is not known, and not counted: %s", error)
            return []

    def _of_other_studies(self, jobs: Iterable[JobMachines]) -> dict[str, Sequence[Machines]]:
        """Experiments of other studies in this bucket whose tuners run: their trials need room as well."""
        bucket = self._place.bucket
        ours = bucket.uri(self._place.root)
        within = bucket.uri("")
        roots = {
            job.place.removeprefix(within).removesuffix(_OF_TUNER) + "/"
            for job in jobs
            if job.place.endswith(_OF_TUNER) and job.place.startswith(within) and not job.place.startswith(ours)
        }
        for root in sorted(roots - self._others.keys()):
            self._others[root] = self._recorded(root)
        return {bucket.uri(root): machines for root in roots if (machines := self._others[root])}

    def _recorded(self, root: str) -> Sequence[Machines]:
        """What the experiment there needs; nothing where that is not known."""
        name = root.rstrip("/").rpartition("/")[2]
        try:
            records = CellRecords(StudyPlace.of_experiment(self._place.bucket, root)).read([name])
        except (DamagedRecord, ValueError) as error:
            logger.info("how many machines %s needs is not known: %s", root, error)
            return ()
        return records[name].machines if name in records else ()


def _count(jobs: Iterable[JobMachines]) -> int:
    return sum(count for job in jobs for _, count in job.machines)
