"""The table of AWS's training images, and the addresses that are made of it."""

from __future__ import annotations

import json
import re
import sys

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.image_recipe import recipe
from cloudtune.aws.images import (
    NoSuchImage,
    TuningImage,
    default_image,
    image_uri,
    images,
    is_aws_image,
    python_of_image,
    tuning_image,
)
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.localcloud.in_process import InProcessCloud

#: A well-formed ECR address.
_URI = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.[a-z.-]+/[a-z-]+:[\w.-]+")
#: Frameworks and an instance type that each has images for.
_FRAMEWORKS = {
    "pytorch": "ml.g4dn.xlarge",
    "tensorflow": "ml.g4dn.xlarge",
    "huggingface": "ml.g4dn.xlarge",
    "sklearn": "ml.m5.large",
    "xgboost": "ml.m5.large",
}


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        (
            ("pytorch", "2.9", "ml.g5.xlarge", "us-east-1"),
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.9-gpu-py312",
        ),
        (
            ("huggingface", "4.49.0", "ml.g5.xlarge", "us-east-1"),
            (
                "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-training:"
                "2.5.1-transformers4.49.0-gpu-py311-cu124-ubuntu22.04"
            ),
        ),
        (
            ("sklearn", "1.4-2", "ml.m5.large", "us-east-1"),
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
        ),
        (
            ("xgboost", "1.7-1", "ml.m5.xlarge", "eu-west-1"),
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        ),
        (
            ("tensorflow", "2.19.0", "ml.c5.xlarge", "eu-central-1"),
            "763104351884.dkr.ecr.eu-central-1.amazonaws.com/tensorflow-training:2.19.0-cpu-py312",
        ),
        (
            ("pytorch", "2.8.0", "ml.p3.2xlarge", "cn-north-1"),
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-training:2.8.0-gpu-py312",
        ),
        (
            ("pytorch", "2.8.0", "ml.m5.large", "us-gov-west-1"),
            "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312",
        ),
        (
            ("pytorch", "2.3.0", "ml.g4dn.xlarge", "us-iso-east-1"),
            "886529160074.dkr.ecr.us-iso-east-1.c2s.ic.gov/pytorch-training:2.3.0-gpu-py311",
        ),
    ],
)
def test_addresses_are_those_that_aws_has(arguments: tuple[str, str, str, str], uri: str) -> None:
    """What AWS's own SDK says for the same image: registry of the region, domain of the partition, form of the tag."""
    assert image_uri(*arguments) == uri


@pytest.mark.parametrize("framework", _FRAMEWORKS)
def test_every_image_has_an_address(framework: str) -> None:
    """No entry of the table lacks what its address needs; versions come newest first."""
    every = images(framework)
    assert every
    for image in every:
        uri = image_uri(framework, image.version, _FRAMEWORKS[framework], "us-west-2", image.python)
        assert _URI.fullmatch(uri), uri
        assert image.version in uri
        assert is_aws_image(uri)
        if framework in ("pytorch", "tensorflow", "huggingface"):
            assert image.python is not None
            assert python_of_image(uri) == image.python


def test_a_short_version_means_the_newest_of_it() -> None:
    """AWS tags deep learning images with short versions too; of the others the whole version is found."""
    assert image_uri("pytorch", "1.12", "ml.m5.large", "us-east-1").endswith(":1.12-cpu-py38")
    assert image_uri("sklearn", "1.4", "ml.m5.large", "us-east-1").endswith(":1.4-2-cpu-py3")
    assert ":2.8.0-transformers4.56.2-gpu" in image_uri("huggingface", "4.56", "ml.g5.xlarge", "us-east-1")
    with pytest.raises(NoSuchImage):
        image_uri("pytorch", "2", "ml.m5.large", "us-east-1")


