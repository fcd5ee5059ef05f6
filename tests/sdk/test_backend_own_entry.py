"""SageMakerBackend with trials that AWS's own training toolkit starts: no agent, reports from the log."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.sagemaker_backend import Cadence, SageMakerBackend, TrainingJob
from cloudtune.config_space import uniform
from cloudtune.experiments import load_experiment
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import ASHA

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
BUCKET = "sdk-bucket"

SCRIPT = """
import argparse, json, os, time
from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--max_epochs", type=int)
args, _ = parser.parse_known_args()
state = "/opt/ml/checkpoints/state.json"
done = json.load(open(state))["epoch"] if os.path.exists(state) else 0
report = Reporter()
for epoch in range(done + 1, args.max_epochs + 1):
    time.sleep(0.3)
    os.makedirs("/opt/ml/checkpoints", exist_ok=True)
    with open(state + ".new", "w") as file:
        json.dump({"epoch": epoch}, file)
    os.replace(state + ".new", state)
    report(epoch=epoch, loss=args.lr / epoch)
"""


@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_asha_over_jobs_of_awss_toolkit(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASHA stops, pauses and resumes trials whose image starts them; each report counts once, and nothing runs on."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text(SCRIPT)
    images = {"*": str(ROOT / ".venv" / "sdk2")}
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(LocalCloud(sandbox="namespaces", images=images, stop_grace=3.0, sync_interval=0.2))
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        job = TrainingJob(
            "train.py",
            source_dir=tmp_path / "source",
            keep_own_entry=True,
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
            role="arn:aws:iam::123456789012:role/trainer",
            max_run=600,
        )
        tuner = Tuner(
            trial_backend=SageMakerBackend(
                job, f"s3://{BUCKET}", cadence=Cadence(poll=0.2, status=1.0, logs=0.3, life=2.0)
            ),
            scheduler=ASHA(
                {"lr": uniform(0, 1), "max_epochs": 9},
                metric="loss",
                mode="min",
                resource_attr="epoch",
                max_resource_attr="max_epochs",
                type=kind,
                grace_period=1,
                reduction_factor=3,
                random_seed=3,
            ),
            stop_criterion=StoppingCriterion(max_num_trials_started=8),
            n_workers=2,
            tuner_name=f"toolkit-{kind}",
            suffix_tuner_name=False,
        )
        tuner.run()
        running = [job["name"] for job in cloud.jobs() if job["status"] in ("InProgress", "Stopping")]
    results = load_experiment(tuner.name).results
    assert running == []
    assert tuner.status.num_trials_failed == 0
    assert sorted(results["trial_id"].unique()) == list(range(8))
    assert not results.duplicated(["trial_id", "epoch"]).any()
    assert results["epoch"].max() == 9 or kind == "promotion"
    resumed = [record for record in tuner.status.records.values() if record.trial.attempt > 0]
    assert bool(resumed) == (kind == "promotion")
