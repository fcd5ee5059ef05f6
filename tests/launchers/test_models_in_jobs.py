"""Methods with a model on the local cloud: tuner and trials are training jobs, and the model is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import LocalCloud
from cloudtune.store import entries
from cloudtune.store.s3_log import S3LogView

#: The cheapest benchmark there is: a trial takes as long as Python does to begin.
CATALOGUE = """
from pathlib import Path

from cloudtune.config_space import uniform
from cloudtune.studies import METHODS, BenchmarkDefinition, Catalogue, ExtraArgument


def tiny():
    return BenchmarkDefinition(
        name="tiny",
        script=Path(__file__).with_name("train.py"),
        config_space={"x": uniform(0, 1), "epochs": 2},
        metric="error",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="epochs",
        max_wallclock_time=250,
        reduction_factor=2,
    )


CATALOGUE = Catalogue({"tiny": tiny}, METHODS, extra_arguments=[ExtraArgument("num_init_random", int)])
"""
TRAIN = """
import argparse

from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--epochs", type=int)
arguments, _ = parser.parse_known_args()
report = Reporter()
for epoch in range(1, arguments.epochs + 1):
    report(epoch=epoch, error=(arguments.x - 0.3) ** 2 / epoch)
"""
WORDS = "launch --experiment_tag models --benchmark tiny --method BO MOBSTER --n_workers 1 --num_init_random 2"
TRIALS = 4


@pytest.mark.timeout(600)
def test_models_propose_trials_that_are_training_jobs(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """After two random trials each the model proposes the others, from what jobs have reported."""
    (tmp_path / "launchers").mkdir()
    (tmp_path / "launchers" / "catalogue.py").write_text(CATALOGUE)
    (tmp_path / "launchers" / "train.py").write_text(TRAIN)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cloudtune.cli", *WORDS.split(), "--backend", "sagemaker", "--local_cloud"),
            *("--wait", "--max_num_trials_started", str(TRIALS)),
        ],
        cwd=tmp_path,
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
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
