"""The gate behind a real server: what only shows over sockets."""

from __future__ import annotations

from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from cloudtune.localcloud import LocalCloud
from tests.localcloud.gate.test_s3_conditions import BUCKET, code_of, race

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})


@pytest.fixture
def s3(local_cloud: LocalCloud) -> Any:
    s3 = local_cloud.client("s3", config=ONCE)
    s3.create_bucket(Bucket=BUCKET)
    return s3


def test_a_conditional_put_has_exactly_one_winner_over_http(local_cloud: LocalCloud, s3: Any) -> None:
    """Eight connections, twenty keys: the server answers from many threads at once."""
    clients = [local_cloud.client("s3", config=ONCE) for _ in range(8)]
    winners: list[str] = []

    def create(writer: int) -> None:
        for number in range(20):
            if not code_of(clients[writer].put_object, Key=f"key-{number}", Body=b"", IfNoneMatch="*"):
                winners.append(f"key-{number}")

    race([lambda writer=writer: create(writer) for writer in range(8)])
    assert sorted(winners) == sorted(f"key-{number}" for number in range(20))


def test_a_lost_answer_breaks_the_connection(local_cloud: LocalCloud, s3: Any) -> None:
    """Without a byte: the client sees a server that hung up, and the work was done or not, as ordered."""
    for kind, is_stored in (("answer_lost", True), ("request_lost", False)):
        local_cloud.faults.add(kind, operation="s3:PutObject", count=1)
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket=BUCKET, Key=kind, Body=bytes(3_000_000))
        assert (code_of(s3.head_object, Key=kind) == "") is is_stored


def test_the_price_list_is_served_over_http(local_cloud: LocalCloud) -> None:
    """moto's server does not know it: the signature leads to our handler."""
    services = local_cloud.client("pricing", config=ONCE).describe_services(ServiceCode="AmazonSageMaker")["Services"]
    assert [service["ServiceCode"] for service in services] == ["AmazonSageMaker"]
    assert local_cloud.call_counts()["pricing:DescribeServices"] == 1


def test_motos_reset_clears_all_over_http(local_cloud: LocalCloud, s3: Any) -> None:
    """Tools that know moto reset it by its own address."""
    with urlopen(Request(f"{local_cloud.endpoint}/moto-api/reset", method="POST")) as answer:
        assert answer.status == 200
    assert s3.list_buckets()["Buckets"] == []
