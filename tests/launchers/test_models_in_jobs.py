"""Methods with a model on the local cloud: tuner and trials are training jobs, and the model is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import LocalCloud
from cloudtune.store import entries
from cloudtune.store.s3_log import S3LogView
from tests.launchers.own_study import launch, write_study

CATALOGUE = """

CATALOGUE = Catalogue({"tiny": tiny}, METHODS, extra_arguments=[ExtraArgument("num_init_random", int)])
"""
WORDS = "--experiment_tag models --benchmark tiny --method BO MOBSTER --n_workers 1 --num_init_random 2"
TRIALS = 4


@pytest.mark.timeout(600)
def test_models_propose_trials_that_are_training_jobs(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """After two random trials each the model proposes the others, from what jobs have reported."""
    write_study(tmp_path, CATALOGUE)
    launch(tmp_path, f"{WORDS} --backend sagemaker --local_cloud --wait --max_num_trials_started {TRIALS}")
    jobs = [job["status"] for job in local_cloud.jobs()]
    # Two tuners; MOBSTER has a job more for each trial that it goes on with.
    assert len(jobs) >= 2 + 2 * TRIALS
    assert "Failed" not in jobs
    for method in ("BO", "MOBSTER"):
        found = find_in_s3(f"models-tiny-{method}-w1-0")
        log = S3LogView(found.bucket, found.root).entries()
        begun = [entry for entry in log if entry["event"] == entries.SUGGEST and entry["attempt"] == 0]
        by_model = [bool(entry.get("memo", {}).get("parameters")) for entry in begun]
        assert by_model == [False, False, True, True], method