@pytest.mark.parametrize("python", ["3.12", "py312", "3.12.4", "python3.12"])
def test_a_python_can_be_asked_for(python: str) -> None:
    """In any spelling; where a version has images for several, it decides between them."""
    assert image_uri("sklearn", "1.4-2", "ml.m5.large", "us-east-1", python).endswith(":1.4-2-py312-cpu-py3")
    assert image_uri("pytorch", "2.6.0", "ml.m5.large", "us-east-1", python).endswith("py312")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("caffe", "1.0", "ml.m5.large", "us-east-1"), ["'caffe'", "pytorch", "xgboost"]),
        (("pytorch", "2.99", "ml.m5.large", "us-east-1"), ["2.99", "2.10.0", "1.9.0", "image_uri"]),
        (("pytorch", "2.8.0", "ml.m5.large", "us-east-1", "3.9"), ["no Python 3.9", "3.12", "1.13.1"]),
        (("xgboost", "1.7-1", "ml.m5.large", "us-east-1", "3.9"), ["does not tell"]),
        (("pytorch", "2.8.0", "ml.m5.large", "us-east-1", "2.7"), ["'2.7'", "py312"]),
        (("huggingface", "4.49.0", "ml.m5.large", "us-east-1"), ["GPUs only", "ml.m5.large"]),
        (("sklearn", "1.4-2", "ml.g5.xlarge", "us-east-1"), ["CPUs only", "ml.g5.xlarge"]),
        (("pytorch", "2.8.0", "ml.trn1.2xlarge", "us-east-1"), ["accelerators", "image_uri"]),
        (("pytorch", "2.8.0", "ml.m6g.large", "us-east-1"), ["Arm", "image_uri"]),
        (("pytorch", "2.8.0", "ml.p6e-gb200.36xlarge", "us-east-1"), ["Arm"]),
        (("pytorch", "2.8.0", "g4dn.xlarge", "us-east-1"), ["'g4dn.xlarge'", "ml.g4dn.xlarge"]),
        (("pytorch", "2.8.0", "ml.g4dn", "us-east-1"), ["'ml.g4dn'"]),
        (("pytorch", "2.8.0", "db.m5.large", "us-east-1"), ["'db.m5.large'"]),
        (("pytorch", "2.8.0", "ml.m5.large", "mars-north-1"), ["'mars-north-1'", "us-east-1"]),
        (("pytorch", "2.8.0", "ml.m5.large", "us-iso-east-1"), ["2.8.0 in us-iso-east-1", "2.9.0"]),
    ],
)
def test_what_there_is_not_is_answered_by_what_there_is(arguments: tuple[str, ...], words: list[str]) -> None:
    """One sentence names what was wrong and lists what could be meant, or the way around the table."""
    with pytest.raises(NoSuchImage) as raised:
        image_uri(*arguments)
    assert all(word in str(raised.value) for word in words), raised.value
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("here", "tag"),
    [
        ((3, 8), "1.12.1-gpu-py38"),
        ((3, 10), "2.2.0-gpu-py310"),
        ((3, 11), "2.5.1-gpu-py311"),
        ((3, 12), "2.9.0-gpu-py312"),
        ((3, 13), "2.10.0-gpu-py313"),
        ((3, 15), "2.10.0-gpu-py313"),
    ],
)
def test_the_default_image_has_the_python_of_this_program(
    here: tuple[int, int], tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was tried here runs there alike: the same minor version, or the nearest, in the newest PyTorch."""
    monkeypatch.setattr(sys, "version_info", (*here, 0, "final", 0))
    assert default_image("ml.g4dn.xlarge", "us-east-1").endswith(f"/pytorch-training:{tag}")


def test_the_default_image_is_one_that_the_region_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS lacks a release, the newest that it has there is taken; where it has none, the regions are listed."""
    monkeypatch.setattr(sys, "version_info", (3, 11, 0, "final", 0))
    assert default_image("ml.m5.large", "us-iso-east-1").endswith(":2.3.0-cpu-py311")
    with pytest.raises(NoSuchImage, match="mars-north-1"):
        default_image("ml.m5.large", "mars-north-1")


@pytest.mark.parametrize(
    ("uri", "python"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.9-gpu-py312", "3.12"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", None),
        ("localhost:5000/mine", None),
        ("localhost:5000/mine-py310", None),
        ("my-py310-image", None),
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3", None),
    ],
)
def test_a_tag_may_tell_the_python_of_an_image(uri: str, python: str | None) -> None:
    """Only what stands there: an image of one's own, or a tag of just `py3`, tells nothing."""
    assert python_of_image(uri) == python


def test_images_of_ones_own_are_told_from_those_of_aws() -> None:
    """By the account in the address, which is AWS's in the table or is not."""
    assert is_aws_image(image_uri("pytorch", "2.8.0", "ml.m5.large", "ap-southeast-7"))
    assert not is_aws_image("123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312")
    assert not is_aws_image("pytorch/pytorch:latest")


