"""Warm pools: instances that wait for the next job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.jobs.training_job import TrainingJob
from tests.localcloud.jobs.place import Place, cloud, wait_until

USAGE = "ml.m5.large for training warm pool usage"


def kept(place: Place, *command: str, seconds: int = 3600, name: str = "", **resources: Any) -> TrainingJob:
    """Creates a job that asks for a warm pool."""
    whole = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, **resources}
    whole["KeepAlivePeriodInSeconds"] = seconds
    return place.create(*(command or ("true",)), name=name, ResourceConfig=whole)


def test_the_next_job_takes_it(tmp_path: Path) -> None:
    """A matching job starts at once on kept instances; the records of both say so, from its start to its end."""
    with cloud(tmp_path / "c", start_delay=5.0, warm_start_delay=0.0) as place:
        first = place.ended(kept(place))
        assert first.describe()["WarmPoolStatus"] == {
            "Status": "Available",
            "ResourceRetainedBillableTimeInSeconds": 0,
        }
        assert place.platform.quotas.used(USAGE, place.account, place.region) == 1
        second = kept(place, "sh", "-c", "echo up; sleep 600")
        place.wait_for_line(second, "up")
        assert second.describe()["WarmPoolStatus"] == {"Status": "InUse"}
        status = first.describe()["WarmPoolStatus"]
        assert (status["Status"], status["ReusedByJob"]) == ("Reused", second.name)
        assert place.platform.quotas.used(USAGE, place.account, place.region) == 1
        assert next(s.since for s in second.states() if s.secondary == "Downloading") - second.created < 5.0
        place.stop(second)
        place.platform.forget_jobs()
        assert place.platform.quotas.used(USAGE, place.account, place.region) == 0


def test_what_does_not_match(tmp_path: Path) -> None:
    """Other instances, volumes or images, and jobs that do not ask for a pool, leave it alone."""
    with cloud(tmp_path / "c") as place:
        first = place.ended(kept(place))
        place.ended(kept(place, InstanceType="ml.m5.xlarge"))
        place.ended(kept(place, VolumeSizeInGB=2))
        place.run("true")
        place.ended(place.create("true", ResourceConfig=first.request["ResourceConfig"], RoleArn="another"))
        assert first.describe()["WarmPoolStatus"]["Status"] == "Available"


def test_it_expires(tmp_path: Path) -> None:
    """After the keep-alive time the pool is gone, without anybody looking; what was retained is told."""
    with cloud(tmp_path / "c", time_scale=1000.0) as place:
        first = place.ended(kept(place, seconds=200))
        wait_until(lambda: (first.state.warm_pool or {}).get("Status") == "Terminated")
        assert first.describe()["WarmPoolStatus"]["ResourceRetainedBillableTimeInSeconds"] == 200
        assert first.status == "Completed"
        assert place.platform.warm_pools.in_use("ml.m5.large", place.account, place.region) == 0


def test_a_changed_keep_alive(tmp_path: Path) -> None:
    """UpdateTrainingJob may shorten the time: the pool ends then."""
    with cloud(tmp_path / "c") as place:
        first = place.ended(kept(place))
        first.update_request(ResourceConfig={**first.request["ResourceConfig"], "KeepAlivePeriodInSeconds": 0})
        place.platform.warm_pools.update(first)
        wait_until(lambda: (first.state.warm_pool or {}).get("Status") == "Terminated")
        assert place.platform.warm_pools.in_use("ml.m5.large", place.account, place.region) == 0


def test_no_pool_without_quota(tmp_path: Path) -> None:
    """A quota of 0 keeps nothing and says nothing; one of 1 keeps one; a fault keeps none; a failed job's are gone."""
    with cloud(tmp_path / "c", quotas={USAGE: 0}) as place:
        assert "WarmPoolStatus" not in place.ended(kept(place)).describe()
        place.platform.quotas.set(USAGE, 1)
        failed = place.ended(kept(place, "false"))
        assert "WarmPoolStatus" not in failed.describe()
        place.platform.faults.add(Fault("no_warm_pool", job="cold"))
        assert "WarmPoolStatus" not in place.ended(kept(place, name="cold")).describe()
        assert "WarmPoolStatus" in place.ended(kept(place)).describe()
        assert "WarmPoolStatus" not in place.ended(kept(place, VolumeSizeInGB=3)).describe()
        takes_and_fails = place.ended(kept(place, "false"))
        assert takes_and_fails.describe()["WarmPoolStatus"]["Status"] == "Terminated"
