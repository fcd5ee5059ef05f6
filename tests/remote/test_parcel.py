"""Many tuners in one archive, launched with what was packed, found and uploaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune import Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.backend import LocalBackend
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.parcel import bucket_of, make_parcels
from cloudtune.remote.shipment import pack, pack_together
from tests.remote.journey import write
from tests.remote.remote_experiment import JOB
from tests.remote.test_shipment import arrive, contents, small_package, tuner_of

__all__ = ["small_package"]

DESCRIBED: dict[str, Any] = {**JOB}


@pytest.mark.usefixtures("small_package")
def test_one_archive_has_what_each_tuner_needs(tmp_path: Path) -> None:
    """Scripts of all, requirements of all; each tuner arrives with its own seed, and finds its own script."""
    folder = write(
        tmp_path,
        {
            "one/train.py": "import yaml",
            "one/requirements.txt": "scikit-learn==1.0\n",
            "two/train.py": "import dateutil",
        },
    )
    tuners = [tuner_of(LocalBackend(folder / name / "train.py"), seed) for seed, name in enumerate(("one", "two"))]
    shipments = pack_together(tuners)
    first, second = shipments
    assert first.bundle is second.bundle
    assert first.manifest["archive"] == second.manifest["archive"]
    assert first.manifest["tuner"] != second.manifest["tuner"]
    assert first.manifest["requirements"] == second.manifest["requirements"]
    alone = [pack(tuner).manifest["requirements"] for tuner in tuners]
    assert set(first.manifest["requirements"]) >= set(alone[1])
    scripts = {name for name in contents(first) if name.endswith("train.py")}
    assert len(scripts) == 2
    for number, (tuner, shipment) in enumerate(zip(tuners, shipments, strict=True)):
        there = arrive(shipment, tmp_path / f"there-{number}")
        assert there.scheduler.random_seed == tuner.scheduler.random_seed
        (script,) = there.trial_backend.local_scripts()
        assert script.read_text() == (folder / ("one", "two")[number] / "train.py").read_text()


def _tuner(folder: Path, name: str, **options: Any) -> Tuner:
    backend = LocalBackend(folder / "train.py")
    tuner = tuner_of(backend)
    return Tuner(backend, tuner.scheduler, tuner.stop_criterion, 1, tuner_name=name, **options)


@pytest.mark.usefixtures("small_package")
def test_launches_with_parcels_pack_and_upload_nothing(
    in_process_cloud: InProcessCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket is looked at once, the archive put once; each launch creates its own job."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    in_process_cloud.client("s3").create_bucket(Bucket="parcels")
    folder = write(tmp_path, {"train.py": ""})
    aws = aws_for()
    found = bucket_of(aws, "s3://parcels/within")
    tuners = [_tuner(folder, name, suffix_tuner_name=False) for name in ("one", "two")]
    parcels = make_parcels(aws, tuners, found)
    launched = [
        RemoteLauncher(tuner, **DESCRIBED, s3_path="s3://parcels/within").run_with(parcel)
        for tuner, parcel in zip(tuners, parcels, strict=True)
    ]
    assert [job.name for job in in_process_cloud.jobs()] == [one.job_name for one in launched]
    archives = [call.resource for call in in_process_cloud.calls("s3:PutObject") if "bundle.zip" in call.resource]
    assert len(archives) == 1
    assert "within/cloudtune/code/" in archives[0]
    assert len(in_process_cloud.calls("s3:HeadBucket")) == 1
    assert make_parcels(aws, [], found) == []


@pytest.mark.usefixtures("small_package")
def test_a_name_that_may_have_to_move_on_is_not_packed(in_process_cloud: InProcessCloud, tmp_path: Path) -> None:
    """A tuner with a time stamp in its name takes another name where it meets one: what is packed would not."""
    in_process_cloud.client("s3").create_bucket(Bucket="parcels")
    tuner = _tuner(write(tmp_path, {"train.py": ""}), "one")
    aws = aws_for()
    (parcel,) = make_parcels(aws, [tuner], bucket_of(aws, "s3://parcels"))
    with pytest.raises(ValueError, match="suffix_tuner_name=False"):
        RemoteLauncher(tuner, **DESCRIBED).run_with(parcel)
