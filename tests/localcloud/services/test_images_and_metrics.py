"""What moto itself serves of ECR and CloudWatch, as far as launching and watching of jobs needs it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.in_process import InProcessCloud


@pytest.fixture
def cloud() -> Iterator[InProcessCloud]:
    with InProcessCloud() as open_cloud:
        yield open_cloud


def test_an_image_repository_can_be_made_filled_and_looked_up(cloud: InProcessCloud) -> None:
    """The calls of a script that builds and pushes an image; what is missing is told as AWS tells it."""
    ecr = cloud.client("ecr")
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_repositories(repositoryNames=["train"])
    made = ecr.create_repository(repositoryName="train")["repository"]
    assert made["repositoryUri"] == "123456789012.dkr.ecr.us-east-1.amazonaws.com/train"
    assert ecr.describe_repositories(repositoryNames=["train"])["repositories"][0] == made
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName="train")
    (access,) = ecr.get_authorization_token()["authorizationData"]
    assert access["proxyEndpoint"] == "https://123456789012.dkr.ecr.us-east-1.amazonaws.com"
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7, "digest": "sha256:" + "0" * 64}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []})
    ecr.put_image(repositoryName="train", imageManifest=manifest, imageTag="1")
    (image,) = ecr.describe_images(repositoryName="train", imageIds=[{"imageTag": "1"}])["imageDetails"]
    assert image["imageTags"] == ["1"]
    with pytest.raises(ClientError) as missing:
        ecr.describe_images(repositoryName="train", imageIds=[{"imageTag": "2"}])
    assert missing.value.response["Error"]["Code"] == "ImageNotFoundException"


def test_metrics_are_there_once_put(cloud: InProcessCloud) -> None:
    """PutMetricData, ListMetrics and GetMetricData agree."""
    cloudwatch = cloud.client("cloudwatch")
    now = dt.datetime.now(dt.timezone.utc)
    metric = {"Namespace": "tuning", "MetricName": "error", "Dimensions": [{"Name": "trial", "Value": "3"}]}
    point = {"MetricName": "error", "Dimensions": metric["Dimensions"], "Timestamp": now, "Value": 0.25}
    cloudwatch.put_metric_data(Namespace="tuning", MetricData=[point])
    assert cloudwatch.list_metrics(Namespace="tuning")["Metrics"] == [metric]
    query = {"Id": "e", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
    minute = dt.timedelta(minutes=1)
    answer = cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - minute, EndTime=now + minute)
    assert answer["MetricDataResults"][0]["Values"] == [0.25]
