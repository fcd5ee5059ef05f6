"""What launching a plan would do: its cells, the machines it needs, how long it takes, what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AwsError
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.errors import CloudtuneError
from cloudtune.studies.account_facts import AccountFacts
from cloudtune.studies.cell_groups import CellGroup, grouped
from cloudtune.studies.cell_records import CellRecords
from cloudtune.studies.cell_standing import FINISHED
from cloudtune.studies.cell_tuner import KEPT_WARM, CellTuners
from cloudtune.studies.expected_costs import Costs, expected_costs
from cloudtune.studies.foreseen import check_for_conflicts, unusable_methods
from cloudtune.studies.inputs import InputMissing, check_inputs
from cloudtune.studies.ledger import Book, dollars
from cloudtune.studies.purse import Purse
from cloudtune.studies.quota_needs import QuotaNeed, quota_needs
from cloudtune.studies.waves import Waves, waves

if TYPE_CHECKING:
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.cell import Cell
    from cloudtune.studies.cell_standing import CellStanding
    from cloudtune.studies.cell_tuner import Account
    from cloudtune.studies.machines import Machines
    from cloudtune.studies.plan import Plan


@dataclass(frozen=True)
class Preview:
    """What is known before anything is launched. Costs are US dollars, times seconds.

    Args:
        tag: Of the study.
        backend: Where trials run.
        cells: All experiments of the plan.
        groups: Those that have not finished, without their seeds.
        states: How many of the plan's experiments are in which state already.
        region, account, results: Where; None: not known, or there is none.
        quotas: That are needed.
        course: How many run at once, and for how long.
        costs: Of what has not finished.
        max_cost: Limit of money for the whole study; None: there is none.
        affordable: So many experiments can have all their workers busy at once within it; None: there is no limit.
        committed: What of it is spent or committed already.
        problems: What will not work, a sentence each.
        notes: What could not be asked, a sentence each.
    """

    tag: str
    backend: str
    cells: Sequence[Cell]
    groups: Sequence[CellGroup]
    course: Waves
    costs: Costs
    states: dict[str, int] = field(default_factory=dict)
    region: str | None = None
    account: str | None = None
    results: str | None = None
    quotas: list[QuotaNeed] = field(default_factory=list)
    max_cost: float | None = None
    committed: float = 0.0
    affordable: int | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def most(self) -> float | None:
        """The most that it can cost from now on; None: nobody can tell, for something has no price."""
        return self._capped(self.costs.most)

    @property
    def busy(self) -> float | None:
        """What it costs if all workers are busy until the time limit; None: as for :attr:`most`."""
        return self._capped(self.costs.busy)

    @property
    def likely(self) -> float | None:
        """What it will probably cost from now on; None: as for :attr:`most`."""
        return self._capped(self.costs.likely)

    def _capped(self, amount: float) -> float | None:
        if self.costs.unpriced:
            return None
        return amount if self.max_cost is None else min(amount, max(0.0, self.max_cost - self.committed))

    @property
    def committed_by_each(self) -> float:
        """What the greediest experiment commits with all its workers busy; see :func:`most_committed`."""
        return max((most_committed(group, self.costs) for group in self.groups), default=0.0)

    def as_object(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "tag": self.tag,
            "backend": self.backend,
            "experiments": {
                "count": len(self.cells),
                "names": [cell.name for cell in self.cells],
                "states": self.states,
                "groups": [_group(group) for group in self.groups],
            },
            "region": self.region,
            "account": self.account,
            "results": self.results,
            "quotas": [need.as_object() for need in self.quotas],
            "time": {
                "at_once": self.course.at_once,
                "waves": self.course.count,
                "seconds": self.course.seconds,
                "without_room": self.course.stuck,
                "affordable": self.affordable,
            },
            "cost": {
                "most": self.most,
                "busy": self.busy,
                "likely": self.likely,
                "basis": self.costs.basis,
                "items": [item.as_object() for item in self.costs.items],
                "unpriced": self.costs.unpriced,
                "max_cost": self.max_cost,
                "committed": self.committed,
                "committed_by_each": self.committed_by_each,
            },
            "problems": self.problems,
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """For people."""
        from cloudtune.studies.preview_text import preview_lines

        return preview_lines(self)


def preview(
    catalogue: Catalogue,
    plan: Plan,
    account: Account | None,
    *,
    max_cost: float | None = None,
    max_parallel_experiments: int | None = None,
    tuners_are_jobs: bool = True,
) -> Preview:
    """Looks ahead. Creates nothing, and works as far as AWS answers: what could not be asked is said.

    Args:
        catalogue: Of benchmarks and methods.
        plan: What is to be launched.
        account: Where. None: here, without AWS (trials of the backend ``"local"``).
        max_cost: Limit of money for the study, in US dollars.
        max_parallel_experiments: So many cells run at once; None: all.
        tuners_are_jobs: Each tuner has a machine of its own; False: tuners run here, one after the other.

    Raises:
        UnknownName: There is no such method or benchmark.
        ValueError: Settings contradict each other.
        BadFile: The user's own file of prices or quotas is not in the form that it should have.
    """
    cells, settings = catalogue.cells(plan), plan.settings
    facts = AccountFacts() if account is None else AccountFacts.of(account, plan.tag)
    standing = facts.standing()
    known = [] if standing is None else standing.cells
    states = {one.name: one.state for one in known}
    tuners = CellTuners(catalogue, settings, account)
    kept = KEPT_WARM if settings.warm_pool else 0.0
    groups = grouped((cell for cell in cells if states.get(cell.name) != FINISHED), tuners, tuners_are_jobs, kept)
    if account is None:
        groups = [_without_machines(group) for group in groups]
    at_once = max_parallel_experiments if tuners_are_jobs and account is not None else 1
    needs = quota_needs(groups, facts, at_once) if groups and account is not None else []
    book = facts.book()
    limit = dollars(book.limit) if max_cost is None and book is not None else max_cost
    costs, committed = expected_costs(groups, facts.region, known, settings.use_spot), _committed(book, cells, known)
    affordable = None if limit is None else _affordable(groups, costs, limit - committed)
    found = Preview(
        tag=plan.tag,
        backend=settings.backend,
        cells=cells,
        groups=groups,
        course=_course(groups, facts, _fewer(at_once, affordable)),
        costs=costs,
        states=_counted(cells, states),
        region=facts.region,
        account=facts.account,
        results=None if facts.place is None else facts.place.bucket.uri(facts.place.root),
        quotas=needs,
        max_cost=limit,
        committed=committed,
        affordable=affordable,
        notes=facts.notes,
    )
    found.problems.extend([*facts.problems, *_missing_inputs(catalogue, plan)])
    found.problems.extend(_refusals(catalogue, plan, cells, groups, facts, states))
    found.problems.extend(_short_quotas(needs, groups, facts))
    found.problems.extend(_impossible_limit(found, book))
    return found


def _without_machines(group: CellGroup) -> CellGroup:
    """The same on this machine."""
    return replace(group, tuner=None, trials=None, tuner_seconds=0.0, kept_seconds=0.0)


def _course(groups: Sequence[CellGroup], facts: AccountFacts, max_parallel: int | None) -> Waves:
    order = {cell: group for group in groups for cell in group.cells}
    wanted = [(group.machines, group.limit) for group in order.values()]
    return waves(wanted, lambda kind, spot: facts.quota(kind, spot=spot), max_parallel)


def _affordable(groups: Sequence[CellGroup], costs: Costs, left: float) -> int | None:
    """How many experiments can have all their workers busy at once with so much money; None: it is not known."""
    each = max((most_committed(group, costs) for group in groups), default=0.0)
    return None if costs.unpriced or not each else max(0, math.floor(left / each))


def _fewer(at_once: int | None, affordable: int | None) -> int | None:
    """So many run at once by both; one does with fewer of its workers, if there is not enough for all of them."""
    if affordable is None:
        return at_once
    return max(1, affordable) if at_once is None else min(at_once, max(1, affordable))


def _counted(cells: Iterable[Cell], states: dict[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cell in cells:
        state = states.get(cell.name)
        if state is not None:
            counts[state] = counts.get(state, 0) + 1
    return counts


def _committed(book: Book | None, cells: Iterable[Cell], known: Iterable[CellStanding]) -> float:
    """What is gone of the limit for good: what other experiments of the study hold, and those that have finished."""
    names = {cell.name for cell in cells}
    finished = {one.name for one in known if one.state == FINISHED}
    if book is not None:
        return dollars(sum(s.reserved for name, s in book.shares.items() if name in finished or name not in names))
    return sum(one.cost for one in known if one.name in finished or one.name not in names)


def _missing_inputs(catalogue: Catalogue, plan: Plan) -> Iterable[str]:
    for name in plan.benchmarks:
        try:
            check_inputs(catalogue.benchmark(name))
        except InputMissing as error:
            yield str(error)


def _refusals(
    catalogue: Catalogue,
    plan: Plan,
    cells: Sequence[Cell],
    groups: Sequence[CellGroup],
    facts: AccountFacts,
    states: dict[str, str],
) -> Iterable[str]:
    """Methods that cannot be made, and experiments that exist with other settings."""
    unusable = list(unusable_methods(catalogue, plan, (group.first for group in groups)))
    yield from unusable
    if facts.place is None or unusable:
        return
    try:
        by_name, records = {cell.name: cell for cell in cells}, CellRecords(facts.place)
        recorded = dict.fromkeys(records.names())
        there = records.read(name for name in by_name if name in recorded)
        check_for_conflicts(catalogue, plan, facts.place, by_name, there, states)
    except AwsError as error:
        facts.note(f"whether experiments exist with other settings is not known: {' '.join(str(error).split())}")
    except (ValueError, CloudtuneError) as error:
        yield f"nothing would be launched: {error}"


def _short_quotas(needs: Sequence[QuotaNeed], groups: Sequence[CellGroup], facts: AccountFacts) -> Iterable[str]:
    """Quotas that have no room for an experiment even if nothing else runs, and warm pools that are not kept."""
    stuck = [group for group in groups if _course([group], facts, 1).stuck]
    kinds = {one.types[0] for group in stuck for one in group.machines}
    for need in needs:
        if need.have is None or need.instead_of or need.have >= need.one_experiment:
            continue
        if "warm pool" in need.name:
            yield (
                f"the account may keep {need.have} machines in warm pools, and an experiment would keep "
                f"{need.one_experiment}: SageMaker keeps no more than that, without saying so; {need.raised_by}"
            )
        elif need.instance_type in kinds:
            yield (
                f"an experiment needs {need.one_experiment:,} instances at once, and the account's quota {need.name!r} "
                f"is {need.have}: it is not launched; {need.raised_by}"
            )


def _impossible_limit(found: Preview, book: Book | None) -> Iterable[str]:
    if found.max_cost is None:
        return
    if found.costs.unpriced:
        kinds = ", ".join(found.costs.unpriced)
        yield (
            f"max_cost cannot be kept: no price is known for {kinds} in {found.region or 'an unknown region'}; "
            "`cloudtune doctor --refresh-prices` asks AWS"
        )
        return
    total = 0.0 if book is None else dollars(book.committed)
    if found.max_cost < total:
        yield f"max_cost is ${found.max_cost:,.2f}, and ${total:,.2f} are spent or committed already"
        return
    needed = min((_least(group, found.costs) for group in found.groups), default=0.0)
    if found.max_cost - found.committed < needed:
        yield (
            f"max_cost is ${found.max_cost:,.2f}, and committing one experiment takes ${needed:,.2f}, for its tuner's "
            "job and one trial: nothing would be launched; raise it, or lower --max_wallclock_time"
        )


def _least(group: CellGroup, costs: Costs) -> float:
    """US dollars that are committed when an experiment begins: for its tuner's job, and for one trial."""
    return committed_by(group, costs, trials=1)


