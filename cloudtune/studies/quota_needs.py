"""The quotas that a study needs, against what the account has."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.quotas import quota_name

if TYPE_CHECKING:
    from cloudtune.studies.account_facts import AccountFacts
    from cloudtune.studies.cell_groups import CellGroup
    from cloudtune.studies.machines import Machines


@dataclass(frozen=True)
class QuotaNeed:
    """One quota.

    Args:
        name: As AWS has it.
        instance_type: Which it is about.
        needed: Instances, if as many experiments run at once as may, each with all its workers.
        one_experiment: Instances that the greediest experiment needs.
        have: Instances that the account may use; None: not known.
        in_use: Of those, by all jobs of the account now; None: not known.
        instead_of: The type in whose place this one is taken where there is none; "": it is the first choice.
        raised_by: How AWS is asked for as many as are needed; "" where there are enough.
    """

    name: str
    instance_type: str
    needed: int
    one_experiment: int
    have: int | None
    in_use: int | None
    instead_of: str = ""
    raised_by: str = ""

    @property
    def is_enough(self) -> bool | None:
        """Whether all run at once, by this quota; None: not known."""
        return None if self.have is None else self.have >= self.needed

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "is_enough": self.is_enough}


def quota_needs(groups: Sequence[CellGroup], facts: AccountFacts, max_parallel: int | None) -> list[QuotaNeed]:
    """What is needed if as many experiments run at once as may.

    Args:
        groups: All that is to be launched.
        facts: Of the account.
        max_parallel: So many run at once; None: all.
    """
    in_use = facts.in_use()
    running = [one for group in groups for one in [group.machines] * len(group.cells)]
    keys = dict.fromkeys((one.types[0], one.is_spot) for machines in running for one in machines)
    needs = []
    for kind, spot in keys:
        of_each = [_count(machines, kind, spot) for machines in running]
        needs.append(
            QuotaNeed(
                quota_name(kind, spot=spot),
                kind,
                _most(of_each, max_parallel),
                max(of_each),
                facts.quota(kind, spot=spot),
                None if in_use is None else in_use[kind, spot],
            )
        )
    all_needs = [*needs, *_fallbacks(needs, groups, facts, in_use), *_pools(groups, facts, max_parallel)]
    return [_with_advice(need, facts) for need in all_needs]


def _with_advice(need: QuotaNeed, facts: AccountFacts) -> QuotaNeed:
    return need if need.is_enough is not False else replace(need, raised_by=facts.how_to_raise(need.name, need.needed))


def _count(machines: Sequence[Machines], kind: str, spot: bool) -> int:
    return sum(one.count for one in machines if (one.types[0], one.is_spot) == (kind, spot))


def _most(of_each: Sequence[int], max_parallel: int | None) -> int:
    return sum(of_each if max_parallel is None else heapq.nlargest(max_parallel, of_each))


def _fallbacks(
    needs: Sequence[QuotaNeed],
    groups: Sequence[CellGroup],
    facts: AccountFacts,
    in_use: Counter[tuple[str, bool]] | None,
) -> list[QuotaNeed]:
    """Quotas of the types that trials get where the first choice is not to be had."""
    known = {need.name for need in needs}
    first_of = {
        (kind, group.trials.is_spot): group.trials.types[0]
        for group in groups
        if group.trials is not None
        for kind in group.trials.types[1:]
    }
    return [
        QuotaNeed(
            quota_name(kind, spot=spot),
            kind,
            0,
            0,
            facts.quota(kind, spot=spot),
            None if in_use is None else in_use[kind, spot],
            first,
        )
        for (kind, spot), first in first_of.items()
        if quota_name(kind, spot=spot) not in known
    ]


def _pools(groups: Sequence[CellGroup], facts: AccountFacts, max_parallel: int | None) -> list[QuotaNeed]:
    """Quotas of machines that are kept for the next trial."""
    kept: dict[str, list[int]] = {}
    for group in groups:
        if group.trials is not None and group.kept_seconds:
            kept.setdefault(group.trials.types[0], []).extend([group.trials.count] * len(group.cells))
    return [
        QuotaNeed(
            quota_name(kind, warm_pool=True),
            kind,
            _most(counts, max_parallel),
            max(counts),
            facts.quota(kind, warm_pool=True),
            None,
        )
        for kind, counts in kept.items()
    ]
