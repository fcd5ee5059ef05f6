"""The Price List of training instances, through boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.in_process import InProcessCloud


@pytest.fixture
def pricing() -> Iterator[Any]:
    with InProcessCloud() as cloud:
        yield cloud.client("pricing")


def looked_up(pricing: Any, kind: str = "TERM_MATCH", **attributes: str) -> list[dict[str, Any]]:
    filters = [{"Type": kind, "Field": field, "Value": value} for field, value in attributes.items()]
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker", Filters=filters, PaginationConfig={"PageSize": 7}
    )
    return [json.loads(product) for page in pages for product in page["PriceList"]]


def dollars(product: dict[str, Any]) -> Decimal:
    """Per hour: the only dimension of the only on-demand term."""
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert dimension["unit"] == "Hrs"
    return Decimal(dimension["pricePerUnit"]["USD"])


def test_a_price_is_found_by_instance_and_region(pricing: Any) -> None:
    """In all the ways in which people ask AWS for it."""
    asked = [
        {"instanceName": "ml.g4dn.xlarge", "regionCode": "us-east-1", "component": "Training"},
        {"instanceType": "ml.g4dn.xlarge-Training", "location": "US East (N. Virginia)"},
        {"productFamily": "ML Instance", "usagetype": "USE1-Train:ml.g4dn.xlarge"},
    ]
    found = [looked_up(pricing, **attributes) for attributes in asked]
    assert [len(products) for products in found] == [1, 1, 1]
    assert dollars(found[0][0]) == Decimal("0.736")
    assert found[0] == found[1] == found[2]


def test_prices_differ_between_regions(pricing: Any) -> None:
    """By a rough factor each."""
    prices = {
        product["product"]["attributes"]["regionCode"]: dollars(product)
        for product in looked_up(pricing, instanceName="ml.m5.xlarge")
    }
    assert prices["us-west-2"] == prices["us-east-1"] < prices["eu-central-1"]


def test_what_is_not_known_is_an_empty_list(pricing: Any) -> None:
    """As on AWS: an unknown instance, another component, an attribute that does not exist."""
    assert looked_up(pricing, instanceName="ml.nonsense") == []
    assert looked_up(pricing, component="Hosting") == []
    assert looked_up(pricing, colour="blue") == []


def test_other_kinds_of_filters_work(pricing: Any) -> None:
    """CONTAINS, ANY_OF and NONE_OF, page by page."""
    names = {
        product["product"]["attributes"]["instanceName"]
        for product in looked_up(pricing, "CONTAINS", instanceName="ml.g5.", regionCode="us-east-1")
    }
    assert len(names) == 8
    assert len(looked_up(pricing, "ANY_OF", instanceName="ml.m5.large,ml.c5.xlarge", regionCode="us-east-1")) == 2
    everything = looked_up(pricing)
    assert len(looked_up(pricing, "NONE_OF", regionCode="us-east-1")) < len(everything)


def test_services_and_attributes_can_be_listed(pricing: Any) -> None:
    """SageMaker alone; other services are NotFoundException."""
    (service,) = pricing.describe_services()["Services"]
    assert {"instanceName", "regionCode", "component"} <= set(service["AttributeNames"])
    values = pricing.get_attribute_values(ServiceCode="AmazonSageMaker", AttributeName="regionCode")
    assert {"Value": "us-east-1"} in values["AttributeValues"]
    for asked in ({"ServiceCode": "AmazonEC2"}, {"ServiceCode": "AmazonSageMaker", "NextToken": "nonsense"}):
        with pytest.raises(ClientError) as refused:
            pricing.get_products(**asked)
        assert refused.value.response["Error"]["Code"] in ("NotFoundException", "InvalidNextTokenException")
