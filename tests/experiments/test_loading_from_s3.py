"""Reading experiments that lie in S3: their logs alone, also while they are written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pandas as pd
import pytest

from cloudtune.errors import CloudtuneError, ExperimentNotFound
from cloudtune.experiments import load_experiment
from cloudtune.localcloud import LocalCloud
from cloudtune.store.places import experiment_path
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, opened_in_s3, recorded_in_s3
from tests.experiments.recorded import METADATA, THREE_TRIALS, recorded, row, trial

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


def test_the_same_as_from_a_folder() -> None:
    """Results and metadata do not depend on where the log lies."""
    recorded_in_s3("remote", header("remote"), *THREE_TRIALS)
    recorded("local", *THREE_TRIALS)
    remote, local = load_experiment("remote"), load_experiment("local")
    pd.testing.assert_frame_equal(remote.results, local.results)
    assert remote.metadata == local.metadata == METADATA
    assert (remote.name, remote.place) == ("remote", f"s3://{DEFAULT_BUCKET}/cloudtune/remote/remote/")
    assert remote.path == experiment_path("remote")
    assert remote.best_config()["trial_id"] == 1
    assert not experiment_path("remote").exists(), "reading leaves no trace"


def test_while_it_runs() -> None:
    """What the tuner has flushed is in the results; the metadata are those of the log until they are written."""
    store = opened_in_s3("demo", header("demo"), trial(0, lr=0.1))
    assert load_experiment("demo").results.empty
    for number in range(3):
        store.append([row(0, float(number), loss=1.0, epoch=number)])
        store.flush()
        assert len(load_experiment("demo").results) == number + 1
    assert load_experiment("demo").metadata["seed"] == 1
    assert load_experiment("demo").metadata["st_tuner_creation_timestamp"] == 5.0
    store.close()


def test_this_machine_comes_first() -> None:
    """A folder of that name is taken; S3 is asked only where there is none, and only if wanted."""
    recorded("demo", trial(0, lr=0.1), row(0, 1.0, loss=0.5))
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS)
    assert load_experiment("demo").place == ""
    recorded_in_s3("other", header("other"), tag="study")
    assert load_experiment("study/other").name == "other"
    with pytest.raises(ExperimentNotFound) as error:
        load_experiment("other", download_if_not_found=False)
    assert "S3" not in str(error.value)


def test_another_place() -> None:
    """``s3_path`` says where to look."""
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS, place="s3://data/team")
    with pytest.raises(ExperimentNotFound, match="nor can one be read from S3"):
        load_experiment("demo")
    assert len(load_experiment("demo", s3_path="s3://data/team").results) == 6


def test_another_experiment_of_that_name_is_on_this_machine() -> None:
    """It is not taken for the one of the place that is named."""
    recorded("demo", trial(0, lr=0.1), row(0, 1.0, loss=0.5))
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS, place="s3://data/team")
    assert load_experiment("demo", s3_path="s3://data/team").place == "s3://data/team/cloudtune/demo/demo/"
    with pytest.raises(ExperimentNotFound, match="there is no experiment 'demo' in s3://data/elsewhere/"):
        load_experiment("demo", s3_path="s3://data/elsewhere")
    assert load_experiment("demo", s3_path="s3://data/team", download_if_not_found=False).place == ""
    assert load_experiment("demo", s3_path="s3://data/team", local_path=experiment_path("demo").parent).place == ""


def test_a_damaged_log(account: LocalCloud, caplog: pytest.LogCaptureFixture) -> None:
    """All before the damage is used; a warning names the object, and nothing is overwritten."""
    store = opened_in_s3("demo", header("demo"), trial(0, lr=0.1))
    for number in range(4):
        store.append([row(0, float(number), loss=1.0, epoch=number)])
        store.flush()
    store.close()
    s3 = account.client("s3")
    rows = s3.list_objects_v2(Bucket=DEFAULT_BUCKET, Prefix="cloudtune/demo/demo/log/")["Contents"]
    damaged = rows[-2]["Key"]
    body = s3.get_object(Bucket=DEFAULT_BUCKET, Key=damaged)["Body"].read()
    s3.put_object(Bucket=DEFAULT_BUCKET, Key=damaged, Body=body[: len(body) // 2])
    before = {row["Key"]: row["ETag"] for row in s3.list_objects_v2(Bucket=DEFAULT_BUCKET)["Contents"]}
    loaded = load_experiment("demo")
    assert 0 < len(loaded.results) < 4
    assert damaged in caplog.text
    assert {row["Key"]: row["ETag"] for row in s3.list_objects_v2(Bucket=DEFAULT_BUCKET)["Contents"]} == before


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (self.trace,)


def test_nothing_is_unpickled_unasked(tmp_path: Path, account: LocalCloud) -> None:
    """Whoever may write to the bucket may not run code here, unless the tuner is asked for."""
    trace = tmp_path / "sprung"
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS)
    account.client("s3").put_object(
        Bucket=DEFAULT_BUCKET, Key="cloudtune/demo/demo/tuner.dill", Body=pickle.dumps(Trap(trace))
    )
    load_experiment("demo").best_config()
    assert not trace.exists()
    with pytest.raises(CloudtuneError, match="holds no tuner"):
        load_experiment("demo", load_tuner=True)
    assert trace.exists()


def test_a_tuner_that_is_not_there() -> None:
    """An experiment that nobody launched has none."""
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS)
    with pytest.raises(ExperimentNotFound, match="was not launched by a RemoteLauncher"):
        load_experiment("demo", load_tuner=True)
