"""Runs the winner of a study again: its best configuration, on random seeds that the study has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudtune.config_space import config_digest
from cloudtune.errors import ExperimentMismatch
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import MASTER_SEED, Account, CellTuners
from cloudtune.studies.plan import Plan
from cloudtune.studies.seed_searcher import SeedSearcher
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.winners import RERUN_OF, NothingToRerun, Winner

if TYPE_CHECKING:
    from cloudtune.optimizer.scheduler import TrialScheduler
    from cloudtune.studies.benchmark import BenchmarkDefinition
    from cloudtune.studies.methods import MethodArguments
    from cloudtune.trial import Config

#: Of metadata, beside RERUN_OF: the trial that was run again, and what it had reported.
RERUN_TRIAL, RERUN_VALUE = "rerun_trial", "rerun_value"
#: Of what identifies the configuration in the name of the experiment.
_DIGEST_LENGTH = 6


@dataclass(frozen=True)
class Rerun:
    """One configuration on so many seeds: an experiment of its own, a trial per seed, each trained to its end.

    Its name tells tag, benchmark and configuration; run or launched again, it is continued. More seeds only add to
    those that there are.

    Args:
        catalogue: Of the study.
        winner: What is run again.
        num_seeds: How often.
        settings: Where trials run, for how long at most, and a master seed in place of the study's.
        account: For trials that are training jobs.
        n_workers: Trials at the same time. Default: the benchmark's.

    Raises:
        UnknownName: The catalogue has no such benchmark.
        NothingToRerun: Its script takes no seed.
        ValueError: ``num_seeds`` is no number of seeds.
    """

    catalogue: Catalogue
    winner: Winner
    num_seeds: int
    settings: CellSettings
    account: Account
    n_workers: int | None = None

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be at least 1, got {self.num_seeds}")
        if self.benchmark.seed_attr is None:
            raise NothingToRerun(
                f"benchmark {self.winner.benchmark!r} names no argument of its script that seeds it, so that all runs "
                "would be alike; add the argument to the script, and its name as seed_attr to the definition"
            )

    @property
    def benchmark(self) -> BenchmarkDefinition:
        """Of the winner."""
        return self.catalogue.benchmark(self.winner.benchmark)

    @property
    def config(self) -> Config:
        """What all trials have in common: the winner's configuration, to be trained to the end, without a seed."""
        benchmark = self.benchmark
        fixed = {**self.winner.config, benchmark.max_resource_attr: benchmark.max_resource_level}
        return {name: value for name, value in fixed.items() if name != benchmark.seed_attr}

    @property
    def plan(self) -> Plan:
        """The experiment as a plan of one cell. Its method does nothing but draw seeds."""
        # Whatever num_seeds is: the number stands in the name, and more seeds are to go into the same experiment.
        workers = self.n_workers or self.benchmark.n_workers
        limit = self.settings.max_wallclock_time
        if limit is None:
            # A trial has time enough in an experiment of the benchmark; here come several, one after the other.
            limit = self.benchmark.max_wallclock_time * math.ceil(self.num_seeds / workers)
        settings = replace(
            self.settings,
            random_seed=self.winner.master_seed if self.settings.random_seed is None else self.settings.random_seed,
            max_wallclock_time=limit,
            max_num_trials_started=self.num_seeds,
            scale_max_wallclock_time=False,
            extra={
                RERUN_OF: self.winner.experiment,
                RERUN_TRIAL: self.winner.trial_id,
                RERUN_VALUE: self.winner.value,
            },
        )
        method = f"rerun-{config_digest(self.config)[:_DIGEST_LENGTH]}"
        return Plan(self.winner.tag, (self.winner.benchmark,), (method,), (workers,), settings=settings)

    @property
    def own_catalogue(self) -> Catalogue:
        """The benchmark, and the method of the plan."""
        (method,) = self.plan.methods
        return Catalogue({self.winner.benchmark: lambda: self.benchmark}, {method: self._scheduler})

    @property
    def cell(self) -> Cell:
        """The one of the plan."""
        (cell,) = self.own_catalogue.cells(self.plan)
        return cell

    @property
    def name(self) -> str:
        """Of the experiment."""
        return self.cell.name

    def going_on(self, metadata: Mapping[str, Any]) -> Rerun:
        """The same on the seeds on which its experiment has begun.

        Args:
            metadata: Of the experiment.

        Raises:
            ExperimentMismatch: Another master seed was given.
        """
        begun, given = metadata.get(MASTER_SEED), self.settings.random_seed
        if begun is None or begun == given:
            return self
        if given is not None:
            raise ExperimentMismatch(
                f"experiment '{self.name}' began with --random_seed {begun}, now it is {given}: leave it out; a higher "
                "--num_seeds adds further seeds to those that there are"
            )
        return replace(self, settings=replace(self.settings, random_seed=begun))

    def tuners(self) -> CellTuners:
        """What makes its tuner, or launches it."""
        return CellTuners(self.own_catalogue, self.plan.settings, self.account)

    def _scheduler(self, arguments: MethodArguments) -> TrialScheduler:
        benchmark, settings = arguments.benchmark, self.plan.settings
        assert benchmark.seed_attr is not None
        master = settings.master_seed(self.winner.tag)
        searcher = SeedSearcher(self.config, benchmark.seed_attr, master, benchmark.name)
        return FIFOScheduler(
            searcher.config_space,
            searcher,
            metric=benchmark.metric,
            mode=benchmark.mode,
            random_seed=master,
            resource_attr=benchmark.resource_attr,
            max_resource_attr=benchmark.max_resource_attr,
        )
