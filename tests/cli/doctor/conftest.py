"""What the tests of ``cloudtune doctor`` share: a cloud that is ready, and its caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.quotas import forget_quotas
from cloudtune.localcloud import LocalCloud
from tests.cli.doctor.diagnosis import BUCKET


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a user's own files are, empty. The local cloud may be asked as often as one likes."""
    rates = ("iam:SimulatePrincipalPolicy", "service-quotas:ListServiceQuotas")
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", ",".join(f"{operation}=1000" for operation in rates))
    monkeypatch.setenv("CLOUDTUNE_SETTINGS", str(tmp_path))
    return tmp_path


@pytest.fixture
def fresh_quotas() -> Iterator[None]:
    """For tests in which quotas are others: the rest share what this process was told first, for asking takes long."""
    forget_quotas()
    yield
    forget_quotas()


@pytest.fixture
def ready(local_cloud: LocalCloud) -> LocalCloud:
    """A cloud whose default bucket is there."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return local_cloud


@pytest.fixture
def caller(ready: LocalCloud) -> Any:
    """IAM's client, and in the cloud a user with the name by which it knows its callers, who may do nothing."""
    iam = ready.client("iam")
    iam.create_user(UserName="moto")
    return iam
