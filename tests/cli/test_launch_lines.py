"""The command lines that a report shows: typed again, they launch the same plan."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cloudtune.cli.launch_lines import launch_line, launch_lines
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work
from cloudtune.localcloud import LocalCloud
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.flags import LaunchArguments
from cloudtune.studies.launched_plan import launch_flags, launched_plan, place_flags
from cloudtune.studies.options import StudyRequest, study_request
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings
from tests.cli.study_launch import CATALOGUE
from tests.experiments.in_s3 import account
from tests.experiments.report.studies import experiment, metadata
from tests.experiments.studies_in_s3 import place

__all__ = ["account"]

PLANS = [
    Plan("study", ("digits_mlp",), ("RS",)),
    Plan("study", ("digits_mlp", "digits_again"), ("RS", "ASHA"), (2, 8), num_seeds=5, start_seed=3),
    Plan(
        "study",
        ("digits_mlp",),
        ("ASHA",),
        (4,),
        settings=CellSettings(
            backend="sagemaker",
            random_seed=2938702734,
            max_wallclock_time=600.0,
            scale_max_wallclock_time=True,
            max_num_trials_started=20,
            instance_type=("ml.g4dn.xlarge", "ml.g5.xlarge"),
            max_failures=0,
            warm_pool=True,
            delete_checkpoints=True,
            start_jobs_without_delay=True,
            extra={"brackets": 2, "type": "stopping", "reduction_factor": 3.5, "allow_duplicates": True},
        ),
    ),
    Plan("study", ("digits_mlp",), ("RS",), settings=CellSettings(use_spot=True)),
    Plan("study", ("digits_mlp",), ("RS",), settings=CellSettings(backend="local", extra={"type": "a 'b' $c"})),
]


def planned(line: str) -> Plan:
    """The plan that a command line asks for."""
    return requested(line).plan


def requested(line: str) -> StudyRequest:
    """What a command line asks for."""
    found: list[StudyRequest] = []

    @click.command(cls=StudyCommand, catalogue=CATALOGUE)
    def command(**values: Any) -> None:
        """Takes what was typed."""
        found.append(study_request(catalogue_at_work(), values))

    program, name, *words = shlex.split(line)
    assert (program, name) == ("cloudtune", "launch")
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_as_a_command_is_the_plan(plan: Plan) -> None:
    """Each flag arrives, also arguments of one's own, and what needs quotes in a shell."""
    again = planned(launch_line(plan))
    assert json.loads(again.to_json())["settings"]["extra"].items() >= plan.settings.extra.items()
    assert again.settings.differences(plan.settings).keys() <= set(CATALOGUE_EXTRAS) - plan.settings.extra.keys()
    assert (again.benchmarks, again.methods, again.n_workers) == (plan.benchmarks, plan.methods, plan.n_workers)
    assert (again.num_seeds, again.start_seed) == (plan.num_seeds, plan.start_seed)


CATALOGUE_EXTRAS = ("brackets", "allow_duplicates", "type", "reduction_factor")


def test_defaults_are_not_typed() -> None:
    """A line says what matters."""
    line = launch_line(PLANS[0])
    assert line == "cloudtune launch --experiment_tag study --benchmark digits_mlp --method RS"


def test_each_plan_has_its_line() -> None:
    """A tag may hold several plans; one that a newer version wrote is named, and not guessed."""
    plans = [json.loads(PLANS[0].to_json()), {**json.loads(PLANS[0].to_json()), "format": 99}]
    first, second = launch_lines("study", plans, [])
    assert first == launch_line(PLANS[0])
    assert second.startswith("# a plan that this version of cloudtune cannot read: a newer cloudtune wrote this plan")


def test_flags_that_are_no_part_of_a_plan(account: LocalCloud) -> None:
    """Limits, machines and images of the launch, and the place, arrive as well: the study is launched where it lies."""
    given = Account(
        role="arn:aws:iam::123456789012:role/any", tuner_instance_type="ml.m5.xlarge", image_uri="of/mine:1"
    )
    there = place("study", "data", "team")
    flags = launch_flags(given, there, 100.0, 3)
    written = json.loads(launched_plan(PLANS[0], flags))
    (line,) = launch_lines("study", [written], [], {**place_flags(there), "local_cloud": 1})
    assert planned(line) == PLANS[0]
    asked = requested(line)
    assert asked.account == replace(given, s3_path="s3://data/team", region="us-east-1")
    assert asked.launch == LaunchArguments(max_cost=100.0, max_parallel_experiments=3, local_cloud=True)
    assert place_flags(place("study")) == {"region": "us-east-1"}, "the account's own bucket is found by itself"


def test_without_a_plan_metadata_tell_the_flags() -> None:
    """Methods with the same seeds share a line; what is no cell of this study has none."""
    experiments = [
        experiment(said=metadata(method=method, seed=seed, n_workers=workers))
        for method, workers, seeds in (("RS", 4, (0, 1)), ("ASHA", 4, (0, 1)), ("RS", 8, (2,)))
        for seed in seeds
    ]
    assert launch_lines("demo", [], experiments)[1:] == [
        "cloudtune launch --experiment_tag demo --benchmark digits --method RS ASHA --n_workers 4 --num_seeds 2",
        (
            "cloudtune launch --experiment_tag demo --benchmark digits --method RS --n_workers 8 --num_seeds 1 "
            "--start_seed 2"
        ),
    ]
    again = experiment(said=metadata(method="rerun-abc", rerun_of="demo-digits-RS-w4-0"))
    assert launch_lines("demo", [], [*experiments, again]) == launch_lines("demo", [], experiments)
    assert launch_lines("other", [], experiments) == []
    assert launch_lines("demo", [], [experiment(said=metadata(seed=None))]) == []
