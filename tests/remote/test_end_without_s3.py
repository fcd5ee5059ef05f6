"""A remote tuner that is stopped while S3 does not take its log: its trials end in time, and it says what lacks."""

from __future__ import annotations

import re

import pytest

from cloudtune.localcloud.cloud import CloudFaults
from tests.remote.remote_experiment import NAME, ROOT, RemoteTuning

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("objects", ["log/*", "[!r]*"], ids=["log", "log, life and lease"])
def test_a_tuner_that_is_stopped_while_s3_does_not_answer(
    tuning: RemoteTuning, faults: CloudFaults, objects: str
) -> None:
    """Its last entries are told to be missing, and where the reports still are; the next tuner takes them in."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    tuner.time_to_end = 8.0
    job = tuning.launch(tuner).job_name
    tuning.wait_for_reports(4)
    faults.add("slow_answer", operation="s3:PutObject", resource=f"*/{ROOT}{objects}", seconds=60, who=f"job:{job}")
    tuning.cloud.stop_job(job)
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    output = tuning.output(job)
    assert re.search(r"its last \d+ entries \(.*\) are not known to be there; continue the experiment", output)
    assert re.search(rf"what trials have reported, .* still lies in s3://\S+/{ROOT}\w+/: whoever continues", output)
    assert [one["status"] for one in tuning.trial_jobs() if one["status"] == "InProgress"] == []
    faults.clear()
    tuning.release(0, 1)
    again = tuning.launch(tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)).job_name
    assert tuning.wait_for_end(again)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert again.startswith(NAME)
