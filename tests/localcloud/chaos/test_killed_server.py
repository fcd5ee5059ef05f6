"""Jobs of an agent under a server that is killed again and again, and comes up again with its state."""

from __future__ import annotations

import json
import os
import random
from functools import partial
from pathlib import Path

import pytest
from botocore.config import Config

from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.localcloud.chaos.driver import Driver
from tests.localcloud.chaos.plan import JobPlan
from tests.localcloud.chaos.test_chaos import marked_processes
from tests.localcloud.conftest import wait_until

KILLS = 3
NUM_JOBS = 6
STEPS = 40
#: Of the run that is to be repeated.
SEED = os.environ.get("CLOUDTUNE_CHAOS_SEED")


@pytest.mark.timeout(900)
def test_jobs_go_on_after_each_death_of_the_server(tmp_path: Path) -> None:
    """Spot jobs continue from their checkpoints; nothing of a dead cloud lives on, and nothing saved is lost."""
    seed = int(SEED or random.SystemRandom().randrange(10**6))
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    moments = random.Random(seed)
    plans = [
        JobPlan(f"chaos-killed-{number}", ("spot_interruption",), STEPS, 0.15, 0, 0, ()) for number in range(NUM_JOBS)
    ]
    folder = tmp_path / "jobs"
    settings = CloudSettings(state_folder=str(tmp_path / "state"), folder=str(folder), sync_interval=0.2)
    saved = 0
    for kill in range(KILLS):
        with LocalCloud(settings) as cloud:
            driver = Driver(_clients(cloud), patience=120)
            if kill == 0:
                places = driver.upload(plans)
                for plan in plans:
                    driver.create(plan, places)
            assert sum(_steps(driver, plans)) >= saved, "checkpoints that were saved are gone"
            _go_on(driver, plans, 6)
            saved = sum(_steps(driver, plans))
            cloud.save()
            _go_on(driver, plans, moments.randint(1, 15))
            cloud_id = cloud.id
            cloud.kill()
        wait_until(partial(_is_gone, cloud_id), "the end of all jobs")
    with LocalCloud(settings) as cloud:
        driver = Driver(_clients(cloud), patience=120)
        driver.run(plans)
        _check(driver, plans, cloud.log.read_text(encoding="utf-8"))
    assert not list(folder.iterdir()), "a folder is left"


def _go_on(driver: Driver, plans: list[JobPlan], steps: int) -> None:
    """Until all jobs together have saved so many steps more."""
    wanted = sum(_steps(driver, plans)) + steps
    wait_until(lambda: sum(_steps(driver, plans)) >= wanted, f"{steps} steps more", timeout=200)


def _is_gone(cloud_id: str) -> bool:
    return not marked_processes(cloud_id)


def _clients(cloud: LocalCloud) -> dict[str, object]:
    config = Config(retries={"mode": "standard", "max_attempts": 10})
    return {name: cloud.client(name, config=config) for name in ("sagemaker", "s3", "logs")}


def _steps(driver: Driver, plans: list[JobPlan]) -> list[int]:
    """The step in each job's checkpoint."""
    objects = driver.objects("checkpoints/")
    keys = [f"checkpoints/{plan.name}/state.json" for plan in plans]
    return [json.loads(objects[key])["step"] if key in objects else 0 for key in keys]


def _check(driver: Driver, plans: list[JobPlan], log: str) -> None:
    assert _steps(driver, plans) == [STEPS] * NUM_JOBS
    for plan in plans:
        described = driver.describe(plan.name)
        assert described["TrainingJobStatus"] == "Completed", (described.get("FailureReason"), log[-3000:])
        begins = [
            line for lines in driver.log_streams(plan.name).values() for line in lines if line.startswith("begin")
        ]
        starts = [int(line.partition("=")[2]) for line in begins]
        assert starts[0] == 0
        assert starts == sorted(starts)
        assert starts[-1] > 0, "the last run did not go on from a checkpoint"
        model = driver.objects(f"out/{plan.name}/output/")
        assert list(model) == [f"out/{plan.name}/output/model.tar.gz", f"out/{plan.name}/output/output.tar.gz"]
        assert driver.objects(f"inbox/{plan.name}/")
    assert {name.partition("/")[0] for name in driver.objects("")} == {"checkpoints", "code", "configs", "inbox", "out"}
