"""What the flags of a command line ask for: a plan, where and how it is launched; or why that cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.experiment_place import experiment_prefix
from cloudtune.errors import CloudtuneError
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_tuner import OWN_KEYS, Account
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.studies.flags import FLAGS, OWNERS, LaunchArguments
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings

#: Names of further options of commands that have these flags.
_OF_COMMANDS = frozenset({"catalogue", "debug", "help", "json", "plot", "no_plot"})


class FlagsRefused(CloudtuneError):
    """Flags are missing, or contradict each other."""


@dataclass(frozen=True)
class StudyRequest:
    """What a command line asks for.

    Args:
        plan: Which experiments.
        account: Where.
        launch: How.
    """

    plan: Plan
    account: Account
    launch: LaunchArguments


def study_request(
    catalogue: Catalogue, values: Mapping[str, Any], to_make: Collection[str] | None = None
) -> StudyRequest:
    """Makes a request of the values of flags.

    Args:
        catalogue: Whose benchmarks, methods and arguments of one's own there are.
        values: Name of each flag that was given -> its value; None or an empty tuple stand for one that was not.
        to_make: Benchmarks of the plan whose definitions are made, to see whether its cells can be. Default: all.

    Raises:
        FlagsRefused: One is missing, or two contradict each other.
        UnknownName: There is no such benchmark or method.
        ValueError: A value is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None and value != ()}
    _check_all_named(catalogue, given)
    extra = {
        argument.name: given.get(argument.name, argument.default)
        for argument in own_arguments(catalogue)
        if given.get(argument.name, argument.default) is not None
    }
    members: dict[str, dict[str, Any]] = {owner: {} for owner in OWNERS}
    for flag in FLAGS:
        if flag.name in given:
            members[flag.owner][flag.member] = given[flag.name]
    members["plan"].setdefault("methods", catalogue.default_methods)
    request = StudyRequest(
        Plan(**members["plan"], settings=CellSettings(**members["settings"], extra=extra)),
        Account(**members["account"]),
        LaunchArguments(**members["launch"]),
    )
    _check_together(request, given)
    _check_simulated(catalogue, request, given)
    made = request.plan.benchmarks if to_make is None else tuple(to_make)
    if made:
        # Of one seed: there may be very many.
        catalogue.cells(replace(request.plan, benchmarks=made, num_seeds=1))
    return request


def own_arguments(catalogue: Catalogue) -> Sequence[ExtraArgument]:
    """The arguments of one's own that a catalogue has.

    Raises:
        FlagsRefused: One is called as a flag or a key of metadata that every study has.
    """
    taken = {*(flag.name for flag in FLAGS), *OWN_KEYS, *_OF_COMMANDS}
    for argument in catalogue.extra_arguments:
        if argument.name in taken:
            raise FlagsRefused(
                f"an argument of one's own cannot be called {argument.name!r}, which is a flag or a key of metadata of "
                "every study; rename it in the catalogue"
            )
    return catalogue.extra_arguments


def _check_all_named(catalogue: Catalogue, given: Mapping[str, Any]) -> None:
    if "experiment_tag" not in given:
        raise FlagsRefused("give --experiment_tag, which experiments of the study have in common, as study-1")
    if "benchmark" not in given:
        raise FlagsRefused(f"give --benchmark, one or several of {', '.join(sorted(catalogue.benchmarks))}")


def _check_simulated(catalogue: Catalogue, request: StudyRequest, given: Mapping[str, Any]) -> None:
    """Where trials are simulated there must be something to simulate, and nothing is trained."""
    if request.plan.settings.backend != "simulator":
        return
    for name in ("image_uri", "instance_type"):
        if name in given:
            raise FlagsRefused(f"with --backend simulator nothing is trained; leave out --{name}")
    for name in request.plan.benchmarks:
        if catalogue.benchmark(name).blackbox is None:
            raise FlagsRefused(
                f"the benchmark {name!r} names no blackbox to simulate its trials with; use --backend sagemaker or "
                "local"
            )


def _check_together(request: StudyRequest, given: Mapping[str, Any]) -> None:
    """What the settings themselves do not refuse."""
    backend, launch = request.plan.settings.backend, request.launch
    if backend == "local":
        if "image_uri" in given:
            raise FlagsRefused(
                "with --backend local trials run in the image of their tuner: give --tuner_image_uri, not --image_uri"
            )
        if "tuner_instance_type" in given:
            raise FlagsRefused(
                "with --backend local trials run on the machine of their tuner: give --instance_type, not "
                "--tuner_instance_type"
            )
        if len(request.plan.settings.instance_type) > 1:
            raise FlagsRefused(
                "with --backend local trials run on the machine of their tuner, which has one type: give one "
                "--instance_type"
            )
    try:
        experiment_prefix("", request.plan.tag, "name")
    except InvalidRequest as error:
        raise FlagsRefused(
            f"--experiment_tag {request.plan.tag!r} cannot be part of a place in S3: use at most 128 letters, digits, "
            "dots, dashes and underscores"
        ) from error
    if not any(character.isascii() and character.isalnum() for character in request.plan.tag):
        raise FlagsRefused(
            f"--experiment_tag {request.plan.tag!r} has no letter or digit, with which names of its experiments would "
            "begin; choose another one, as study-1"
        )
    if launch.dry_run and launch.wait:
        raise FlagsRefused("--dry_run launches nothing that --wait could wait for; leave one of them out")
    if launch.local_cloud and request.account.profile is not None:
        raise FlagsRefused("the local cloud has no profiles; leave out --local_cloud or --profile")
