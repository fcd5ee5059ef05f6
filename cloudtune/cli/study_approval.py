"""Asks before a study is launched: what it would do is shown, and what costs money needs a yes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloudtune.studies.options import StudyRequest
    from cloudtune.studies.plan import Plan

#: A plan with more experiments is asked about wherever it is launched: it may be a slip of the keyboard.
MANY = 1_000


def approve_size(request: StudyRequest) -> None:
    """Asks whether a very large plan is meant, before anything is made of it that is launched.

    Raises:
        click.ClickException: There is nobody to ask.
        click.Abort: It is not.
    """
    plan = request.plan
    if plan.size > MANY and not (request.launch.yes or request.launch.dry_run):
        many = f"the plan has {plan.size:,} experiments ({_factors(plan)})"
        _ask(f"{many}; is that meant?", many)


def approve_spending(request: StudyRequest, costs: bool) -> None:
    """Asks whether what was shown is to be launched, if it costs money.

    Raises:
        click.ClickException: There is nobody to ask.
        click.Abort: It is not.
    """
    if costs and not request.launch.yes:
        _ask("launch?", "launching costs money")


def _ask(question: str, why: str) -> None:
    if not sys.stdin.isatty():
        raise click.ClickException(
            f"{why}, and there is no terminal to ask at: add --yes, or --dry_run to launch nothing"
        )
    click.confirm(question[0].upper() + question[1:], abort=True, err=True)


def _factors(plan: Plan) -> str:
    counts = {
        "methods": len(plan.methods),
        "benchmarks": len(plan.benchmarks),
        "numbers of workers": len(plan.n_workers),
        "seeds": plan.num_seeds,
    }
    return " x ".join(f"{count:,} {what}" for what, count in counts.items() if count > 1)
