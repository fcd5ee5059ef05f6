"""The Price List of SageMaker's training instances: AWS's form, figures to rehearse with."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.operation import Operation
from cloudtune.localcloud.services.paging import cut_page

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform

SERVICE = "AmazonSageMaker"
# AWS's codes for "on demand" and "by the hour" in the keys of every price.
_ON_DEMAND = "JRTCKXETXF"
_HOURLY = "6YS6EN2CT7"


@functools.cache
def products() -> Sequence[Mapping[str, Any]]:
    """Every product, as AWS describes one, from ``data/training_prices.json``, which says what its figures are."""
    table = json.loads(
        resources.files("cloudtune.localcloud.services").joinpath("data/training_prices.json").read_text()
    )
    return [
        _product(table["date"], region, place, name, instance)
        for region, place in table["regions"].items()
        for name, instance in table["instances"].items()
    ]


def _product(
    date: str, region: str, place: Mapping[str, str], name: str, instance: Mapping[str, Any]
) -> dict[str, Any]:
    usage = f"{place['usage']}-Train:{name}"
    sku = hashlib.blake2b(usage.encode(), digest_size=8).hexdigest().upper()
    usd = Decimal(instance["usd"]) * Decimal(place["factor"])
    term = f"{sku}.{_ON_DEMAND}"
    rate = f"{term}.{_HOURLY}"
    since = f"{date}T00:00:00Z"
    return {
        "product": {
            "productFamily": "ML Instance",
            "attributes": {
                "servicecode": SERVICE,
                "servicename": "Amazon SageMaker",
                "regionCode": region,
                "location": place["location"],
                "locationType": "AWS Region",
                "instanceName": name,
                "instanceType": f"{name}-Training",
                "component": "Training",
                "operation": "RunInstance",
                "usagetype": usage,
                "vCpu": str(instance["vCpu"]),
                "memory": instance["memory"],
                "gpu": str(instance["gpu"] or "N/A"),
            },
            "sku": sku,
        },
        "serviceCode": SERVICE,
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {
                        rate: {
                            "unit": "Hrs",
                            "beginRange": "0",
                            "endRange": "Inf",
                            "description": f"${usd} per Training {name} hour in {place['location']}",
                            "appliesTo": [],
                            "rateCode": rate,
                            "pricePerUnit": {"USD": f"{usd:.10f}"},
                        }
                    },
                    "sku": sku,
                    "effectiveDate": since,
                    "offerTermCode": _ON_DEMAND,
                    "termAttributes": {},
                }
            }
        },
        "version": date.replace("-", ""),
        "publicationDate": since,
    }


#: Type of a filter -> whether a product's value passes the filter's.
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "TERM_MATCH": lambda value, wanted: value == wanted,
    "EQUALS": lambda value, wanted: value == wanted,
    "CONTAINS": lambda value, wanted: wanted in value,
    "ANY_OF": lambda value, wanted: value in wanted.split(","),
    "NONE_OF": lambda value, wanted: value not in wanted.split(","),
}


def get_products(_platform: Platform, _caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The products that pass all filters; each is a string of JSON, as on AWS."""
    _only_sagemaker(params.get("ServiceCode"))
    filters = params.get("Filters") or []
    if not isinstance(filters, list):
        raise AwsError("InvalidParameterException", "Filters must be a list.")
    found = [product for product in products() if all(_passes(product, wanted) for wanted in filters)]
    page, token = _page(found, params, 100)
    return {"FormatVersion": "aws_v1", "PriceList": [json.dumps(product) for product in page], **token}


def _passes(product: Mapping[str, Any], wanted: Any) -> bool:
    if not isinstance(wanted, Mapping) or wanted.get("Type") not in _TESTS:
        raise AwsError(
            "InvalidParameterException", f"A filter needs a Field, a Value and a Type of {', '.join(_TESTS)}."
        )
    values = _values(product)
    field = str(wanted.get("Field"))
    return field in values and _TESTS[wanted["Type"]](values[field], str(wanted.get("Value")))


def _values(product: Mapping[str, Any]) -> dict[str, str]:
    family: str = product["product"]["productFamily"]
    return {**product["product"]["attributes"], "productFamily": family}


def describe_services(_platform: Platform, _caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """SageMaker alone, and the attributes to filter by."""
    if params.get("ServiceCode") is not None:
        _only_sagemaker(params["ServiceCode"])
    service = {"ServiceCode": SERVICE, "AttributeNames": sorted(_values(products()[0]))}
    page, token = _page([service], params, 100)
    return {"FormatVersion": "aws_v1", "Services": list(page), **token}


def get_attribute_values(_platform: Platform, _caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The values that an attribute has among all products."""
    _only_sagemaker(params.get("ServiceCode"))
    name = str(params.get("AttributeName"))
    if name not in _values(products()[0]):
        raise AwsError("NotFoundException", f"{SERVICE} has no attribute {name}.")
    values = sorted({_values(product)[name] for product in products()})
    page, token = _page(values, params, 10_000)
    return {"AttributeValues": [{"Value": value} for value in page], **token}


def _only_sagemaker(service: Any) -> None:
    if service != SERVICE:
        raise AwsError("NotFoundException", f"The local cloud has no prices of {service}; it has those of {SERVICE}.")


def _page(rows: Sequence[Any], params: Mapping[str, Any], highest: int) -> tuple[Sequence[Any], dict[str, str]]:
    most = params.get("MaxResults", 100)
    if not isinstance(most, int) or not 1 <= most <= highest:
        raise AwsError("InvalidParameterException", f"MaxResults must be between 1 and {highest}.")
    try:
        page, token = cut_page(rows, params.get("NextToken"), most)
    except ValueError:
        raise AwsError("InvalidNextTokenException", "The pagination token is invalid. Try again without it.") from None
    return page, {} if token is None else {"NextToken": token}


#: Name of the operation -> what answers it. moto has no price list at all.
OPERATIONS: Mapping[str, Operation] = {
    "GetProducts": get_products,
    "DescribeServices": describe_services,
    "GetAttributeValues": get_attribute_values,
}
