"""Launching one experiment after the other, while AWS refuses some."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune import Tuner
from cloudtune.aws.errors import QuotaReached
from cloudtune.localcloud import Fault
from cloudtune.remote.shipment import Shipment, pack
from tests.remote.remote_experiment import RemoteTuning


@pytest.mark.defect("R5")
def test_a_refused_launch_holds_up_no_other(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a loop over launches, one without quota asks once and is told at once; a throttled one only asks again.

    Neither packs or uploads the source again; the refused one is launched by the same command later.
    """
    packed: list[str] = []

    def counting(tuner: Tuner, *arguments: Any, **options: Any) -> Shipment:
        packed.append(tuner.name)
        return pack(tuner, *arguments, **options)

    monkeypatch.setattr("cloudtune.remote.remote_launcher.pack", counting)
    faults = tuning.cloud.faults
    faults.add(Fault("slow_start", seconds=10_000.0))
    for name, kind, count in (("one", "resource_limit", 1), ("two", "throttle", 2)):
        faults.add(Fault(kind, operation="sagemaker:CreateTrainingJob", job=f"{name}-tuning-*", count=count))
    names = ["one", "two", "three"]
    refused = []
    for name in names:
        try:
            tuning.launch(tuning.tuner(False, {"epochs": 1}, trials=1, tuner_name=name))
        except QuotaReached:
            refused.append(name)
    creations = [call.job for call in tuning.cloud.calls("sagemaker:CreateTrainingJob")]
    assert refused == ["one"]
    assert [sum(job.startswith(name) for job in creations) for name in names] == [1, 3, 1]
    assert [job["name"].partition("-")[0] for job in tuning.cloud.jobs()] == ["two", "three"]
    tuning.launch(tuning.tuner(False, {"epochs": 1}, trials=1, tuner_name="one"))
    assert len(tuning.cloud.jobs()) == 3
    assert packed == [*names, "one"]
    uploads = [call for call in tuning.cloud.calls("s3:PutObject") if call.resource.endswith("bundle.zip")]
    assert len(uploads) == 1
