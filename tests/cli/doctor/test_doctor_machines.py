"""``cloudtune doctor`` on instance types, their quotas, images and prices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune.aws.quotas import forget_quotas
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.cli.doctor.diagnosis import ACCOUNT, doctor


def test_an_instance_type_that_nobody_knows_is_a_problem(ready: LocalCloud) -> None:
    """With those that are spelt most like it; nothing is said of its quotas, image and price."""
    found = doctor("--instance-type", "ml.g4dn.xlrge")
    assert found.problems() == ["instance type"]
    assert found.fix("instance type").startswith("--instance-type with one that exists, such as ml.g4dn.xlarge, ")
    assert not {"quota", "spot quota", "warm pools", "image", "price"} & set(found.findings)
    assert "ml.g4dn.xlarge" in doctor("--instance-type", "g4dn.xlarge").fix("instance type")
    assert doctor("--instance-type", "ml.nosuch.large").problems() == ["instance type"]


def test_an_instance_type_that_is_new_is_a_warning_where_aws_does_not_tell(
    ready: LocalCloud, faults: CloudFaults, fresh_quotas: None, settings: Path
) -> None:
    """boto3 learns of types late; a price or quota of the user's own makes one known, an odd form is wrong."""
    faults.add("access_denied", operation="servicequotas:*")
    found = doctor("--instance-type", "ml.g99.xlarge")
    assert found.code == 0
    assert found.state("instance type") == "warning"
    assert "such as ml." in found.fix("instance type")
    assert doctor("--instance-type", "g4dn.xlarge").problems() == ["instance type"]
    name = "ml.g99.xlarge for training job usage"
    (settings / "quotas.json").write_text(json.dumps({"instances": {"*": {name: 3}}}))
    assert doctor("--instance-type", "ml.g99.xlarge").state("instance type") == "ok"
    (settings / "quotas.json").unlink()
    (settings / "prices.json").write_text(json.dumps({"usd_per_hour": {"*": {"ml.g99.xlarge": 60.0}}}))
    assert doctor("--instance-type", "ml.g99.xlarge").state("instance type") == "ok"


def test_a_type_without_a_quota_in_the_region_is_told_so(ready: LocalCloud, settings: Path) -> None:
    """A type may be known and yet not be in the region: no right is missing then, and none is asked for."""
    (settings / "prices.json").write_text(json.dumps({"usd_per_hour": {"*": {"ml.g99.xlarge": 60.0}}}))
    found = doctor("--instance-type", "ml.g99.xlarge")
    assert found.state("quota") == "warning"
    assert "have none of that name" in found.text("quota")
    assert "servicequotas:" not in found.fix("quota")


