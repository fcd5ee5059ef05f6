"""``cloudtune plan`` and the refusals of ``cloudtune launch``: what is said before anything is launched."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.localcloud.in_process import InProcessCloud

STUDY = ["--experiment_tag", "t", "--catalogue", "tests.cli.study_launch", "--s3_path", "s3://experiments"]
DIGITS = ["--benchmark", "digits_mlp"]


@pytest.fixture(autouse=True)
def cloud(in_process_cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> InProcessCloud:
    """A cloud with the bucket of the experiments; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    in_process_cloud.client("s3").create_bucket(Bucket="experiments")
    return in_process_cloud


def _run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_what_a_plan_needs(cloud: InProcessCloud) -> None:
    """As the seed has it: 8 workers of 20 experiments need 160 instances, and 20 for tuners; nothing is created."""
    words = [*STUDY, *DIGITS, "--method", "RS", "ASHA", "GS", "MSR", "--num_seeds", "5", "--n_workers", "8"]
    done = _run("plan", *words, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["experiments"]["count"] == 20
    needed = {need["name"]: need["needed"] for need in told["quotas"]}
    assert needed == {"ml.g4dn.xlarge for training job usage": 160, "ml.m5.large for training job usage": 20}
    for_people = _run("plan", *words)
    assert for_people.exit_code == 0
    assert "160" in for_people.output
    assert cloud.jobs() == []
    assert cloud.client("s3").list_objects_v2(Bucket="experiments")["KeyCount"] == 0


def test_a_dry_run_is_the_plan() -> None:
    """The same words, whichever way they are asked for."""
    assert _run("plan", *STUDY, *DIGITS).output == _run("launch", *STUDY, *DIGITS, "--dry_run").output


@pytest.mark.parametrize("command", ["plan", "launch"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark", "digit_mlp"], "there is no benchmark 'digit_mlp'; did you mean 'digits_mlp'? known are"),
        ([*DIGITS, "--method", "ASHAA"], "there is no method 'ASHAA'; did you mean 'ASHA'? known are"),
        ([], "give --benchmark, one or several of digits_again, digits_mlp"),
        ([*DIGITS, "--use_spot", "--warm_pool"], "SageMaker keeps no spot machines: leave out use_spot or warm_pool"),
        ([*DIGITS, "--backend", "simulator", "--image_uri", "i"], "nothing is trained; leave out --image_uri"),
    ],
)
def test_refusals(command: str, words: list[str], message: str) -> None:
    """One plain line; nothing is asked of AWS."""
    done = _run(command, *STUDY, *words)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert message in done.output
    assert len(done.output.splitlines()) == 1


def test_ten_thousand_experiments(cloud: InProcessCloud) -> None:
    """A slip of the keyboard is asked about before anything is looked up; there is nobody to ask here."""
    done = _run("launch", *STUDY, *DIGITS, "--num_seeds", "2500")
    assert done.exit_code == 1
    assert done.output.startswith("Error: the plan has 10,000 experiments (4 methods x 2,500 seeds), and there is no")
    assert len(done.output.splitlines()) == 1
    assert cloud.call_counts().get("sagemaker:ListTrainingJobs", 0) == 0


def test_an_argument_that_a_method_does_not_take() -> None:
    """The method and the argument are named; it is found before anything is launched."""
    done = _run("launch", *STUDY, *DIGITS, "--method", "RS", "--brackets", "2", "--yes")
    assert done.exit_code == 1
    assert "the method RS cannot be made with brackets" in done.output


def test_an_experiment_that_exists_with_other_settings(cloud: InProcessCloud) -> None:
    """The difference is shown, and nothing is launched."""
    words = [*STUDY, *DIGITS, "--method", "RS", "--yes"]
    assert _run("launch", *words).exit_code == 0
    done = _run("launch", *words, "--max_wallclock_time", "7")
    assert done.exit_code == 1
    assert "max_wallclock_time" in done.output
    assert len(cloud.jobs()) == 1


def test_the_number_of_workers_makes_another_experiment(cloud: InProcessCloud) -> None:
    """A tag holds several plans."""
    words = [*STUDY, *DIGITS, "--method", "RS", "--yes"]
    for workers, jobs in (("2", 1), ("4", 2), ("2", 2)):
        assert _run("launch", *words, "--n_workers", workers).exit_code == 0
        assert len(cloud.jobs()) == jobs


@pytest.mark.parametrize("words", [["plan"], ["launch", "--dry_run"]])
def test_ten_thousand_experiments_are_shown(words: list[str]) -> None:
    """Without a question: nothing is launched."""
    shown = _run(*words, *STUDY, *DIGITS, "--num_seeds", "2500")
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("study t: 10,000 experiments, ")
