"""``cloudtune plan``: what a study would consist of, need and cost."""

from __future__ import annotations

from typing import Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.launch import launch
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work

#: A plan launches nothing.
_ONLY_TO_LAUNCH = ("dry_run", "wait", "yes")


@click.command("plan", cls=StudyCommand, without=_ONLY_TO_LAUNCH)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def plan_command(as_json: bool, **values: Any) -> None:
    """Shows the experiments of a study, the quotas they need and what they may cost; launches nothing.

    It takes the flags of `cloudtune launch`.

    \b
    Example:
      cloudtune plan --experiment_tag tmlr-10 --benchmark transformer_wikitext2 \\
          --num_seeds 5 --n_workers 8
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    launch(catalogue_at_work(), {**values, "dry_run": True}, as_json)