@pytest.fixture
def account(in_process_cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.delenv("CLOUDTUNE_TUNING_IMAGE", raising=False)
    return Aws(budget=RateBudget({}))


def push(aws: Aws, *tags: str) -> None:
    """Images in the account's repository, which is made if it is missing."""
    if not aws.call("ecr", "describe_repositories")["repositories"]:
        aws.call("ecr", "create_repository", repositoryName="cloudtune-tuner")
    for tag in tags:
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": tag}, "layers": []})
        aws.call("ecr", "put_image", repositoryName="cloudtune-tuner", imageTag=tag, imageManifest=manifest)


OWN = "123456789012.dkr.ecr.us-east-1.amazonaws.com/cloudtune-tuner"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_a_tuning_image_that_was_made_here_comes_first(account: Aws) -> None:
    """It has these very packages, so there is nothing to say about it."""
    tag = recipe().tag
    push(account, f"py{HERE.replace('.', '')}-0123456789ab", tag)
    assert tuning_image("us-east-1", aws=account) == TuningImage(f"{OWN}:{tag}", HERE, "built")


def test_another_tuning_image_of_the_same_python_comes_next(account: Aws) -> None:
    """The user is told that packages may have to be installed, and what to do. Those with extras are others."""
    mine = HERE.replace(".", "")
    push(account, "py39-0123456789ab", f"py{mine}-bo-0123456789ab", f"py{mine}-0123456789ab")
    chosen = tuning_image("us-east-1", aws=account)
    assert (chosen.uri, chosen.python, chosen.origin) == (f"{OWN}:py{mine}-0123456789ab", HERE, "own")
    assert "`cloudtune image build`" in chosen.note
    push(account, "py310-000000000000")
    assert tuning_image("us-east-1", "3.10", aws=account).uri == f"{OWN}:py310-000000000000"


def test_a_tuning_image_with_the_extras_that_are_needed_is_looked_for(
    account: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without them would have to install gigabytes at each start."""
    push(account, "py312-0123456789ab", "py312-bo-0123456789ab")
    assert tuning_image("us-east-1", "3.12", aws=account, extras=["bo"]).uri == f"{OWN}:py312-bo-0123456789ab"
    assert tuning_image("us-east-1", "3.12", aws=account).uri == f"{OWN}:py312-0123456789ab"


@pytest.mark.parametrize(("python", "tag"), [("3.12", "2.9.0-cpu-py312"), ("3.10", "2.2.0-cpu-py310")])
def test_without_an_image_of_ones_own_aws_has_one(account: Aws, python: str, tag: str) -> None:
    """For CPUs, with the same Python. Packages are installed at each start; the user is told how that is spared."""
    chosen = tuning_image("us-east-1", python, aws=account)
    assert chosen.uri.endswith(f"/pytorch-training:{tag}")
    assert (chosen.python, chosen.origin) == (python, "aws")
    assert "installed at each start" in chosen.note


def test_where_there_is_no_such_python_the_note_names_both(account: Aws) -> None:
    """A tuner that is pickled under one does not load under another: this is said before the job is created."""
    chosen = tuning_image("us-east-1", "3.15", aws=account)
    assert chosen.uri.endswith("-py313")
    assert chosen.python == "3.13"
    assert "has Python 3.13, and the tuner is pickled under Python 3.15" in chosen.note
    assert "cloudtune image build --python 3.15" in chosen.note


def test_an_image_that_is_given_is_taken(account: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument, before the environment, before all others; its Python is compared where its tag tells it."""
    push(account, recipe().tag)
    monkeypatch.setenv("CLOUDTUNE_TUNING_IMAGE", "mine/tuner:latest")
    assert tuning_image("us-east-1", aws=account) == TuningImage("mine/tuner:latest", None, "given")
    given = tuning_image("us-east-1", "3.12", given="mine/tuner:py39-1", aws=account)
    assert (given.uri, given.origin) == ("mine/tuner:py39-1", "given")
    assert "has Python 3.9" in given.note


def test_a_registry_that_may_not_be_looked_into_is_passed_over(account: Aws, in_process_cloud: InProcessCloud) -> None:
    """A launch needs no right in ECR for AWS's own images; without an account none is asked either."""
    push(account, recipe().tag)
    in_process_cloud.faults.add("access_denied", operation="ecr:DescribeImages")
    assert tuning_image("us-east-1", aws=account).origin == "aws"
    assert tuning_image("us-east-1").origin == "aws"
