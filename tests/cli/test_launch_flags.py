"""Every flag of ``cloudtune launch``, and of launch scripts, reaches what it is about: nothing is dropped on the way.

The parser is asked which flags there are; each has a case, or a test of its own that says so with :func:`shows`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
import pytest
from click.testing import CliRunner

from cloudtune.backend import LocalBackend, SageMakerBackend
from cloudtune.cli.launch import make_launch_command
from cloudtune.cli.plan import plan_command
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.environment import ACCESS_KEY
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.cell import Cell
from cloudtune.studies.seeds import method_seed
from cloudtune.studies.shared_budget import SharedBudget
from tests.cli.study_launch import BUCKET, CATALOGUE, SMALL, Arrived, Words, launch

_Test = TypeVar("_Test", bound=Callable[..., Any])

#: Flags that tests below say that they show.
SHOWN: set[str] = set()


def shows(*flags: str) -> Callable[[_Test], _Test]:
    """Marks a test that sees a flag arrive."""
    SHOWN.update(flags)
    return lambda test: test


@dataclass(frozen=True)
class Case:
    """A flag that is given, and where it is seen.

    Args:
        words: What stands behind it.
        seen: Looks for it in what has arrived.
        expected: What is to be seen. Without the flag it must be something else.
        others: Flags that it is given together with.
    """

    words: tuple[str, ...]
    seen: Callable[[Arrived], Any]
    expected: Any
    others: Words = field(default_factory=dict)


def _backend(arrived: Arrived) -> SageMakerBackend:
    backend = arrived.tuner.trial_backend
    assert isinstance(backend, SageMakerBackend)
    return backend


def _trial(arrived: Arrived) -> dict[str, Any]:
    """What is asked for of a trial's job."""
    return _backend(arrived).template.request


def _machine(arrived: Arrived) -> dict[str, Any]:
    """That of a trial's job."""
    machine: dict[str, Any] = _trial(arrived)["ResourceConfig"]
    return machine


def _criterion(arrived: Arrived) -> StoppingCriterion:
    criterion = arrived.tuner.stop_criterion
    assert isinstance(criterion, StoppingCriterion)
    return criterion


def _names(arrived: Arrived) -> set[str]:
    return set(arrived.tuners)


def _method(arrived: Arrived) -> dict[str, Any]:
    """What the only experiment's method says of itself."""
    return arrived.tuner.scheduler.metadata()


def _said(name: str) -> Callable[[Arrived], Any]:
    """What the method and the metadata say of an argument of one's own."""
    return lambda arrived: (_method(arrived).get(name), arrived.metadata.get(name))


def _shared_limit(arrived: Arrived) -> object:
    """Dollars of the study's ledger, where the tuner's criterion asks it."""
    ledger = arrived.objects.get("cloudtune/study/_study/budget.json")
    return ledger and isinstance(arrived.tuner.stop_criterion, SharedBudget) and json.loads(ledger)["max_cost"]


ROLE = "arn:aws:iam::123456789012:role/mine"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"

