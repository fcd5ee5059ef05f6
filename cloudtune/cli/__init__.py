"""The ``cloudtune`` command. Commands stand in files of their own and import what is heavy only when they run."""

from __future__ import annotations

import click

from cloudtune import __version__
from cloudtune.cli.blackbox import blackbox_group
from cloudtune.cli.doctor import doctor_command
from cloudtune.cli.failures import PlainErrorsGroup
from cloudtune.cli.image import image_group
from cloudtune.cli.launch import launch_command
from cloudtune.cli.list_experiments import list_command
from cloudtune.cli.localcloud import localcloud_group
from cloudtune.cli.logs import logs_command
from cloudtune.cli.plan import plan_command
from cloudtune.cli.plot import plot_command
from cloudtune.cli.policy import policy_command
from cloudtune.cli.ps import ps_command
from cloudtune.cli.reap import reap_command
from cloudtune.cli.report import report_command
from cloudtune.cli.rerun import rerun_command
from cloudtune.cli.resume import resume_command
from cloudtune.cli.status import status_command
from cloudtune.cli.stop import stop_command
from cloudtune.cli.sync import sync_command
from cloudtune.cli.tune import tune_command

__all__ = ["main"]


@click.group(cls=PlainErrorsGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cloudtune")
def main() -> None:
    """Tunes hyperparameters, each trial a job of its own.

    Experiments live in the folder that CLOUDTUNE_FOLDER names, or in ~/cloudtune.

    \b
    Example:
      cloudtune tune train.py --config-space space.json --metric validation_error \\
          --max-wallclock-time 600
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph


main.add_command(tune_command)
main.add_command(resume_command)
main.add_command(launch_command)
main.add_command(plan_command)
main.add_command(list_command)
main.add_command(status_command)
main.add_command(logs_command)
main.add_command(stop_command)
main.add_command(sync_command)
main.add_command(ps_command)
main.add_command(reap_command)
main.add_command(plot_command)
main.add_command(report_command)
main.add_command(rerun_command)
main.add_command(doctor_command)
main.add_command(policy_command)
main.add_command(image_group)
main.add_command(blackbox_group)
main.add_command(localcloud_group)
