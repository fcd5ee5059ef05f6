"""What launching cells costs: at most, with all workers busy until the time limit, and probably."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.prices import find_price
from cloudtune.experiments.quantities import plural
from cloudtune.studies.cell_standing import FINISHED

if TYPE_CHECKING:
    from cloudtune.aws.prices import Price
    from cloudtune.studies.cell_groups import CellGroup
    from cloudtune.studies.cell_standing import CellStanding

#: What an item of trials' machines is called.
TRIALS = "trials"
#: Seconds in which a trial's first machine starts, which AWS does not bill; a few minutes are usual.
_STARTING = 180.0
#: Seconds that a tuner's job runs beyond its experiment: installing before, closing after.
_AROUND = 600.0


@dataclass(frozen=True)
class Item:
    """Machines of one kind.

    Args:
        what: ``"trials"`` or ``"tuners"``.
        instance_type: The dearest that there may be.
        usd_per_hour: Of one; None: no price is known.
        source: Of the price, as a sentence's end; "" where there is none.
        busy_hours: Machine hours of all cells together, if all workers are busy until the time limit.
        most_hours: The same, at most.
        likely: US dollars, probably; None: no price is known.
    """

    what: str
    instance_type: str
    usd_per_hour: float | None
    source: str
    busy_hours: float
    most_hours: float
    likely: float | None

    @property
    def busy(self) -> float | None:
        """US dollars, if all workers are busy until the time limit; None: no price is known."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.busy_hours

    @property
    def most(self) -> float | None:
        """US dollars, at most; None: no price is known."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.most_hours

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "instance_type": self.instance_type,
            "usd_per_hour": self.usd_per_hour,
            "source": self.source,
            "busy_hours": self.busy_hours,
            "busy": self.busy,
            "most_hours": self.most_hours,
            "most": self.most,
            "likely": self.likely,
        }


@dataclass(frozen=True)
class Costs:
    """US dollars.

    Args:
        items: What they are made of.
        basis: How what it probably costs is estimated, in sentences.
        unpriced: Types of instance without a price: what they cost is in no sum.
    """

    items: list[Item] = field(default_factory=list)
    basis: str = ""
    unpriced: list[str] = field(default_factory=list)

    @property
    def busy(self) -> float:
        """If all workers are busy until the time limit, of all that has a price."""
        return sum(item.busy for item in self.items if item.busy is not None)

    @property
    def most(self) -> float:
        """At most, of all that has a price."""
        return sum(item.most for item in self.items if item.most is not None)

    @property
    def likely(self) -> float:
        """Probably, of all that has a price."""
        return sum(item.likely for item in self.items if item.likely is not None)


def expected_costs(
    groups: Sequence[CellGroup], region: str | None, known: Iterable[CellStanding], use_spot: bool
) -> Costs:
    """The costs of cells that are about to be launched.

    Args:
        groups: The cells.
        region: Of the jobs; None: not known, and no price is.
        known: Experiments of the study, of which those that have finished tell how much of the time machines are busy.
        use_spot: Trials run on spot capacity.

    Raises:
        BadFile: The user's own file of prices is not in the form that it should have.
    """
    finished = [one for one in known if one.state == FINISHED and one.cell is not None and one.seconds > 0]
    items: list[Item] = []
    guessed, told_by = False, set[str]()
    for group in groups:
        number = len(group.cells)
        if group.trials is not None:
            rate = _known_rate(group, finished)
            guessed = guessed or rate is None
            told_by |= set() if rate is None else rate.experiments
            items.append(_of_trials(group, number, region, rate))
        if group.tuner is not None:
            price, kind = _dearest(group.tuner.types, region)
            likely = None if price is None else number * (group.limit + _AROUND) * price.usd_per_hour / 3600
            seconds = number * group.tuner_seconds
            items.append(_item("tuners", kind, price, seconds, seconds, likely))
    unpriced = dict.fromkeys(
        kind for group in groups for one in group.machines for kind in one.types if _price(kind, region) is None
    )
    return Costs(_merged(items), _basis(groups, guessed, len(told_by), use_spot), list(unpriced))


def _of_trials(group: CellGroup, number: int, region: str | None, rate: _Rate | None) -> Item:
    assert group.trials is not None
    price, kind = _dearest(group.trials.types, region)
    kept = min(group.trials.count, group.most_trials_at_once) * group.kept_seconds
    first = _price(group.trials.types[0], region)
    likely: float | None = None
    if rate is not None:
        likely = rate.per_worker_second * group.trials.count * group.limit
        if group.max_trials is not None and rate.per_trial is not None:
            likely = min(likely, group.max_trials * rate.per_trial)
    elif first is not None:
        starting = group.trials.count * min(_STARTING, group.limit)
        likely = max(0.0, group.busy_seconds - starting) * first.usd_per_hour / 3600
    if price is not None and likely is not None:
        likely = min(likely, (group.busy_seconds + kept) * price.usd_per_hour / 3600)
    busy, most = number * (group.busy_seconds + kept), number * group.most_seconds
    return _item(TRIALS, kind, price, busy, most, None if likely is None else number * likely)


@dataclass(frozen=True)
class _Rate:
    """What finished experiments have cost.

    Args:
        per_worker_second: US dollars for a second of one worker.
        per_trial: US dollars for a trial; None: there was none.
        experiments: Their names.
    """

    per_worker_second: float
    per_trial: float | None
    experiments: frozenset[str]


def _known_rate(group: CellGroup, finished: Sequence[CellStanding]) -> _Rate | None:
    """By experiments of the same benchmark: with the same method if there are any, else with others."""
    alike = [one for one in finished if one.cell is not None and one.cell.benchmark == group.first.benchmark]
    same = [one for one in alike if one.cell is not None and one.cell.method == group.first.method]
    some = same or alike
    seconds = sum(one.seconds * one.cell.n_workers for one in some if one.cell is not None)
    # Where nothing was billed, no price was known then.
    cost = sum(one.cost for one in some)
    if seconds <= 0 or cost <= 0:
        return None
    trials = sum(sum(one.trials.values()) for one in some)
    return _Rate(cost / seconds, cost / trials if trials else None, frozenset(one.name for one in some))


def _dearest(types: Sequence[str], region: str | None) -> tuple[Price | None, str]:
    """The highest price among some types, and whose it is; None where one of them has no price."""
    prices = [(_price(kind, region), kind) for kind in types]
    for price, kind in prices:
        if price is None:
            return None, kind
    return max(prices, key=lambda one: one[0].usd_per_hour if one[0] is not None else 0.0)


def _price(kind: str, region: str | None) -> Price | None:
    return None if region is None else find_price(kind, region)


def _item(what: str, kind: str, price: Price | None, busy: float, most: float, likely: float | None) -> Item:
    source = "" if price is None else price.source if price.date is None else f"{price.source}, {price.date}"
    return Item(what, kind, None if price is None else price.usd_per_hour, source, busy / 3600, most / 3600, likely)


def _merged(items: Iterable[Item]) -> list[Item]:
    """One item for each kind of machine."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        key = (item.what, item.instance_type)
        before = found.get(key)
        if before is not None:
            both = None if before.likely is None or item.likely is None else before.likely + item.likely
            busy_hours, most_hours = before.busy_hours + item.busy_hours, before.most_hours + item.most_hours
            item = replace(item, busy_hours=busy_hours, most_hours=most_hours, likely=both)
        found[key] = item
    return list(found.values())


def _basis(groups: Sequence[CellGroup], guessed: bool, finished: int, use_spot: bool) -> str:
    if not any(group.trials is not None for group in groups):
        return "each machine from its start until its experiment's time limit"
    told = []
    if finished and not guessed:
        told.append(f"by what {plural(finished, 'finished experiment')} of this study cost per worker and hour")
    else:
        told.append(
            "as if all workers were busy from three minutes after their start until the time limit, for no finished "
            "experiment of this study tells how much less that is: trials that are stopped early, and the starts of "
            "their successors, which AWS does not bill"
        )
        if use_spot:
            told.append("at prices on demand, for nobody knows before what spot capacity will save")
    if any(group.max_trials is not None for group in groups):
        told.append("bounded by max_num_trials_started")
    return "; ".join(told)
