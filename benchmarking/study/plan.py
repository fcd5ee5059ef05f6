"""Which experiments there are: for each claim its setups, on which tables, and how many seeds."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarking.study.experiment import Experiment, Setup
from benchmarking.study.tables import DIGITS, LONG, TASKSET, is_there

REGRET = "regret"
_PROMOTION = {"type": "promotion"}
_SAMPLED = {"max_num_trials_started": 256}
_SLOW_SHARE, _SLOW_FACTOR = 0.1, 8.0
#: As many brackets as synchronous Hyperband has by itself, up to four of them.
_BRACKETS = {"brackets": 4}
_ONE = {"brackets": 1}

SETUPS: Mapping[str, Sequence[Setup]] = {
    "workers": [
        Setup(f"{n} worker{'s' * (n > 1)}", "RandomSearch", n, limits={"max_num_trials_completed": 64})
        for n in (1, 2, 4, 8)
    ],
    "asha": [Setup("random search", "RandomSearch", whole_trials=16), Setup("ASHA", "ASHA", whole_trials=16)],
    "pasha": [
        Setup("ASHA", "ASHA", options=_PROMOTION, limits=_SAMPLED),
        Setup("PASHA", "PASHA", limits=_SAMPLED),
        # What PASHA comes to where its maximum never grows: the least that it can need.
        Setup(
            "ASHA to epoch 3", "ASHA", options={**_PROMOTION, "max_resource_attr": None, "max_t": 3}, limits=_SAMPLED
        ),
    ],
    "models": [
        Setup("random search", "RandomSearch", whole_trials=12),
        Setup("BO", "BayesianOptimization", whole_trials=12),
        # Longer, and ASHA would train a third of a table's configurations: then nobody can be much better.
        Setup("ASHA", "ASHA", whole_trials=3),
        Setup("MOBSTER", "MOBSTER", whole_trials=3),
    ],
    "cost": [
        Setup("random search, 8 workers", "RandomSearch", 8, whole_trials=10),
        Setup("BO, 2 workers", "BayesianOptimization", 2, whole_trials=10),
    ],
    "stragglers": [
        Setup("synchronous", "SyncHyperband", 8, _BRACKETS, whole_trials=8),
        Setup("asynchronous", "ASHA", 8, {**_PROMOTION, **_BRACKETS}, whole_trials=8),
        Setup("synchronous, stragglers", "SyncHyperband", 8, _BRACKETS, {}, 8, _SLOW_SHARE, _SLOW_FACTOR),
        Setup("asynchronous, stragglers", "ASHA", 8, {**_PROMOTION, **_BRACKETS}, {}, 8, _SLOW_SHARE, _SLOW_FACTOR),
        Setup("synchronous, one bracket, stragglers", "SyncHyperband", 8, _ONE, {}, 8, _SLOW_SHARE, _SLOW_FACTOR),
        Setup("asynchronous, one bracket, stragglers", "ASHA", 8, _PROMOTION, {}, 8, _SLOW_SHARE, _SLOW_FACTOR),
    ],
}
PEERS = ("cloudtune", "random", "optuna-gp", "optuna-tpe", "botorch")
PROBLEMS = ("branin", "hartmann6", "ackley10", "categorical", "conditional")
RECORDED = (DIGITS, *TASKSET)


@dataclass(frozen=True)
class Plan:
    """How much of it all is run.

    Args:
        seeds: How many, from 0.
        tables: For each claim the tables it is tested on, or the problems.
        peers: Optimizers whose regrets are compared.
        evaluations: After which they are compared.
        setups: For each claim.
        former_code: Whether records count that were made by other code than there is now.
        left_out: For each claim tables that cannot be had here, and that no record is of.
    """

    seeds: int
    tables: Mapping[str, Sequence[str]]
    peers: Sequence[str] = PEERS
    evaluations: int = 60
    setups: Mapping[str, Sequence[Setup]] = field(default_factory=lambda: SETUPS)
    former_code: bool = False
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def setups_of(self, claim: str) -> Sequence[Setup]:
        """What is compared for a claim."""
        if claim == REGRET:
            return [Setup(peer, peer, 1, limits={"evaluations": self.evaluations}) for peer in self.peers]
        return self.setups[claim]

    def experiments(self) -> list[Experiment]:
        """All of them, seed after seed, so that a plan that is cut short has the first seeds complete."""
        return [
            Experiment(claim, table, setup, seed)
            for seed in range(self.seeds)
            for claim, tables in self.tables.items()
            for table in tables
            for setup in self.setups_of(claim)
        ]

    def only(self, claims: Sequence[str]) -> Plan:
        """The same for some of the claims."""
        return replace(self, tables={claim: self.tables[claim] for claim in claims})

    def without_missing(self, known: Container[str]) -> Plan:
        """What can be judged here: the same without the tables that cannot be had, which it names as left out.

        Args:
            known: Keys of the records. A table counts as there if one seed is complete in them.
        """
        left_out = {
            claim: [table for table in tables if not is_there(table) and not self._has_seed(claim, table, known)]
            for claim, tables in self.tables.items()
            if claim != REGRET
        }
        left = {
            claim: [table for table in tables if table not in left_out.get(claim, ())]
            for claim, tables in self.tables.items()
        }
        return replace(self, tables=left, left_out=left_out)

    def _has_seed(self, claim: str, table: str, known: Container[str]) -> bool:
        return any(
            all(Experiment(claim, table, setup, seed).key in known for setup in self.setups_of(claim))
            for seed in range(self.seeds)
        )

    def missing_tables(self) -> list[str]:
        """Tables that cannot be had here, sorted."""
        named = {table for claim, tables in self.tables.items() if claim != REGRET for table in tables}
        return sorted(name for name in named if not is_there(name))


_ALL = dict.fromkeys(("workers", "asha", "stragglers"), RECORDED)

FULL = Plan(
    20,
    {**_ALL, "pasha": (*RECORDED, LONG), "models": RECORDED, "cost": RECORDED, REGRET: PROBLEMS},
    former_code=True,
)
#: For every change: small enough for a quarter of an hour; models are what takes time.
QUICK = Plan(
    3,
    {
        "workers": (DIGITS, *TASKSET[:2]),
        "asha": RECORDED,
        "stragglers": (DIGITS, *TASKSET[:3]),
        "pasha": RECORDED,
        "models": (DIGITS, TASKSET[2]),
        "cost": (DIGITS, TASKSET[2]),
        REGRET: PROBLEMS,
    },
    peers=("cloudtune", "random", "optuna-gp", "optuna-tpe"),
    evaluations=30,
)
PLANS: Mapping[str, Plan] = {"quick": QUICK, "full": FULL}
