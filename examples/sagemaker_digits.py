"""Every trial a SageMaker training job, rehearsed on this machine: ``python examples/sagemaker_digits.py``.

ASHA with promotion (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020) tunes a small
network on scanned digits, eight spot instances at a time. A trial is paused at each rung with its checkpoint, and goes
on as another job if it is among the best there. The cloud is the local one, and two things go wrong in it on purpose:
an instance is taken away in the middle of a training, and a quota is reached. Neither costs a report.

Against the real AWS the same program runs without the ``with`` statement: ``--real`` (this costs money).
"""

from __future__ import annotations

import logging
from contextlib import ExitStack

import click
from rich.console import Console

from benchmarking.definitions import BenchmarkDefinition, benchmark
from benchmarking.demo_local import show
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.sagemaker_backend import Cadence, SageMakerBackend, TrainingJob
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.optimizer.baselines import ASHA

QUOTA = {"ml.g4dn.xlarge for spot training job usage": 8}
TROUBLES = (
    Fault("spot_interruption", seconds=1.0, notice=False, count=1),
    Fault("resource_limit", operation="sagemaker:CreateTrainingJob", skip=8, count=1),
)


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=120.0, show_default=True, help="How long to tune.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=None, help="How many trials at most. [default: any number]"
)
@click.option("--workers", type=click.IntRange(min=1), default=8, show_default=True, help="Jobs at the same time.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Seed of the method. [default: drawn]")
@click.option("--real", is_flag=True, help="Use the AWS account of this shell. Costs money.")
def main(seconds: float, trials: int | None, workers: int, seed: int | None, real: bool) -> None:
    """Tunes a small network with trials that are training jobs, and shows what came out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for talkative in ("botocore", "matplotlib"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    console = Console(highlight=False, soft_wrap=True)
    definition = benchmark("digits_mlp")
    with ExitStack() as stack:
        cloud = None
        if not real:
            cloud = stack.enter_context(LocalCloud(start_delay=0.5, spot_restart_delay=1.0, quotas=QUOTA))
            stack.enter_context(cloud.activate())
            for trouble in TROUBLES:
                cloud.faults.add(trouble)
        tuner = make_tuner(definition, seconds, trials, workers, seed, hurry=not real)
        tuner.run()
        show(tuner, definition, console)
        status = tuner.status
        console.print(
            f"{status.num_suggestions} training jobs of {len(status.records)} trials, ${status.cost:.4f} in all."
        )
        if cloud is not None:
            for fired in cloud.faults.fired():
                console.print(f"Went wrong on purpose: {fired.kind}")


def make_tuner(
    definition: BenchmarkDefinition, seconds: float, trials: int | None, workers: int, seed: int | None, hurry: bool
) -> Tuner:
    """A tuner whose trials are training jobs on spot instances.

    Args:
        definition: What is tuned.
        seconds: How long.
        trials: How many at most; None: as many as there is time for.
        workers: Jobs at the same time.
        seed: Of the method.
        hurry: Look and write more often than is sensible where machines take minutes to start.
    """
    job = TrainingJob(
        entry_point=definition.training_script.name,
        source_dir=definition.training_script.parent,
        instance_type="ml.g4dn.xlarge",
        image_uri=None if not hurry else "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
        role=None if not hurry else "arn:aws:iam::123456789012:role/tuning",
        use_spot=True,
        max_run=3600,
    )
    cadence = Cadence(poll=0.3, status=10.0, agent_put=0.3, agent_watch=0.5, checkpoint=1.0, first_wait=1.0)
    return Tuner(
        trial_backend=SageMakerBackend(
            job,
            create_bucket=hurry,
            cadence=cadence if hurry else None,
            stop_grace=10.0,
            metrics_names=[definition.metric],
        ),
        scheduler=ASHA(
            definition.config_space,
            metric=definition.metric,
            mode=definition.mode,
            resource_attr=definition.resource_attr,
            max_resource_attr=definition.max_resource_attr,
            grace_period=definition.grace_period,
            reduction_factor=definition.reduction_factor,
            type="promotion",
            random_seed=seed,
        ),
        stop_criterion=StoppingCriterion(max_wallclock_time=seconds, max_num_trials_started=trials),
        n_workers=workers,
        tuner_name="sagemaker-digits",
        metadata={"benchmark": definition.name},
        print_update_interval=15,
    )


if __name__ == "__main__":
    main()
