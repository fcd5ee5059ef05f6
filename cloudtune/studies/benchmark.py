"""What a benchmark is: a training script, what may be tuned, and how it is usually run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class BenchmarkDefinition:
    """A training script with everything needed to tune it.

    Args:
        name: Name of the benchmark, as typed on the command line.
        script: Path of the training script. None: there is none, and trials are only simulated.
        config_space: Hyperparameter domains, and constants that every trial receives.
        metric: Key of the reports that is optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of the reports that counts epochs.
        max_resource_attr: Key of ``config_space`` that tells the script for how many epochs to train.
        max_wallclock_time: Default limit of an experiment, in seconds.
        n_workers: Default number of trials at the same time.
        instance_type: SageMaker instance for one trial.
        local_instance_type: SageMaker instance for a tuner with all its trials beside it, each of which takes a GPU if
            there is one. Default: the same.
        grace_period: Epochs after which a multi-fidelity method may first stop a trial.
        reduction_factor: Of each rung, such a method continues the best 1/``reduction_factor``.
        environment: Environment variables of every trial.
        inputs: Data that trials read: name of the input channel -> an ``s3://`` prefix, or a folder of this machine. A
            trial finds the channel ``wikitext2`` where ``$SM_CHANNEL_WIKITEXT2`` says.
        inputs_from: Where to get the data and where to put it, for the message where it is missing.
        seed_attr: Argument of the script that seeds what is random in it; None: it has none.
        blackbox: Name of the table of its learning curves, as :func:`~cloudtune.blackbox.registry.load_blackbox` knows
            it, for trials that are simulated. What the table does not have is taken from the nearest configuration.

    Raises:
        ValueError: ``mode`` is neither, ``max_resource_attr`` is not a key of ``config_space``, or there is neither a
            script nor a blackbox.
        FileNotFoundError: There is no such script.
    """

    name: str
    script: Path | None
    config_space: Mapping[str, Any]
    metric: str
    mode: str
    resource_attr: str
    max_resource_attr: str
    max_wallclock_time: float
    n_workers: int = 4
    instance_type: str = "ml.g4dn.xlarge"
    local_instance_type: str | None = None
    grace_period: int = 1
    reduction_factor: int = 3
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    inputs_from: str = ""
    seed_attr: str | None = None
    blackbox: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"benchmark '{self.name}': mode must be 'min' or 'max', got {self.mode!r}")
        if self.max_resource_attr not in self.config_space:
            raise ValueError(
                f"benchmark '{self.name}': max_resource_attr {self.max_resource_attr!r} is not in the config space; "
                "add it there as a constant"
            )
        if self.script is None:
            if self.blackbox is None:
                raise ValueError(f"benchmark '{self.name}': give a training script, or the name of a blackbox")
        elif not self.script.is_file():
            raise FileNotFoundError(f"benchmark '{self.name}': there is no training script {self.script}")

    @property
    def training_script(self) -> Path:
        """The training script.

        Raises:
            ValueError: There is none.
        """
        if self.script is None:
            raise ValueError(
                f"benchmark '{self.name}' has no training script, only recorded learning curves; "
                "use backend='simulator'"
            )
        return self.script

    @property
    def local_machine(self) -> str:
        """SageMaker instance for a tuner with all its trials beside it."""
        return self.local_instance_type or self.instance_type

    @property
    def max_resource_level(self) -> int:
        """Epochs of a trial that is not stopped."""
        return int(self.config_space[self.max_resource_attr])

    def with_constants(self, **constants: Any) -> BenchmarkDefinition:
        """The same benchmark with constants added to, or replaced in, its config space."""
        return replace(self, config_space={**self.config_space, **constants})
