"""``cloudtune rerun``: runs the winner of a study again, on random seeds that the study has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work

if TYPE_CHECKING:
    from cloudtune.cli.rerun_text import RerunSeen
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.options import StudyRequest
    from cloudtune.studies.rerun import Rerun

#: Of plans with methods and repetitions; TAG stands in place of the first.
_OF_PLANS = (
    "experiment_tag",
    "method",
    "start_seed",
    "scale_max_wallclock_time",
    "max_num_trials_started",
    "max_cost",
    "max_parallel_experiments",
    "start_jobs_without_delay",
    "local_cloud",
)
#: Of trials that are training jobs. Where the study lies may be said in any case.
_ONLY_OF_JOBS = (
    "instance_type",
    "use_spot",
    "warm_pool",
    "role",
    "image_uri",
    "tuner_image_uri",
    "tuner_instance_type",
    "wait",
)
_DEFAULTS = {"num_seeds": 10, "backend": "local"}


@click.command("rerun", cls=StudyCommand, without=_OF_PLANS, defaults=_DEFAULTS)
@click.argument("tag")
@click.option("--best", is_flag=True, help="Run the best configuration of each benchmark again.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@debug_option
def rerun_command(tag: str, best: bool, as_json: bool, **values: Any) -> None:
    """Runs the best configuration of the study TAG again, on new random seeds, each to the end.

    It tells mean, standard deviation and 95 % interval: what the study itself has found is the best
    of many, and so better than the configuration is. The same command again goes on, or tells the
    outcome once more; with more seeds it adds to those that there are.

    \b
    Example:
      cloudtune rerun tmlr-10 --best --num_seeds 10
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    if not best:
        raise click.UsageError("say what is to be run again; there is --best")
    if len(values["n_workers"]) > 1:
        raise click.UsageError("give one --n_workers: it is one experiment")
    _rerun(catalogue_at_work(), tag, values, as_json)


def _rerun(catalogue: Catalogue, tag: str, values: dict[str, Any], as_json: bool) -> None:
    from cloudtune.cli.running import log_progress
    from cloudtune.cli.study_cloud import study_cloud
    from cloudtune.studies.rerun import Rerun
    from cloudtune.studies.winners import winners

    request = _request(catalogue, tag, values)
    remote = request.plan.settings.backend == "sagemaker"
    log_progress()
    with study_cloud(request, _tell) as cloud:
        known = _experiments(tag, request, in_s3=remote)
        reruns = [
            Rerun(catalogue, winner, request.plan.num_seeds, request.plan.settings, request.account, workers)
            for winner in winners(tag, known, values["benchmark"])
            for workers in request.plan.n_workers
        ]
        looked = [_look(one, known, request) for one in reruns]
        if request.launch.dry_run:
            _show(tag, looked, as_json)
            return
        if remote:
            looked = _run_as_jobs(looked, request, costs=cloud.costs)
        else:
            looked = [_run_here(one) if one.is_to_be_run else one for one in looked]
        _show(tag, looked, as_json)
        # As of a launch that waits: not all that was asked for is there, nor on its way.
        if any(one.is_short for one in looked):
            click.get_current_context().exit(1)


def _request(catalogue: Catalogue, tag: str, values: Mapping[str, Any]) -> StudyRequest:
    """What the flags ask for; they are refused as those of other commands are."""
    from cloudtune.studies.options import study_request

    for argument in catalogue.extra_arguments:
        if values.get(argument.name) is not None:
            raise click.UsageError(f"--{argument.name} is for methods, and no method chooses here; leave it out")
    if values["backend"] == "simulator":
        raise click.UsageError("a rerun trains again, and with --backend simulator nothing is; use local or sagemaker")
    if values["backend"] == "local":
        given = [name for name in _ONLY_OF_JOBS if values.get(name) not in (None, (), False)]
        if given:
            raise click.UsageError(
                f"--{given[0]} is for trials that are training jobs, and here they run on this machine; leave it out, "
                "or add --backend sagemaker"
            )
    benchmarks = values["benchmark"] or tuple(catalogue.benchmarks)
    # Of those that nobody has named only the winners' count, which the results tell.
    return study_request(
        catalogue, {**values, "experiment_tag": tag, "benchmark": benchmarks}, to_make=values["benchmark"]
    )


def _experiments(tag: str, request: StudyRequest, in_s3: bool) -> list[ExperimentResult]:
    """The experiments of the study, reruns included: those on this machine and, where they may be, those in S3."""
    from cloudtune.aws.clients import aws_for
    from cloudtune.errors import CloudtuneError, ExperimentNotFound
    from cloudtune.experiments.gathering import sync
    from cloudtune.experiments.loading import load_experiments
    from cloudtune.studies.cell_tuner import TAG

    def has_tag(metadata: Mapping[str, Any]) -> bool:
        return metadata.get(TAG) == tag

    account = request.account
    here = [] if account.s3_path is not None else load_experiments(metadata_filter=has_tag)
    if not in_s3 and _holds_study(tag, here):
        return here
    try:
        gathered = sync(tag, account.s3_path, aws_for(account.region, account.profile))
    except CloudtuneError as error:
        why = " ".join(str(error).split())
        known = [*_copied(tag, account.s3_path, has_tag), *here]
        if not _holds_study(tag, known):
            raise ExperimentNotFound(
                f"there is no study {tag!r} on this machine, nor can one be read from S3 ({why})"
            ) from error
        if not (_holds_study(tag, here) and isinstance(error, ExperimentNotFound)):
            _tell(f"what was fetched before counts, for the study cannot be read from S3 ({why})")
        return known
    place = gathered.place.removesuffix(f"/cloudtune/{tag}/")
    return [*here, *load_experiments(tag, metadata_filter=has_tag, s3_path=place, download_from_s3=False)]


