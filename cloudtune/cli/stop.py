"""``cloudtune stop``: ends a remote experiment, or all those of a study, from any machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_place import locate_experiment_or_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.studies.finding import Study

#: Statuses of a job that has ended.
_ENDED = ("", "Completed", "Stopped", "Failed")


@click.command("stop")
@click.argument("experiment", metavar="EXPERIMENT|TAG")
@click.option("--leave-trials", is_flag=True, help="Only the tuner ends; training jobs of trials go on.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="For the tuner to end its trials and itself, before StopTrainingJob.",
)
@click.option("--no-wait", is_flag=True, help="Return once the tuner was asked.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def stop_command(
    experiment: str,
    leave_trials: bool,
    grace: float,
    no_wait: bool,
    s3_path: str | None,
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Ends the remote EXPERIMENT: its tuner, and the training jobs of its trials.

    Trials save their checkpoints; `cloudtune resume` continues the experiment. If its tuner is gone
    already, the jobs that it has left are ended. The exit code is 1 if something still runs.

    Of a study, which its TAG names, all experiments end, those that wait do not begin, and `cloudtune
    launch` goes on with all of them.

    \b
    Example:
      cloudtune stop height-tuning --leave-trials
      cloudtune stop tmlr-10
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from dataclasses import asdict
    from pathlib import Path

    from cloudtune.errors import ExperimentLocked
    from cloudtune.remote.stopping import Stopping
    from cloudtune.store.lease import describe_holder, lease_holder_is_alive, read_holder
    from cloudtune.studies.finding import Study

    found = locate_experiment_or_study(experiment, s3_path, region, profile)
    quiet: Callable[[str], None] = (lambda _: None) if as_json else (lambda text: click.echo(text, err=True))
    if isinstance(found, Study):
        _stop_study(found, leave_trials, grace, no_wait, as_json, quiet)
        return
    if isinstance(found, Path):
        if not lease_holder_is_alive(found / "lock"):
            raise ExperimentLocked(
                f"no tuner of {experiment} runs on this machine, where it lies ({found}); `cloudtune ps` shows "
                "training jobs that are left, `cloudtune reap NAME` ends them; --s3-path says where one of that "
                "name lies in S3"
            )
        raise ExperimentLocked(
            f"{experiment} is driven on this machine by {describe_holder(read_holder(found / 'lock'))}: end it there "
            "with Ctrl-C, or send that process SIGTERM"
        )
    result = Stopping(found, leave_trials, grace, quiet).run(wait=not no_wait)
    ends = result.job_status in _ENDED or no_wait
    ok = ends and not result.failed and (leave_trials or no_wait or not result.running)
    if as_json:
        click.echo(json.dumps({"ok": ok, **asdict(result)}))
    else:
        if result.job is not None:
            click.echo(f"{result.job}: {'asked to end' if no_wait else result.job_status}")
        for name in result.ended:
            click.echo(f"{name}: ended")
        for name in result.running:
            click.echo(f"{name}: {'goes on' if leave_trials else 'still runs'}")
        for name, reason in result.failed.items():
            click.echo(f"{name}: could not be ended: {reason}", err=True)
    if not ok:
        click.get_current_context().exit(1)


def _stop_study(
    study: Study, leave_trials: bool, grace: float, no_wait: bool, as_json: bool, tell: Callable[[str], None]
) -> None:
    from dataclasses import asdict

    from cloudtune.errors import ExperimentLocked
    from cloudtune.studies.stopping import StudyStopping

    if study.place is None:
        why = study.note or f"they are on this machine: {', '.join(sorted(study.folders))}"
        raise ExperimentLocked(
            f"no remote experiments of the study {study.tag} are to be seen ({why}); end what runs here with Ctrl-C"
        )
    result = StudyStopping(study.place, leave_trials, grace, tell).run(wait=not no_wait)
    going_on = [job for job, status in result.job_status.items() if status not in _ENDED]
    ok = not result.failed and not going_on and not result.running
    if as_json:
        click.echo(json.dumps({"ok": ok, **asdict(result)}))
    else:
        for name, job in result.asked.items():
            click.echo(f"{name}: {result.job_status.get(job, 'asked to end')}")
        if result.waiting:
            count = len(result.waiting)
            click.echo(
                f"{count} experiment{'s' * (count != 1)} not launched yet; `cloudtune launch` goes on with the study"
            )
        for name in result.ended:
            click.echo(f"{name}: ended")
        for name in result.running:
            click.echo(f"{name}: still runs")
        for name, reason in result.failed.items():
            click.echo(f"{name}: could not be ended: {reason}", err=True)
    if not ok:
        click.get_current_context().exit(1)