CASES: dict[str, Case] = {
    "experiment_tag": Case(("other",), _names, {"other-digits-mlp-ASHA-w4-0"}),
    "benchmark": Case(
        ("digits_mlp", "digits_again"), _names, {"study-digits-mlp-ASHA-w4-0", "study-digits-again-ASHA-w4-0"}
    ),
    "method": Case(("RS", "ASHA"), _names, {"study-digits-mlp-ASHA-w4-0", "study-digits-mlp-RS-w4-0"}),
    "n_workers": Case(("2", "8"), lambda arrived: {one.n_workers for one in arrived.tuners.values()}, {2, 8}),
    "num_seeds": Case(("2",), _names, {"study-digits-mlp-ASHA-w4-0", "study-digits-mlp-ASHA-w4-1"}),
    "start_seed": Case(("3",), lambda arrived: arrived.metadata["seed"], 3),
    "random_seed": Case(
        ("2938702734",),
        lambda arrived: _method(arrived)["random_seed"],
        method_seed(2938702734, Cell("study", "digits_mlp", "ASHA", 4, 0)),
    ),
    "backend": Case(("local",), lambda arrived: type(arrived.tuner.trial_backend), LocalBackend),
    "max_wallclock_time": Case(("77",), lambda arrived: _criterion(arrived).max_wallclock_time, 77.0),
    "scale_max_wallclock_time": Case(
        ("1",), lambda arrived: _criterion(arrived).max_wallclock_time, 600.0, {"n_workers": ("2",)}
    ),
    "max_num_trials_started": Case(("7",), lambda arrived: _criterion(arrived).max_num_trials_started, 7),
    "max_failures": Case(("9",), lambda arrived: arrived.tuner.max_failures, 9),
    "instance_type": Case(
        ("ml.g5.xlarge", "ml.p3.2xlarge"),
        lambda arrived: (_machine(arrived)["InstanceType"], _backend(arrived).fallback_instance_types),
        ("ml.g5.xlarge", ("ml.p3.2xlarge",)),
    ),
    "use_spot": Case((), lambda arrived: _trial(arrived).get("EnableManagedSpotTraining"), True),
    "warm_pool": Case((), lambda arrived: _machine(arrived).get("KeepAlivePeriodInSeconds"), 600),
    "delete_checkpoints": Case((), lambda arrived: _backend(arrived).delete_checkpoints, True),
    "start_jobs_without_delay": Case(("true",), lambda arrived: arrived.tuner.start_jobs_without_delay, True),
    "max_cost": Case(("50",), _shared_limit, 50.0),
    "s3_path": Case(
        (f"s3://{BUCKET}/below",),
        lambda arrived: ({key.split("/")[0] for key in arrived.objects}, _backend(arrived).s3_path),
        ({"below"}, f"s3://{BUCKET}/below"),
    ),
    "role": Case((ROLE,), lambda arrived: (arrived.job["RoleArn"], _backend(arrived).template.role), (ROLE, ROLE)),
    "region": Case(
        ("eu-west-1",),
        lambda arrived: ([job.region for job in arrived.cloud.jobs()], _backend(arrived).region),
        (["eu-west-1"], "eu-west-1"),
        {"s3_path": ("s3://experiments-of-europe",)},
    ),
    "image_uri": Case((IMAGE,), lambda arrived: set(_backend(arrived).template.images.values()), {IMAGE}),
    "tuner_image_uri": Case((IMAGE,), lambda arrived: arrived.job["AlgorithmSpecification"]["TrainingImage"], IMAGE),
    "tuner_instance_type": Case(
        ("ml.c5.xlarge",), lambda arrived: arrived.job["ResourceConfig"]["InstanceType"], "ml.c5.xlarge"
    ),
    # Arguments of one's own.
    "brackets": Case(("2",), lambda arrived: (_method(arrived)["brackets"], arrived.metadata["brackets"]), (2, 2)),
    "reduction_factor": Case(("2.5",), _said("reduction_factor"), (2.5, 2.5)),
    "type": Case(
        ("stopping",), lambda arrived: (_method(arrived)["type"], arrived.metadata["type"]), ("stopping",) * 2
    ),
    "allow_duplicates": Case(
        (),
        lambda arrived: (
            _method(arrived)["searcher_settings"]["allow_duplicates"],
            arrived.metadata.get("allow_duplicates"),
        ),
        (True, True),
    ),
}


@pytest.fixture(autouse=True)
def _unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")


@shows(*CASES)
@pytest.mark.defect("C4")
@pytest.mark.defect("C5")
@pytest.mark.parametrize("name", CASES)
def test_a_flag_arrives(name: str, in_process_cloud: InProcessCloud) -> None:
    """In the request of the tuner's job, in the unpickled tuner that it runs, or in what lies beside it in S3."""
    case = CASES[name]
    arrived = launch(in_process_cloud, {**case.others, name: case.words})
    assert arrived.result.exit_code == 0, arrived.result.output
    assert case.seen(arrived) == case.expected