def test_quotas_of_nothing_are_told_with_the_call_that_asks_for_more(ready: LocalCloud, fresh_quotas: None) -> None:
    """On demand it is a problem; without spot and warm pools one can train all the same. The printed call works."""
    for use in ("training job usage", "spot training job usage", "training warm pool usage"):
        ready.set_quota(f"ml.g5.xlarge for {use}", 0)
    ready.set_quota("ml.g4dn.xlarge for training job usage", 7)
    assert doctor().text("quota") == "ml.g4dn.xlarge for training job usage: 7"
    forget_quotas()
    found = doctor("--instance-type", "ml.g5.xlarge")
    assert found.problems() == ["quota"]
    assert found.state("spot quota") == found.state("warm pools") == "warning"
    words = found.fix("quota").split()
    assert words[:3] == ["aws", "service-quotas", "request-service-quota-increase"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    asked = ready.client("service-quotas", region_name=options["--region"]).request_service_quota_increase(
        ServiceCode=options["--service-code"],
        QuotaCode=options["--quota-code"],
        DesiredValue=float(options["--desired-value"]),
    )
    assert asked["RequestedQuota"]["QuotaName"] == "ml.g5.xlarge for training job usage"


def test_quotas_that_may_not_be_asked_for_can_be_written_down(
    ready: LocalCloud, faults: CloudFaults, settings: Path, fresh_quotas: None
) -> None:
    """The text of the fix has the file's contents."""
    faults.add("access_denied", operation="servicequotas:*")
    found = doctor()
    assert found.code == 0
    assert found.state("quota") == "warning"
    fix = found.fix("quota")
    (settings / "quotas.json").write_text(fix[fix.index("{") : fix.rindex("}") + 1])
    assert doctor().text("quota") == "ml.g4dn.xlarge for training job usage: 4"


def test_an_image_of_ones_own_is_looked_up(ready: LocalCloud) -> None:
    """In the account's own registry it can be told whether it is there."""
    ecr = ready.client("ecr")
    ecr.create_repository(repositoryName="mine")
    uri = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/mine:1"
    missing = doctor("--image", uri)
    assert missing.problems() == ["image"]
    assert missing.fix("image").startswith(f"docker push {uri}")
    manifest = "application/vnd.docker.distribution.manifest.v2+json"
    ecr.put_image(
        repositoryName="mine",
        imageTag="1",
        imageManifest=json.dumps({"schemaVersion": 2, "mediaType": manifest, "config": {}, "layers": []}),
    )
    found = doctor("--image", uri)
    assert found.state("image") == "ok"
    assert "does not tell" in found.text("Python")
    assert doctor("--image", uri.replace("/mine", "/other")).problems() == ["image"]


def test_an_own_image_that_may_not_be_looked_at_is_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Jobs pull with their role's rights, not with ours."""
    faults.add("access_denied", operation="ecr:*")
    found = doctor("--image", f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/mine:1")
    assert found.code == 0
    assert found.state("image") == "warning"


@pytest.mark.parametrize(
    ("image", "state", "word"),
    [
        ("999999999999.dkr.ecr.us-east-1.amazonaws.com/theirs:1", "warning", "not yours"),
        ("999999999999.dkr.ecr.eu-west-1.amazonaws.com/theirs:1", "problem", "eu-west-1"),
        ("pytorch/pytorch:latest", "problem", "no registry of ECR"),
    ],
)
def test_images_of_others_cannot_be_looked_up(ready: LocalCloud, image: str, state: str, word: str) -> None:
    """What is sure to fail is a problem, what may do is a warning."""
    found = doctor("--image", image)
    assert found.state("image") == state
    assert word in found.text("image")


def test_another_python_in_the_image_is_a_warning(ready: LocalCloud) -> None:
    """What was tried here may fail there; both versions are named."""
    found = doctor("--image", "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.12.1-gpu-py38")
    assert found.code == 0
    assert found.state("Python") == "warning"
    assert "3.8 in the image" in found.text("Python")


def test_an_instance_type_without_an_image_is_a_problem(ready: LocalCloud) -> None:
    """AWS's own accelerators need images of their own."""
    found = doctor("--instance-type", "ml.trn1.2xlarge")
    assert "image" in found.problems()
    assert "--image" in found.fix("image")


def test_prices_are_refreshed_on_request(ready: LocalCloud, settings: Path) -> None:
    """Then the price is of today, and kept for later; where it is unknown, costs are said to be unknown."""
    region = ("--region", "ap-northeast-1", "--bucket", "tokyo", "--create-bucket")
    unknown = doctor(*region)
    assert unknown.state("price") == "warning"
    assert "costs are not either" in unknown.text("price")
    found = doctor(*region, "--refresh-prices")
    assert found.state("price list") == "ok"
    assert "31 prices of ap-northeast-1" in found.text("price list")
    assert found.state("price") == "ok"
    assert doctor(*region).text("price") == found.text("price")


def test_a_refresh_that_fails_is_a_problem_and_no_more(ready: LocalCloud, faults: CloudFaults) -> None:
    """It was asked for and did not happen; the rest is told all the same."""
    faults.add("access_denied", operation="pricing:*")
    found = doctor("--refresh-prices")
    assert found.problems() == ["price list"]
    assert found.state("price") == "warning"


def test_a_bad_file_of_prices_is_a_problem(ready: LocalCloud, settings: Path) -> None:
    """It would stop an experiment later: named here with its path."""
    (settings / "prices.json").write_text("{")
    found = doctor()
    assert found.problems() == ["price"]
    assert str(settings / "prices.json") in found.text("price")


def test_further_types_are_looked_at_too(ready: LocalCloud, fresh_quotas: None) -> None:
    """Those that trials choose or fall back on: each with its quotas and price, under its name."""
    ready.set_quota("ml.g5.xlarge for training job usage", 0)
    types = ("ml.g4dn.xlarge", "ml.g5.xlarge", "ml.nosuch.large", "ml.g5.xlarge")
    found = doctor(*(word for one in types for word in ("--instance-type", one)))
    assert found.problems() == ["ml.g5.xlarge: quota", "ml.nosuch.large: instance type"]
    assert "request-service-quota-increase" in found.fix("ml.g5.xlarge: quota")
    assert found.state("quota") == "ok"
    assert {"ml.g5.xlarge: spot quota", "ml.g5.xlarge: warm pools", "ml.g5.xlarge: price"} <= found.findings.keys()
