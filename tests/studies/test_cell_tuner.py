"""The tuner of a cell: what plan, settings and benchmark say arrives in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarking.definitions.digits_mlp import SCRIPT, digits_mlp
from cloudtune.backend import LocalBackend, SageMakerBackend
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.settings import CellSettings
from cloudtune.tuner import Tuner

CELL = Cell("tag", "digits_mlp", "ASHA", 2, 3)


def _benchmark() -> BenchmarkDefinition:
    defined = digits_mlp()
    return replace(defined, environment={"OF": "benchmark"}, local_instance_type="ml.g4dn.12xlarge")


def _tuners(account: Account | None = None, **settings: Any) -> CellTuners:
    return CellTuners(Catalogue({"digits_mlp": _benchmark}), CellSettings(**settings), account)


def _criterion(tuner: Tuner) -> StoppingCriterion:
    criterion = tuner.stop_criterion
    assert isinstance(criterion, StoppingCriterion)
    return criterion


def _jobs(tuner: Tuner) -> SageMakerBackend:
    backend = tuner.trial_backend
    assert isinstance(backend, SageMakerBackend)
    return backend


@pytest.mark.defect("C4")
@pytest.mark.parametrize(("workers", "factor"), [(1, 4), (2, 2), (3, 4 / 3), (4, 1), (8, 1)])
@pytest.mark.parametrize("backend", ["local", "sagemaker"])
def test_time_is_scaled_for_fewer_workers(backend: str, workers: int, factor: float) -> None:
    """By the benchmark's default number over the cell's, where there are fewer, for every backend; else not."""
    cell = replace(CELL, n_workers=workers)
    expected = {(True, None): 300 * factor, (True, 1000): 1000 * factor, (False, 1000): 1000}
    for (scale, given), limit in expected.items():
        tuners = _tuners(backend=backend, scale_max_wallclock_time=scale, max_wallclock_time=given)
        assert _criterion(tuners.tuner(cell)).max_wallclock_time == pytest.approx(limit)


def test_the_same_experiment_is_continued() -> None:
    """Its name is the cell's, without a time; its metadata tell it from all others."""
    tuner = _tuners(extra={"brackets": 2}).tuner(CELL)
    assert tuner.name == CELL.name
    assert not tuner.is_unclaimed
    assert tuner.n_workers == 2
    # What of one's own arguments the method tells itself stands in the metadata as it tells it.
    metadata = {**tuner.metadata, **tuner.scheduler.metadata()}
    expected = {"tag": "tag", "benchmark": "digits_mlp", "method": "ASHA", "n_workers": 2, "seed": 3, "brackets": 2}
    assert {key: metadata[key] for key in expected} == expected


def test_trials_as_jobs() -> None:
    """Machines, spot, checkpoints, place, role, image and variables are those that were asked for."""
    account = Account(
        s3_path="s3://bucket/here",
        role="arn:aws:iam::123456789012:role/r",
        region="eu-west-1",
        image_uri="1.dkr.ecr.eu-west-1.amazonaws.com/i:1",
        environment={"MY": "own"},
    )
    settings = {
        "instance_type": ("ml.g5.xlarge", "ml.g4dn.xlarge"),
        "use_spot": True,
        "delete_checkpoints": True,
        "start_jobs_without_delay": True,
        "max_failures": 7,
        "max_num_trials_started": 11,
    }
    tuner = _tuners(account, **settings).tuner(CELL)
    backend = _jobs(tuner)
    assert (backend.s3_path, backend.region, backend.delete_checkpoints) == ("s3://bucket/here", "eu-west-1", True)
    assert backend.fallback_instance_types == ("ml.g4dn.xlarge",)
    request = backend.template.request
    assert request["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert request["EnableManagedSpotTraining"]
    assert request["Environment"] == {"OF": "benchmark", "MY": "own"}
    assert backend.template.role == account.role
    assert (tuner.max_failures, tuner.start_jobs_without_delay) == (7, True)
    assert _criterion(tuner).max_num_trials_started == 11


def test_a_job_may_run_no_longer_than_it_can_need() -> None:
    """As long as the experiment and the half hour beyond it in which a tuner is replaced; never over a day."""
    for limit, longest in ((3600.5, 3601 + 1800), (10**6, 86_400)):
        request = _jobs(_tuners(max_wallclock_time=limit).tuner(CELL)).template.request
        assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == longest


def test_a_warm_pool_is_kept_for_ten_minutes() -> None:
    """Machines wait for the next trial where that is wanted, and not by default."""
    kept, not_kept = (
        _jobs(_tuners(warm_pool=wanted).tuner(CELL)).template.request["ResourceConfig"] for wanted in (True, False)
    )
    assert kept["KeepAlivePeriodInSeconds"] == 600
    assert "KeepAlivePeriodInSeconds" not in not_kept


def test_trials_beside_the_loop() -> None:
    """They are processes with the variables of benchmark and account, and the machine is the benchmark's large one."""
    tuners = _tuners(Account(environment={"MY": "own"}), backend="local", delete_checkpoints=True)
    backend = tuners.tuner(CELL).trial_backend
    assert isinstance(backend, LocalBackend)
    assert backend.entry_point == SCRIPT
    assert (backend.environment, backend.delete_checkpoints) == ({"OF": "benchmark", "MY": "own"}, True)
    job = tuners.launcher(CELL).job
    assert (job.instance_type, job.environment) == ("ml.g4dn.12xlarge", {"OF": "benchmark", "MY": "own"})


@pytest.mark.parametrize(
    ("settings", "machine"),
    [
        ({"backend": "local", "instance_type": ("ml.p3.8xlarge",)}, "ml.p3.8xlarge"),
        ({"backend": "sagemaker", "instance_type": ("ml.p3.8xlarge",)}, "ml.c5.large"),
    ],
)
def test_the_tuners_machine(settings: dict[str, Any], machine: str) -> None:
    """It is the trials' where they run on it, else the account's small one; role, image, place and tag go along."""
    account = Account(
        tuner_instance_type="ml.c5.large",
        tuner_image_uri="1.dkr.ecr.us-east-1.amazonaws.com/t:1",
        role="r",
        s3_path="s3://bucket",
        region="eu-west-1",
        profile="work",
    )
    launcher = _tuners(account, **settings).launcher(CELL)
    assert launcher.job.instance_type == machine
    assert (launcher.tag, launcher.image_uri, launcher.role) == ("tag", account.tuner_image_uri, "r")
    assert (launcher.s3_path, launcher.region, launcher.profile) == ("s3://bucket", "eu-west-1", "work")


def test_the_tuner_keeps_the_accounts_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often AWS may be called is told to its job where the launching process was told; else nothing is."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "sagemaker:*=5")
    assert _tuners().launcher(CELL).job.environment == {"CLOUDTUNE_AWS_RATES": "sagemaker:*=5"}
    monkeypatch.delenv("CLOUDTUNE_AWS_RATES")
    assert not _tuners().launcher(CELL).job.environment


@pytest.mark.parametrize("name", ["tag", "benchmark", "method", "n_workers", "seed"])
def test_an_argument_cannot_hide_what_a_cell_is(name: str) -> None:
    """Metadata have these names already; the message says which."""
    with pytest.raises(ValueError, match=f"cannot be called {name}"):
        _tuners(extra={name: 1})