def _holds_study(tag: str, experiments: Sequence[ExperimentResult]) -> bool:
    """Whether there is more than what was run again."""
    from cloudtune.studies.winners import is_of_study

    return any(is_of_study(tag, one.metadata) for one in experiments)


def _copied(tag: str, s3_path: str | None, has_tag: Callable[[Mapping[str, Any]], bool]) -> list[ExperimentResult]:
    """What was fetched from S3 before."""
    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments.copied import SeveralPlaces
    from cloudtune.experiments.loading import load_experiments

    try:
        return load_experiments(tag, metadata_filter=has_tag, s3_path=s3_path, download_from_s3=False)
    except SeveralPlaces:
        raise
    except ExperimentNotFound:
        return []


def _look(rerun: Rerun, known: Sequence[ExperimentResult], request: StudyRequest) -> RerunSeen:
    """What there is of a rerun already: here or in S3, as it would be run."""
    from cloudtune.aws.errors import AwsError
    from cloudtune.cli.rerun_text import RerunSeen
    from cloudtune.studies.cell_standing import FINISHED
    from cloudtune.studies.rerun_standing import RerunStanding, standing_at, standing_on_this_machine

    remote = rerun.settings.backend == "sagemaker"
    results = next((one for one in reversed(known) if one.name == rerun.name and bool(one.place) == remote), None)
    if results is not None:
        rerun = rerun.going_on(results.metadata)
    seen = RerunSeen(rerun, results, RerunStanding())
    if not remote:
        return seen if results is None else replace(seen, standing=standing_on_this_machine(rerun, results.path))
    if seen.is_complete:
        return replace(seen, standing=RerunStanding(FINISHED, started=rerun.num_seeds))
    try:
        return replace(seen, standing=standing_at(rerun, _place(request)))
    except AwsError as error:
        # A launch without knowing whether a tuner runs already, or has ended, could cost for nothing.
        if not request.launch.dry_run:
            raise
        _tell(f"it is not known how far {rerun.name} is: {' '.join(str(error).split())}")
        return seen


def _place(request: StudyRequest) -> StudyPlace:
    """Of the study, as launches have it."""
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.s3 import Bucket
    from cloudtune.remote.parcel import bucket_of
    from cloudtune.store.study_place import StudyPlace

    aws = aws_for(request.account.region, request.account.profile)
    found = bucket_of(aws, request.account.s3_path)
    return StudyPlace(Bucket(aws, found.name, found.owner), found.prefix, request.plan.tag)


def _run_here(seen: RerunSeen) -> RerunSeen:
    from cloudtune.cli.failures import drives, one_line
    from cloudtune.errors import TooManyFailures
    from cloudtune.experiments.loading import load_experiment
    from cloudtune.interruption import TuningInterrupted
    from cloudtune.studies.rerun_standing import standing_on_this_machine

    tuner = seen.rerun.tuners().tuner(seen.rerun.cell)
    drives(tuner.name)
    try:
        tuner.run()
    except TuningInterrupted as interrupted:
        _tell(f"{interrupted}; the same command goes on")
        raise
    except TooManyFailures as error:
        _tell(one_line(error, tuner.name))  # other benchmarks' winners, and what runs there were, are still to be told
    results = load_experiment(tuner.results_place)
    return replace(seen, results=results, standing=standing_on_this_machine(seen.rerun, results.path))


def _run_as_jobs(looked: Sequence[RerunSeen], request: StudyRequest, costs: bool) -> list[RerunSeen]:
    """Launches tuners of those that need one, and waits for all that run if that is asked for."""
    from cloudtune.remote.following import follow
    from cloudtune.studies.cell_standing import STARTING
    from cloudtune.studies.rerun_standing import RerunStanding

    wanted = [one for one in looked if one.is_to_be_run]
    jobs = dict(zip([one.rerun.name for one in wanted], _launch(wanted, request, costs) if wanted else (), strict=True))
    now = [
        replace(one, standing=RerunStanding(STARTING, tuner_job=jobs[one.rerun.name]))
        if one.rerun.name in jobs
        else one
        for one in looked
    ]
    waited = [one for one in now if one.standing.is_driven and one.standing.tuner_job] if request.launch.wait else []
    place = _place(request) if waited else None
    for one in waited:
        assert place is not None
        assert one.standing.tuner_job is not None
        uri = place.bucket.uri(place.experiment(one.rerun.name))
        follow(place.bucket.aws, uri, one.standing.tuner_job)
    if not waited:
        return now
    known = _experiments(request.plan.tag, request, in_s3=True)
    return [_look(one.rerun, known, request) if one in waited else one for one in now]


def _launch(reruns: Sequence[RerunSeen], request: StudyRequest, costs: bool) -> list[str]:
    """Launches tuners: the names of their jobs. Where the study has a limit of money, they share it."""
    from cloudtune.cli.study_approval import approve_spending
    from cloudtune.studies.preview import preview
    from cloudtune.studies.rerun_launching import launch_reruns

    for one in reruns:
        for line in preview(one.rerun.own_catalogue, one.rerun.plan, request.account).lines():
            _tell(line)
    approve_spending(request, costs)
    return launch_reruns(_place(request), [one.rerun for one in reruns], _tell)


def _show(tag: str, looked: Sequence[RerunSeen], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"tag": tag, "reruns": [one.outcome() for one in looked]}))
        return
    click.echo("\n\n".join("\n".join(one.lines()) for one in looked))


def _tell(line: str) -> None:
    click.echo(line, err=True)
