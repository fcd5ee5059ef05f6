"""The flags of the commands that launch studies, in one table.

Each sets one member of :class:`Plan`, of its :class:`CellSettings`, of :class:`Account` or of :class:`LaunchArguments`;
where it is not given, that member's own default counts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import BACKENDS, CellSettings


@dataclass(frozen=True)
class LaunchArguments:
    """How a plan is launched, which makes no difference to what its experiments are.

    Args:
        max_cost: Hard limit of what all cells together may cost, in dollars.
        max_parallel_experiments: Tuners at the same time; the others wait.
        local_cloud: On the local cloud: one that is up, or else one for the time of the command.
        dry_run: Show the plan and what it would cost, and launch nothing.
        wait: Until all experiments have ended. None: only where the command could not end before them.
        yes: Ask nothing.

    Raises:
        ValueError: The limit of money is no number above 0.
    """

    max_cost: float | None = None
    max_parallel_experiments: int | None = None
    local_cloud: bool = False
    dry_run: bool = False
    wait: bool | None = None
    yes: bool = False

    def __post_init__(self) -> None:
        if self.max_cost is not None and not 0 < self.max_cost < math.inf:
            raise ValueError(
                f"max_cost must be a number of dollars above 0, got {self.max_cost}; leave it out for no limit"
            )


@dataclass(frozen=True)
class Flag:
    """A flag.

    Args:
        name: As it is typed, without ``--``; dashes do for underscores.
        type: Of its value.
        sets: What it sets: ``plan``, ``settings``, ``account`` or ``launch``, a dot, and the member.
        help: For ``--help``.
        several: It takes several values.
        least: Smallest value.
        above: The value must be above this.
        choices: All values there are.
        metavar: Stands for the value in ``--help``.
    """

    name: str
    type: type[int | float | str | bool]
    sets: str
    help: str
    several: bool = False
    least: int | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str = ""

    @property
    def owner(self) -> str:
        """The first part of ``sets``."""
        return self.sets.partition(".")[0]

    @property
    def member(self) -> str:
        """The second part of ``sets``."""
        return self.sets.partition(".")[2]

    @property
    def default(self) -> Any:
        """What counts where it is not given; None where there is none, or another thing decides."""
        fields = {one.name: one for one in dataclasses.fields(OWNERS[self.owner])}
        value = fields[self.member].default
        return None if value in (dataclasses.MISSING, (), (None,)) else value


#: What flags set members of, by the first part of :attr:`Flag.sets`.
OWNERS: Mapping[str, Any] = {
    "plan": Plan,
    "settings": CellSettings,
    "account": Account,
    "launch": LaunchArguments,
}

#: Every flag, in the order of ``--help``.
FLAGS: tuple[Flag, ...] = (
    Flag("experiment_tag", str, "plan.tag", "Of the study: what its experiments have in common.", metavar="TAG"),
    Flag("benchmark", str, "plan.benchmarks", "What is tuned; several: one after the other.", several=True),
    Flag(
        "method",
        str,
        "plan.methods",
        "What tunes; several are compared. [default: those of RS, BO, ASHA, MOBSTER that there are]",
        several=True,
    ),
    Flag(
        "n_workers",
        int,
        "plan.n_workers",
        "Trials at the same time; several: experiments with each. [default: the benchmark's]",
        several=True,
        least=1,
    ),
    Flag("num_seeds", int, "plan.num_seeds", "Repetitions of each experiment.", least=1),
    Flag("start_seed", int, "plan.start_seed", "Number of the first repetition.", least=0),
    Flag("random_seed", int, "settings.random_seed", "Master seed. [default: one that the tag decides]", least=0),
    Flag(
        "backend",
        str,
        "settings.backend",
        "Where trials run: each as a training job, beside the tuner, or only in tables of learning curves.",
        choices=BACKENDS,
    ),
    Flag(
        "max_wallclock_time",
        float,
        "settings.max_wallclock_time",
        "Seconds of tuning, of each experiment. [default: the benchmark's]",
        above=0,
        metavar="SECONDS",
    ),
    Flag(
        "scale_max_wallclock_time",
        bool,
        "settings.scale_max_wallclock_time",
        "With fewer workers than the benchmark's, tune that much longer.",
    ),
    Flag(
        "max_num_trials_started", int, "settings.max_num_trials_started", "Trials of each experiment, at most.", least=1
    ),
    Flag("max_failures", int, "settings.max_failures", "More failed trials than this end an experiment.", least=0),
    Flag(
        "instance_type",
        str,
        "settings.instance_type",
        "Of a trial's machine; several: the first that is to be had. [default: the benchmark's]",
        several=True,
        metavar="TYPE",
    ),
    Flag("use_spot", bool, "settings.use_spot", "Run trials on spot capacity."),
    Flag("warm_pool", bool, "settings.warm_pool", "Keep machines for the next trial, ten minutes at the longest."),
    Flag(
        "delete_checkpoints",
        bool,
        "settings.delete_checkpoints",
        "Delete a trial's checkpoints when it is over.",
    ),
    Flag(
        "start_jobs_without_delay",
        bool,
        "settings.start_jobs_without_delay",
        "A worker is free once its trial was told to stop: more machines than workers may run.",
    ),
    Flag(
        "max_cost",
        float,
        "launch.max_cost",
        "Dollars that all experiments together may cost, at most; what runs counts as if it ran to its limit.",
        above=0,
        metavar="DOLLARS",
    ),
    Flag(
        "max_parallel_experiments",
        int,
        "launch.max_parallel_experiments",
        "Experiments at the same time; the others wait. [default: as many as quotas allow]",
        least=1,
    ),
    Flag(
        "s3_path",
        str,
        "account.s3_path",
        "Where experiments lie. [default: CLOUDTUNE_S3_PATH, or the account's own bucket]",
        metavar="s3://BUCKET[/PREFIX]",
    ),
    Flag("role", str, "account.role", "Of all jobs. [default: found as for trials]", metavar="ARN"),
    Flag("region", str, "account.region", "Of AWS. [default: what AWS_REGION or the profile says]", metavar="NAME"),
    Flag("profile", str, "account.profile", "Of your AWS configuration.", metavar="NAME"),
    Flag(
        "image_uri", str, "account.image_uri", "Image of the trials' jobs. [default: by instance type]", metavar="URI"
    ),
    Flag(
        "tuner_image_uri",
        str,
        "account.tuner_image_uri",
        "Image of the tuners' jobs. [default: one with this Python]",
        metavar="URI",
    ),
    Flag(
        "tuner_instance_type",
        str,
        "account.tuner_instance_type",
        "Of a tuner's machine, where trials have machines of their own.",
        metavar="TYPE",
    ),
    Flag(
        "local_cloud",
        bool,
        "launch.local_cloud",
        "On the local cloud that is up, or else on one for the time of this command. Nothing costs.",
    ),
    Flag("dry_run", bool, "launch.dry_run", "Show the plan and what it would cost; launch nothing."),
    Flag("wait", bool, "launch.wait", "Until all experiments have ended; Ctrl-C leaves them."),
    Flag("yes", bool, "launch.yes", "Ask nothing."),
)
