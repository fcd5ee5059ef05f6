"""The command that runs one experiment of a study on this machine, for launch scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.running import plot_option
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work
from cloudtune.errors import CloudtuneError, ExperimentMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.options import StudyRequest

#: Of tuners elsewhere.
_ONLY_REMOTE = ("max_parallel_experiments", "tuner_image_uri", "tuner_instance_type", "wait")
#: Of trials elsewhere.
_ONLY_OF_JOBS = ("instance_type", "s3_path", "role", "region", "profile", "image_uri", "local_cloud", "max_cost")


def make_launch_here_command(catalogue: Catalogue | None = None, name: str | None = None) -> click.Command:
    """The command that runs one experiment here, for a script of one's own: ``make_launch_here_command(CATALOGUE)()``.

    Args:
        catalogue: Of benchmarks, methods and arguments of one's own. None: ``--catalogue`` names it.
        name: Of the command. Default: that of the script.
    """

    @click.command(name, cls=StudyCommand, catalogue=catalogue, without=_ONLY_REMOTE, defaults={"backend": "local"})
    @plot_option
    @click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
    @debug_option
    def command(plot: bool | None, as_json: bool, **values: Any) -> None:
        """Runs one experiment of a study: the tuner on this machine, its trials beside it or as training jobs.

        The same command again continues it.

        \b
        Example:
          python launchers/hpo_main.py --experiment_tag trying --benchmark digits_mlp --method ASHA
        """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
        _launch_here(catalogue_at_work(), values, plot, as_json)

    return command


def _launch_here(catalogue: Catalogue, values: dict[str, Any], plot: bool | None, as_json: bool) -> None:
    import json

    from cloudtune.cli.running import run_and_tell
    from cloudtune.cli.study_approval import approve_spending
    from cloudtune.cli.study_cloud import study_cloud
    from cloudtune.studies.budget_here import share_budget_here
    from cloudtune.studies.cell_tuner import CellTuners
    from cloudtune.studies.here import check_cell_here
    from cloudtune.studies.options import study_request
    from cloudtune.studies.preview import preview

    request = study_request(catalogue, values)
    _check_one(request)
    beside = request.plan.settings.backend != "sagemaker"
    if beside:
        _check_beside(values)
    with study_cloud(request, lambda line: click.echo(line, err=True)) as cloud:
        limit = request.launch.max_cost
        if request.launch.dry_run or not beside:
            account = None if beside else request.account
            found = preview(catalogue, request.plan, account, max_cost=limit, tuners_are_jobs=False)
            if request.launch.dry_run:
                click.echo(json.dumps(found.as_object()) if as_json else "\n".join(found.lines()))
                return
            click.echo("\n".join(found.lines()), err=True)
            approve_spending(request, cloud.costs)
        (cell,) = catalogue.cells(request.plan)
        check_cell_here(cell)
        tuner = CellTuners(catalogue, request.plan.settings, request.account).tuner(cell)
        if not beside:
            share_budget_here(tuner, cell, request.account, limit)
        try:
            run_and_tell(tuner, takeover=False, plot=plot, as_json=as_json)
        except ExperimentMismatch as error:
            raise ExperimentMismatch(_by_flags(error, tuner.name, request)) from error


def _by_flags(error: ExperimentMismatch, name: str, request: StudyRequest) -> str:
    """The message for who has typed flags: the first configurations follow from the seed, and the name from the tag."""
    from cloudtune.experiments import load_experiment
    from cloudtune.studies.cell_tuner import MASTER_SEED

    message = str(error).replace("another tuner_name", "another --experiment_tag")
    seed = request.plan.settings.master_seed(request.plan.tag)
    try:
        before = load_experiment(name, download_if_not_found=False).metadata.get(MASTER_SEED, seed)
    except CloudtuneError:
        return message  # it lies elsewhere
    if before == seed:
        return message
    _, end, remedy = message.rpartition("; ")
    return f"experiment '{name}' began with --random_seed {before}, now it is {seed}{end}{remedy}"


def _check_one(request: StudyRequest) -> None:
    plan = request.plan
    if plan.size == 1:
        return
    several = {
        "--benchmark": len(plan.benchmarks),
        "--method": len(plan.methods),
        "--n_workers": len(plan.n_workers),
        "--num_seeds": plan.num_seeds,
    }
    wrong = " and ".join(name for name, count in several.items() if count > 1)
    raise click.UsageError(f"here one experiment is run, and these are {plan.size:,}; give one {wrong}")


def _check_beside(values: Mapping[str, Any]) -> None:
    given = [name for name in _ONLY_OF_JOBS if values.get(name) not in (None, (), False)]
    if given:
        raise click.UsageError(
            f"--{given[0]} is for trials that are training jobs, and here they run on this machine; leave it out, or "
            "add --backend sagemaker"
        )
