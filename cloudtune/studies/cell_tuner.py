"""Makes the tuner of a cell, and what launches it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudtune.aws.rate_budget import ENV_RATES
from cloudtune.backend import LocalBackend
from cloudtune.backend.sagemaker_backend import SageMakerBackend, TrainingJob
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.inputs import InputChannels, channel_variables
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.simulated_cell import simulated
from cloudtune.tuner import Tuner

if TYPE_CHECKING:
    from cloudtune.backend.trial_backend import TrialBackend
    from cloudtune.remote.remote_launcher import RemoteLauncher

#: Seconds for which a machine is kept for the next trial.
KEPT_WARM = 600
#: Seconds that a trial's job may run beyond the experiment's own time: while its tuner is replaced it goes on.
_TRIAL_MARGIN = 1800
#: Longest run of a trial's job where nothing shorter follows from the experiment, in seconds: a day.
_LONGEST_TRIAL = 86_400

# Of metadata, beside a user's own.
TAG, BENCHMARK, METHOD, N_WORKERS, SEED = "tag", "benchmark", "method", "n_workers", "seed"
MASTER_SEED = "master_seed"
OWN_KEYS = frozenset({TAG, BENCHMARK, METHOD, N_WORKERS, SEED, MASTER_SEED})


@dataclass(frozen=True)
class Account:
    """Where experiments run and lie, in AWS. None: found as :class:`RemoteLauncher` finds it.

    Args:
        s3_path: ``s3://bucket[/prefix]``.
        role: ARN or name of the role of all jobs.
        region: Of all jobs.
        profile: Of the AWS credentials file.
        image_uri: Image of the trials' jobs.
        tuner_image_uri: Image of the tuners' jobs.
        tuner_instance_type: Machine of the tuners' jobs, where trials are jobs of their own.
        environment: Variables of the trials' jobs.
    """

    s3_path: str | None = None
    role: str | None = None
    region: str | None = None
    profile: str | None = None
    image_uri: str | None = None
    tuner_image_uri: str | None = None
    tuner_instance_type: str = "ml.m5.large"
    environment: Mapping[str, str] = field(default_factory=dict)


class CellTuners:
    """Makes tuners of cells.

    Args:
        catalogue: Of benchmarks and methods.
        settings: Of all cells.
        account: For trials that are training jobs, and for launchers.
    """

    def __init__(self, catalogue: Catalogue, settings: CellSettings, account: Account | None = None) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.account = account or Account()
        self._channels = InputChannels(self.account.s3_path, self.account.region, self.account.profile)
        taken = sorted(OWN_KEYS & settings.extra.keys())
        if taken:
            raise ValueError(f"an argument of one's own cannot be called {', '.join(taken)}: metadata has that name")

    def wallclock_limit(self, cell: Cell) -> float:
        """Active tuning time of a cell in seconds: longer for fewer workers than usual, where that is wanted."""
        benchmark, settings = self.catalogue.benchmark(cell.benchmark), self.settings
        limit = benchmark.max_wallclock_time if settings.max_wallclock_time is None else settings.max_wallclock_time
        if settings.scale_max_wallclock_time and cell.n_workers < benchmark.n_workers:
            limit *= benchmark.n_workers / cell.n_workers
        return limit

    def trial_limit(self, cell: Cell) -> int:
        """Seconds that the job of one of its trials may run."""
        return min(_LONGEST_TRIAL, math.ceil(self.wallclock_limit(cell)) + _TRIAL_MARGIN)

    def tuner(self, cell: Cell) -> Tuner:
        """The tuner of a cell. Running or launching it again continues the cell's experiment.

        Raises:
            UnknownName: There is no such method or benchmark.
            ValueError: Settings and benchmark do not fit together.
            InputMissing: Data of the benchmark is not there.
        """
        return self._tuner(cell, is_shipped=False)

    def _tuner(self, cell: Cell, is_shipped: bool) -> Tuner:
        settings, benchmark = self.settings, self.catalogue.benchmark(cell.benchmark)
        scheduler = self.catalogue.scheduler(cell, settings)
        told_by_method = scheduler.metadata().keys()
        return Tuner(
            trial_backend=self._backend(cell, benchmark, is_shipped),
            scheduler=scheduler,
            stop_criterion=StoppingCriterion(
                max_wallclock_time=self.wallclock_limit(cell),
                max_num_trials_started=settings.max_num_trials_started,
            ),
            n_workers=cell.n_workers,
            tuner_name=cell.name,
            suffix_tuner_name=False,
            max_failures=settings.max_failures,
            start_jobs_without_delay=settings.start_jobs_without_delay or None,
            metadata={key: value for key, value in self.metadata(cell).items() if key not in told_by_method},
        )

    def metadata(self, cell: Cell) -> dict[str, Any]:
        """What tells a cell's experiment from others: by these, comparisons group them."""
        return {
            TAG: cell.tag,
            BENCHMARK: cell.benchmark,
            METHOD: cell.method,
            N_WORKERS: cell.n_workers,
            SEED: cell.seed,
            MASTER_SEED: self.settings.master_seed(cell.tag),
            **self.settings.extra,
        }

    def launcher(self, cell: Cell) -> RemoteLauncher:
        """What ships the cell's tuner to a machine of its own."""
        from cloudtune.remote import RemoteLauncher

        account, benchmark = self.account, self.catalogue.benchmark(cell.benchmark)
        beside = self.settings.backend == "local"
        # How often AWS may be called is the account's, whoever calls.
        rates = {name: os.environ[name] for name in (ENV_RATES,) if name in os.environ}
        of_trials = {**benchmark.environment, **account.environment} if beside else {}
        return RemoteLauncher(
            self._tuner(cell, is_shipped=True),
            role=account.role,
            instance_type=self.tuner_machine(cell),
            image_uri=account.tuner_image_uri,
            s3_path=account.s3_path,
            tag=cell.tag,
            region=account.region,
            profile=account.profile,
            # Trials beside the loop find the channels and the variables of its job.
            inputs=self._channels.of(benchmark) if beside else None,
            environment={**rates, **of_trials},
        )

    def tuner_machine(self, cell: Cell) -> str:
        """Type of the machine that the cell's tuner runs on, where that is a job."""
        if self.settings.backend != "local":
            return self.account.tuner_instance_type
        # Trials run on the tuner's machine: it is the trials' that counts.
        return (self.settings.instance_type or (self.catalogue.benchmark(cell.benchmark).local_machine,))[0]

    def _backend(self, cell: Cell, benchmark: BenchmarkDefinition, is_shipped: bool) -> TrialBackend:
        settings = self.settings
        if settings.backend == "local":
            found = {} if is_shipped else channel_variables(benchmark)
            return LocalBackend(
                entry_point=benchmark.training_script,
                delete_checkpoints=settings.delete_checkpoints,
                environment={**found, **benchmark.environment, **self.account.environment},
            )
        if settings.backend == "simulator":
            return simulated(cell, benchmark, settings)
        account = self.account
        types = settings.instance_type or (benchmark.instance_type,)
        job = TrainingJob(
            benchmark.training_script.name,
            source_dir=benchmark.training_script.parent,
            instance_type=types[0],
            image_uri=account.image_uri,
            role=account.role,
            inputs=self._channels.of(benchmark),
            environment={**benchmark.environment, **account.environment},
            # What it may cost at most is held against a limit of money: no job is to be allowed more than it can need.
            max_run=self.trial_limit(cell),
            use_spot=settings.use_spot,
            keep_alive_period=KEPT_WARM if settings.warm_pool else 0,
        )
        return SageMakerBackend(
            job,
            s3_path=account.s3_path,
            region=account.region,
            profile=account.profile,
            fallback_instance_types=types[1:],
            delete_checkpoints=settings.delete_checkpoints,
        )
