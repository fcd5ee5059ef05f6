"""Loop here or as a training job, trials here or as training jobs, on the local cloud: ``make demo-remote``.

Four small experiments, one for each combination, tune the same network on scanned digits; each is loaded from wherever
it lies and ends in one row of a table. Nothing leaves this machine.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from benchmarking.definitions import BenchmarkDefinition, benchmark

if TYPE_CHECKING:
    from rich.console import Console

    from cloudtune import Tuner
    from cloudtune.localcloud import LocalCloud

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"
ROLE = "arn:aws:iam::123456789012:role/tuning"
BUCKET = "experiments"


@dataclass(frozen=True)
class Outcome:
    """What one experiment came to: trials done, lowest error, training jobs, seconds."""

    loop: str
    trials: str
    num_trials: int
    best: float
    jobs: int
    took: float


@click.command()
@click.option("--trials", type=click.IntRange(min=1), default=6, show_default=True, help="Trials of each experiment.")
@click.option("--workers", type=click.IntRange(min=1), default=3, show_default=True, help="Trials at the same time.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the method.")
def main(trials: int, workers: int, seed: int) -> None:
    """Tunes a small network on scanned digits in four ways, and shows what came out of each."""
    from rich.console import Console

    from cloudtune.localcloud import LocalCloud

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    console = Console(highlight=False, soft_wrap=True)
    with LocalCloud(start_delay=0.5) as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        outcomes = []
        for loop in ("here", "training job"):
            for place in ("there", "training jobs"):
                console.print(f"Loop: {loop}; trials: {place if place != 'there' else 'beside the loop'} ...")
                outcomes.append(_run(cloud, loop, place, trials, workers, seed))
        left = [job for job in cloud.jobs() if job["status"] in ("InProgress", "Stopping")]
    _show(outcomes, console)
    if left:
        raise click.ClickException(f"{len(left)} training jobs are left, which must not be")
    console.print("No training job is left.")


def make_tuner(
    definition: BenchmarkDefinition, as_jobs: bool, trials: int, workers: int, seed: int, name: str
) -> Tuner:
    """A tuner of a few trials by random search.

    Args:
        definition: What is tuned.
        as_jobs: Trials are training jobs; else processes beside the loop.
        trials: How many.
        workers: At the same time.
        seed: Of the method.
        name: Of the experiment; a time is appended.
    """
    from cloudtune import StoppingCriterion, Tuner
    from cloudtune.backend import LocalBackend
    from cloudtune.backend.sagemaker_backend import SageMakerBackend, TrainingJob
    from cloudtune.backend.trial_backend import TrialBackend
    from cloudtune.optimizer.baselines import RandomSearch

    backend: TrialBackend
    if as_jobs:
        job = TrainingJob(
            definition.training_script.name,
            source_dir=definition.training_script.parent,
            instance_type="ml.g4dn.xlarge",
            image_uri=IMAGE,
            role=ROLE,
            max_run=3600,
        )
        backend = SageMakerBackend(job, s3_path=f"s3://{BUCKET}")
    else:
        backend = LocalBackend(entry_point=str(definition.training_script))
    space = {**definition.config_space, definition.max_resource_attr: 2}
    return Tuner(
        trial_backend=backend,
        scheduler=RandomSearch(space, metric=definition.metric, mode=definition.mode, random_seed=seed),
        stop_criterion=StoppingCriterion(max_num_trials_started=trials, max_wallclock_time=600),
        n_workers=workers,
        tuner_name=name,
        metadata={"benchmark": definition.name},
    )


def _run(cloud: LocalCloud, loop: str, place: str, trials: int, workers: int, seed: int) -> Outcome:
    from cloudtune.experiments import load_experiment
    from cloudtune.remote import RemoteLauncher

    definition = benchmark("digits_mlp")
    name = f"loop-{'here' if loop == 'here' else 'job'}-trials-{'beside' if place == 'there' else 'jobs'}"
    tuner = make_tuner(definition, place != "there", trials, workers, seed, name)
    jobs, began = len(cloud.jobs()), time.monotonic()
    if loop == "here":
        tuner.run()
        experiment = load_experiment(tuner.name)
    else:
        launcher = RemoteLauncher(
            tuner, instance_type="ml.m5.large", image_uri=IMAGE, role=ROLE, s3_path=f"s3://{BUCKET}"
        )
        launcher.run(wait=True)
        experiment = load_experiment(tuner.name, s3_path=f"s3://{BUCKET}")
    results = experiment.results
    return Outcome(
        loop=loop,
        trials="beside the loop" if place == "there" else "training jobs",
        num_trials=results["trial_id"].nunique(),
        best=float(results[definition.metric].min()),
        jobs=len(cloud.jobs()) - jobs,
        took=time.monotonic() - began,
    )


def _show(outcomes: list[Outcome], console: Console) -> None:
    from rich.table import Table

    table = Table(title="The four combinations", title_justify="left", box=None, pad_edge=False)
    for column in ("loop", "trials"):
        table.add_column(column, no_wrap=True)
    for column in ("done", "best error", "jobs", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in outcomes:
        table.add_row(one.loop, one.trials, str(one.num_trials), f"{one.best:.2%}", str(one.jobs), f"{one.took:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