def most_committed(group: CellGroup, costs: Costs) -> float:
    """US dollars that an experiment commits with all its workers busy: for its tuner's job, and for their trials.

    Money for one more trial is fetched before a worker is free for it.
    """
    trials = group.most_trials_at_once + (Purse().ahead if group.trials is not None else 0)
    return committed_by(group, costs, trials if group.max_trials is None else min(trials, group.max_trials))


def committed_by(group: CellGroup, costs: Costs, trials: int) -> float:
    """US dollars that an experiment commits for its tuner's job and so many trials, by the prices that are known."""
    prices = {(item.what, item.instance_type): item.usd_per_hour or 0.0 for item in costs.items}
    tuner = 0.0 if group.tuner is None else prices["tuners", group.tuner.types[0]] * group.tuner_seconds
    if group.trials is None:
        return tuner / 3600
    dearest = max(prices.get(("trials", kind), 0.0) for kind in group.trials.types)
    return (tuner + trials * dearest * (group.trial_seconds + STOP_GRACE + group.kept_seconds)) / 3600


def _group(group: CellGroup) -> dict[str, Any]:
    first = group.first
    return {
        "method": first.method,
        "benchmark": first.benchmark,
        "n_workers": first.n_workers,
        "seeds": [cell.seed for cell in group.cells],
        "max_wallclock_time": group.limit,
        "tuner": _machines(group.tuner),
        "trials": _machines(group.trials),
    }


def _machines(machines: Machines | None) -> dict[str, Any] | None:
    return None if machines is None else {**machines.as_object(), "types": list(machines.types)}
