"""How a benchmark's data reaches its trials: beside the loop, in training jobs, and beside a loop that is a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarking.definitions.digits_mlp import digits_mlp
from cloudtune.backend import LocalBackend, SageMakerBackend
from cloudtune.localcloud import LocalCloud
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.inputs import InputChannels, InputMissing, channel_variables, check_inputs
from cloudtune.studies.settings import CellSettings

CELL = Cell("tag", "digits_mlp", "RS", 1, 0)
BUCKET = "experiments"
S3_PATH = f"s3://{BUCKET}/mine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data in two files, one of them further down, and one that is hidden."""
    made = tmp_path / "data" / "words"
    (made / "more").mkdir(parents=True)
    (made / "a.txt").write_text("one two")
    (made / "more" / "b.txt").write_text("three")
    (made / ".hidden").write_text("no")
    return made


def benchmark(place: Path | str) -> BenchmarkDefinition:
    return replace(digits_mlp(), inputs={"words": str(place)}, inputs_from="fetch it from https://example.org")


def tuners(defined: BenchmarkDefinition, backend: str) -> CellTuners:
    account = Account(s3_path=S3_PATH, region="us-east-1", role="r")
    return CellTuners(Catalogue({"digits_mlp": lambda: defined}), CellSettings(backend=backend), account)


def objects(cloud: LocalCloud) -> dict[str, str]:
    s3 = cloud.client("s3")
    rows = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {row["Key"]: s3.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read().decode() for row in rows}


@pytest.fixture
def cloud(in_process_cloud: LocalCloud) -> LocalCloud:
    """A cloud with a bucket."""
    in_process_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return in_process_cloud


def test_beside_the_loop_a_variable_says_where(folder: Path) -> None:
    """It has the name that SageMaker gives the channel of a job."""
    backend = tuners(benchmark(folder), "local").tuner(CELL).trial_backend
    assert isinstance(backend, LocalBackend)
    assert backend.environment["SM_CHANNEL_WORDS"] == str(folder)


def test_a_folder_becomes_a_channel_of_the_jobs(cloud: LocalCloud, folder: Path) -> None:
    """All of it that is not hidden is uploaded below the experiments' prefix, where the jobs' role may read."""
    backend = tuners(benchmark(folder), "sagemaker").tuner(CELL).trial_backend
    assert isinstance(backend, SageMakerBackend)
    [channel] = backend.template.request["InputDataConfig"]
    assert channel["ChannelName"] == "words"
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith(f"{S3_PATH}/cloudtune/data/words-")
    prefix = uri.removeprefix(f"s3://{BUCKET}/")
    assert objects(cloud) == {f"{prefix}a.txt": "one two", f"{prefix}more/b.txt": "three"}


def test_a_loop_that_is_a_job_has_the_channel_for_its_trials(cloud: LocalCloud, folder: Path) -> None:
    """The folder of this machine is not named there; the agent tells the loop, and so its trials, of the channel."""
    launcher = tuners(benchmark(folder), "local").launcher(CELL)
    assert launcher.job.inputs is not None
    assert str(launcher.job.inputs["words"]).startswith(f"{S3_PATH}/cloudtune/data/words-")
    backend = launcher.tuner.trial_backend
    assert isinstance(backend, LocalBackend)
    assert "SM_CHANNEL_WORDS" not in backend.environment


def test_a_folder_is_uploaded_once(cloud: LocalCloud, folder: Path) -> None:
    """The same content goes to the same place and is not sent again; other content gets a place of its own."""
    first = InputChannels(S3_PATH, "us-east-1", None).of(benchmark(folder))
    s3 = cloud.client("s3")
    written = {row["Key"]: row["LastModified"] for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert InputChannels(S3_PATH, "us-east-1", None).of(benchmark(folder)) == first
    assert {row["Key"]: row["LastModified"] for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]} == written
    (folder / "a.txt").write_text("two one")
    assert InputChannels(S3_PATH, "us-east-1", None).of(benchmark(folder)) != first
    assert len(objects(cloud)) == 4


def test_an_upload_that_was_cut_short_is_completed(cloud: LocalCloud, folder: Path) -> None:
    """What is missing, or was written half, is sent again."""
    uri = InputChannels(S3_PATH, "us-east-1", None).of(benchmark(folder))["words"]
    whole, prefix = objects(cloud), uri.removeprefix(f"s3://{BUCKET}/")
    s3 = cloud.client("s3")
    s3.delete_object(Bucket=BUCKET, Key=f"{prefix}a.txt")
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}more/b.txt", Body=b"thr")
    InputChannels(S3_PATH, "us-east-1", None).of(benchmark(folder))
    assert objects(cloud) == whole


def test_what_lies_in_s3_is_left_there() -> None:
    """Nothing is asked of AWS for it; only trials of this machine cannot read it."""
    defined = benchmark("s3://elsewhere/words")
    check_inputs(defined)
    assert InputChannels(None, None, None).of(defined) == {"words": "s3://elsewhere/words"}
    with pytest.raises(InputMissing, match=r"reads words from s3://elsewhere/words, which trials on this machine can"):
        channel_variables(defined)


@pytest.mark.parametrize(("makes_it", "state"), [(False, "is not there"), (True, "is empty")])
@pytest.mark.parametrize("backend", ["local", "sagemaker"])
def test_data_that_is_missing(tmp_path: Path, backend: str, makes_it: bool, state: str) -> None:
    """Before anything is launched one sentence says where to get it and where to put it."""
    place = tmp_path / "absent"
    if makes_it:
        place.mkdir()
    with pytest.raises(InputMissing, match=f"reads its data from .*absent, which {state}; fetch it from https"):
        tuners(benchmark(place), backend).tuner(CELL)