@pytest.mark.parametrize("others", [{}, *(case.others for case in CASES.values() if case.others)], ids=str)
def test_it_is_the_flag_that_makes_the_difference(others: Words, in_process_cloud: InProcessCloud) -> None:
    """Without it something else is seen: else nobody would notice that it does not arrive."""
    arrived = launch(in_process_cloud, others)
    assert arrived.result.exit_code == 0, arrived.result.output
    seen = {name: case.seen(arrived) for name, case in CASES.items() if case.others == others}
    assert [name for name, value in seen.items() if value == CASES[name].expected] == []


# ---------------------------------------------------------------------- flags with tests of their own


@shows("profile")
def test_a_profile(in_process_cloud: InProcessCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its region is that of all jobs; one that there is not is told by its name."""
    config = tmp_path / "config"
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {ACCESS_KEY}\n"
    config.write_text(f"[profile work]\nregion = eu-west-1\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    in_europe: Words = {"s3_path": ("s3://experiments-of-europe",), "profile": ("work",)}
    in_process_cloud.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="experiments-of-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    arrived = launch(in_process_cloud, in_europe, make_bucket=False)
    assert arrived.result.exit_code == 0, arrived.result.output
    assert [job.region for job in in_process_cloud.jobs()] == ["eu-west-1"]
    absent = launch(in_process_cloud, {**in_europe, "profile": ("play",)}, make_bucket=False)
    assert absent.result.exit_code == 1
    assert "play" in absent.result.output


@shows("yes")
def test_yes(in_process_cloud: InProcessCloud) -> None:
    """Without it somebody has to be asked, and there is nobody; nothing is launched then."""
    arrived = launch(in_process_cloud, {"yes": None})
    assert arrived.result.exit_code == 1
    assert "launching costs money, and there is no terminal to ask at: add --yes" in arrived.result.output
    assert (arrived.jobs, arrived.objects) == ([], {})
    assert len(launch(in_process_cloud, {}, make_bucket=False).jobs) == 1


@shows("dry_run")
def test_dry_run(in_process_cloud: InProcessCloud) -> None:
    """The plan is shown, and nothing arrives; nothing is asked either."""
    arrived = launch(in_process_cloud, {"yes": None, "dry_run": ()})
    assert arrived.result.exit_code == 0, arrived.result.output
    assert "digits_mlp" in arrived.result.output
    assert (arrived.jobs, arrived.objects) == ([], {})


@shows("json")
def test_json(in_process_cloud: InProcessCloud) -> None:
    """One object on standard output: what was launched, and where it lies."""
    arrived = launch(in_process_cloud, {"json": ()})
    told = json.loads(arrived.result.stdout)
    assert told["tag"] == "study"
    assert told["launched"] == ["study-digits-mlp-ASHA-w4-0"]
    assert told["place"] == f"s3://{BUCKET}/cloudtune/study/"
    again = json.loads(launch(in_process_cloud, {"json": ()}, make_bucket=False).result.stdout)
    assert (again["launched"], again["running"]) == ([], ["study-digits-mlp-ASHA-w4-0"])


@shows("debug")
def test_debug(in_process_cloud: InProcessCloud) -> None:
    """Python's own traceback in place of a line."""
    arrived = launch(in_process_cloud, {"debug": (), "method": ("absent",)})
    assert type(arrived.result.exception).__name__ == "UnknownName"


@shows("help")
def test_help() -> None:
    """With an example of the whole."""
    result = CliRunner().invoke(make_launch_command(CATALOGUE), ["--help"])
    assert result.exit_code == 0
    assert "cloudtune launch --experiment_tag tmlr-10 --benchmark transformer_wikitext2" in result.output


@shows("catalogue")
def test_catalogue(in_process_cloud: InProcessCloud) -> None:
    """Its benchmarks, methods and arguments of one's own are those of the study."""
    arrived = launch(in_process_cloud, {"catalogue": ("tests.cli.study_launch",), "brackets": ("2",)}, catalogue=None)
    assert arrived.result.exit_code == 0, arrived.result.output
    assert arrived.metadata["brackets"] == 2


@shows("local_cloud")
def test_local_cloud(local_cloud: LocalCloud) -> None:
    """The one that is up gets the jobs, and the bucket that they need; nothing is asked."""
    result = CliRunner().invoke(make_launch_command(CATALOGUE), [*_small("yes"), "--local_cloud"])
    assert result.exit_code == 0, result.output
    assert "-tuning-" in local_cloud.jobs()[0]["name"]
    assert [bucket["Name"] for bucket in local_cloud.client("s3").list_buckets()["Buckets"]] == [BUCKET]


@shows("wait", "max_parallel_experiments")
def test_wait_and_max_parallel_experiments(local_cloud: LocalCloud) -> None:
    """The command returns when all have ended; the second one begins when the first one has."""
    words = [*_small("yes"), "--local_cloud", "--backend", "local", "--num_seeds", "2", "--max_num_trials_started", "1"]
    result = CliRunner().invoke(make_launch_command(CATALOGUE), [*words, "--wait", "--max_parallel_experiments", "1"])
    assert result.exit_code == 0, result.output
    sagemaker = local_cloud.client("sagemaker")
    names = [job["name"] for job in local_cloud.jobs()]
    for name in names:  # an experiment has ended a moment before its tuner's job
        local_cloud.wait_for_job(name)
    first, second = (sagemaker.describe_training_job(TrainingJobName=name) for name in names)
    assert [first["TrainingJobStatus"], second["TrainingJobStatus"]] == ["Completed", "Completed"]
    assert first["TrainingEndTime"] <= second["CreationTime"]


def _small(*without: str) -> list[str]:
    flags = {name: behind for name, behind in SMALL.items() if name not in without and behind is not None}
    return [word for name, behind in flags.items() for word in (f"--{name}", *behind)]


# ---------------------------------------------------------------------- none is forgotten


def _options(command: click.Command, words: list[str]) -> set[str]:
    """Names of all options that a command has when it is called with some words."""
    with command.make_context("command", words, resilient_parsing=True) as context:
        return {name.lstrip("-") for one in command.get_params(context) for name in one.opts if name.startswith("--")}


def test_every_flag_has_a_test() -> None:
    """A flag that nobody has seen arrive is no flag: neither of the command, nor of a script with a catalogue."""
    by_name = _options(make_launch_command(), ["--catalogue", "tests.cli.study_launch"])
    assert by_name == SHOWN
    assert _options(make_launch_command(CATALOGUE), []) == SHOWN - {"catalogue"}


def test_a_plan_has_the_flags_of_its_launch() -> None:
    """But for those that say how to launch it."""
    flags = _options(plan_command, ["--catalogue", "tests.cli.study_launch"])
    assert flags == SHOWN - {"dry_run", "wait", "yes"}


@pytest.mark.defect("C6")
def test_launches_share_nothing(in_process_cloud: InProcessCloud) -> None:
    """What one launch was told is not there in the next one of the same process, with the same catalogue."""
    first = launch(in_process_cloud, {"brackets": ("2",), "max_failures": ("9",), "n_workers": ("2",)})
    assert first.metadata["brackets"] == 2
    other = launch(in_process_cloud, {"experiment_tag": ("other",)}, make_bucket=False).tuners[
        "other-digits-mlp-ASHA-w4-0"
    ]
    assert (other.scheduler.metadata()["brackets"], other.max_failures, other.n_workers) == (1, 1, 4)
