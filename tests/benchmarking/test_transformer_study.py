"""The study that the benchmark ``transformer_wikitext2`` is for, small, on the local cloud: from text to results."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarking.definitions.transformer_wikitext2 import transformer_wikitext2
from cloudtune.experiments import load_experiments
from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.launching import launch_study
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings
from tests.benchmarking.short_text import write_text

BUCKET = "experiments"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1"
ACCOUNT = Account(
    s3_path=f"s3://{BUCKET}",
    role="arn:aws:iam::123456789012:role/any",
    image_uri=IMAGE,
    tuner_image_uri=IMAGE,
)


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once."""
    return CloudSettings(start_delay=0.0)


def short() -> BenchmarkDefinition:
    """Two epochs of a small model."""
    return transformer_wikitext2().with_constants(epochs=2, d_model=16)


def test_methods_compared_on_text_that_travels(
    local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuners and trials are jobs; the text is uploaded once for all of them, as their channel; results come from S3."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_DATA", str(tmp_path))
    write_text(tmp_path / "wikitext-2")
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    plan = Plan(
        "short",
        ("transformer_wikitext2",),
        ("RS", "ASHA"),
        (2,),
        settings=CellSettings(random_seed=2938702734, max_num_trials_started=2, max_failures=0),
    )
    catalogue = Catalogue({"transformer_wikitext2": short})
    done = launch_study(catalogue, plan, ACCOUNT, wait=True)
    names = [cell.name for cell in catalogue.cells(plan)]
    assert (sorted(done.finished), dict(done.failed)) == (sorted(names), {})

    experiments = load_experiments("short", s3_path=ACCOUNT.s3_path)
    assert sorted(one.name for one in experiments) == sorted(names)
    results = {str(one.metadata["method"]): one.results for one in experiments}
    assert list(results["RS"].groupby("trial_id")["epoch"].max()) == [2, 2]
    assert all(table["val_loss"].notna().all() for table in results.values())
    first = [
        [
            tuple(row)
            for row in table.drop_duplicates("trial_id").sort_values("trial_id")[["config_lr", "config_clip"]].values
        ]
        for table in results.values()
    ]
    assert first[0] == first[1], "methods start alike on the same seed"
    text = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET, Prefix="cloudtune/data/")["Contents"]]
    assert sorted(key.rpartition("/")[2] for key in text) == ["test.txt", "train.txt", "valid.txt"]
