"""``cloudtune launch``: launches the experiments of a study. Launch scripts make the same command."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work

if TYPE_CHECKING:
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.options import StudyRequest
    from cloudtune.studies.plan import Plan
    from cloudtune.studies.study_launch import StudyLaunch


_NO_RESULTS = "none"


def make_launch_command(catalogue: Catalogue | None = None, name: str | None = None) -> click.Command:
    """The command that launches studies, for a script of one's own: ``make_launch_command(CATALOGUE)()``.

    Args:
        catalogue: Of benchmarks, methods and arguments of one's own. None: ``--catalogue`` names it.
        name: Of the command. Default: that of the script.
    """

    @click.command(name, cls=StudyCommand, catalogue=catalogue)
    @click.option("--json", "as_json", is_flag=True, help="Print what was launched as one JSON object.")
    @debug_option
    def command(as_json: bool, **values: Any) -> None:
        """Launches methods x benchmarks x numbers of workers x seeds, each a remote tuner of its own.

        What it would do, need and cost is shown first, and asked about if it costs money. The same
        command again launches what is missing, continues what is unfinished, and leaves what is done.

        \b
        Example:
          cloudtune launch --experiment_tag tmlr-10 --benchmark transformer_wikitext2 \\
              --num_seeds 5 --n_workers 8
        """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
        launch(catalogue_at_work(), values, as_json)

    return command


def launch(catalogue: Catalogue, values: dict[str, Any], as_json: bool) -> None:
    """Launches a study, or with ``dry_run`` shows what that would do.

    Args:
        catalogue: Of benchmarks, methods and arguments of one's own.
        values: Of flags, by name; see :func:`cloudtune.studies.options.study_request`.
        as_json: Print one JSON object.
    """
    from cloudtune.cli.running import log_progress
    from cloudtune.cli.study_approval import approve_size, approve_spending
    from cloudtune.cli.study_cloud import study_cloud
    from cloudtune.studies.options import study_request
    from cloudtune.studies.preview import preview

    request = study_request(catalogue, values)
    approve_size(request)
    log_progress()
    # What happens is told by launching itself; of each tuner there would be a line more.
    logging.getLogger("cloudtune").setLevel(logging.WARNING)
    with study_cloud(request, _tell) as cloud:
        limits = request.launch
        found = preview(
            catalogue,
            request.plan,
            request.account,
            max_cost=limits.max_cost,
            max_parallel_experiments=limits.max_parallel_experiments,
        )
        if limits.dry_run:
            click.echo(json.dumps(found.as_object()) if as_json else "\n".join(found.lines()))
            return
        for line in found.lines():
            _tell(line)
        approve_spending(request, cloud.costs)
        if cloud.ends_with_command:
            done, place = _launch_and_fetch(catalogue, request)
        else:
            done = _launch_from_here(catalogue, request)
            place = done.place.bucket.uri(done.place.root)
    _show(done, request.plan, place, as_json)


def _launch_study(catalogue: Catalogue, request: StudyRequest, wait: bool) -> StudyLaunch:
    from cloudtune.studies.launching import launch_study
    from cloudtune.studies.study_launch import NotAllLaunched

    try:
        return launch_study(
            catalogue,
            request.plan,
            request.account,
            max_parallel_experiments=request.launch.max_parallel_experiments,
            max_cost=request.launch.max_cost,
            wait=wait,
            tell=_tell,
        )
    except NotAllLaunched as error:
        _tell(f"Error: {error}")
        return error.launch


def _launch_from_here(catalogue: Catalogue, request: StudyRequest) -> StudyLaunch:
    try:
        return _launch_study(catalogue, request, wait=bool(request.launch.wait))
    except KeyboardInterrupt:
        _tell("what was launched goes on; the same command launches the rest")
        raise


def _launch_and_fetch(catalogue: Catalogue, request: StudyRequest) -> tuple[StudyLaunch, str]:
    """Launches on a cloud that ends with this command: what was computed there is fetched, however it goes.

    Returns:
        What was done, and the folder of the results.
    """
    try:
        done = _launch_study(catalogue, request, wait=True)
    except KeyboardInterrupt:
        _tell("experiments that have not ended end with the local cloud")
        _tell(f"results: {_fetched(request)}")
        raise
    folder = _fetched(request)
    if folder == _NO_RESULTS:
        _tell("no experiment has begun, so that there are no results to fetch from the local cloud, which ends now")
    else:
        _tell("the results were fetched, as the local cloud ends with this command")
    return done, folder


def _fetched(request: StudyRequest) -> str:
    """Fetches the results of a study; the folder that they are in."""
    from cloudtune.aws.clients import aws_for
    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments.gathering import sync

    account = request.account
    try:
        return str(sync(request.plan.tag, account.s3_path, aws_for(account.region)).path)
    except ExperimentNotFound:  # none has begun
        return _NO_RESULTS


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _show(done: StudyLaunch, plan: Plan, place: str, as_json: bool) -> None:
    """Prints what was launched. It has not succeeded where an experiment has not."""
    names = {what: list(getattr(done, what)) for what in ("launched", "continued", "running", "finished")}
    reasons = {what: dict(getattr(done, what)) for what in ("failed", "refused", "unfinished")}
    if as_json:
        click.echo(json.dumps({"tag": plan.tag, "place": place, **names, **reasons}))
    else:
        counts = [f"{len(those)} {what}" for what, those in {**names, **reasons}.items() if those]
        click.echo(f"{plan.size} experiment{'s' if plan.size > 1 else ''}: {', '.join(counts)}; results: {place}")
        for what in ("failed", "unfinished"):
            for name, why in reasons[what].items():
                _tell(f"{name} {'has failed' if what == 'failed' else 'is unfinished'}: {why}")
    if any(reasons.values()):
        click.get_current_context().exit(1)


launch_command = make_launch_command(name="launch")
