"""What is known of the account in which a study is to run, as far as AWS answers."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudtune.aws.buckets import find_bucket
from cloudtune.aws.clients import aws_for
from cloudtune.aws.errors import AwsError
from cloudtune.aws.machines_in_use import MachinesInUse
from cloudtune.aws.quotas import how_to_raise, training_quota
from cloudtune.aws.s3 import Bucket
from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import CloudtuneError
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.ledger import Book, Ledger
from cloudtune.studies.status import StudyStanding, study_standing

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.studies.cell_tuner import Account


@dataclass
class AccountFacts:
    """Asks, and remembers what could not be asked.

    Args:
        region: Of the jobs; None: none is set.
        account: Twelve digits; None: nobody could tell.
        place: Of the study; None: there is no bucket for it.
        notes: What could not be asked, a sentence each.
        problems: What keeps a study from being launched, a sentence each.
    """

    region: str | None = None
    account: str | None = None
    place: StudyPlace | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _aws: Aws | None = None
    _quotas: dict[tuple[str, bool, bool], int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account, tag: str) -> AccountFacts:
        """Of an account, and of a study in it."""
        facts = cls()
        try:
            aws = aws_for(account.region, account.profile)
            facts.region = aws.region
            facts.account = aws.account
            facts._aws = aws
            found = find_bucket(aws, account.s3_path or os.environ.get(ENV_S3_PATH))
            facts.place = StudyPlace(Bucket(aws, found.name, found.owner), found.prefix, tag)
        except CloudtuneError as error:
            facts.problems.append(_line(error))
        return facts

    def quota(self, instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> int | None:
        """Instances that the account may have at once; None: not known, of which a note is made."""
        key = (instance_type, spot, warm_pool)
        if key not in self._quotas:
            self._quotas[key] = self._ask_quota(instance_type, spot, warm_pool)
        return self._quotas[key]

    def _ask_quota(self, instance_type: str, spot: bool, warm_pool: bool) -> int | None:
        if self._aws is None:
            return None
        try:
            return training_quota(self._aws, instance_type, spot=spot, warm_pool=warm_pool)
        except CloudtuneError as error:
            self.note(f"quotas could not be read: {_line(error)}")
            return None

    def how_to_raise(self, name: str, instances: int) -> str:
        """What asks AWS for more of a quota."""
        if self._aws is not None:
            try:
                return how_to_raise(self._aws, name, instances)
            except CloudtuneError as error:
                self.note(f"quotas could not be read: {_line(error)}")
        return f"ask for more of {name!r} in the Service Quotas console"

    def in_use(self) -> Counter[tuple[str, bool]] | None:
        """Instances that jobs of the account have now, by type and whether they are spot ones; None: not known."""
        if self._aws is None:
            return None
        try:
            jobs = MachinesInUse(self._aws).now()
        except AwsError as error:
            self.note(f"what runs in the account now is not known: {_line(error)}")
            return None
        used: Counter[tuple[str, bool]] = Counter()
        for job in jobs:
            for kind, count in job.machines:
                used[kind, job.is_spot] += count
        return used

    def standing(self) -> StudyStanding | None:
        """How the study stands, of which something may have been launched; None: not known."""
        if self.place is None:
            return None
        try:
            standing = study_standing(self.place)
        except CloudtuneError as error:
            self.note(f"which experiments of the study exist is not known: {_line(error)}")
            return None
        for note in standing.notes:
            self.note(note)
        return standing

    def book(self) -> Book | None:
        """The ledger of the study; None: it has none, or it cannot be read."""
        if self.place is None:
            return None
        try:
            return Ledger(self.place.bucket, self.place.budget).read()
        except CloudtuneError as error:
            self.note(f"the study's budget cannot be read: {_line(error)}")
            return None

    def note(self, text: str) -> None:
        """Says what could not be asked, once."""
        if text not in self.notes:
            self.notes.append(text)


def _line(error: CloudtuneError) -> str:
    return " ".join(str(error).split()).rstrip(".")
