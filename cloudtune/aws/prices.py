"""What an hour of training costs, and what a job has cost.

A price is looked up in this order:

1. a file of the user's: ``$CLOUDTUNE_PRICES``, or ``prices.json`` in ``~/.cloudtune``::

       {"usd_per_hour": {"us-east-1": {"ml.g4dn.xlarge": 0.7364}, "*": {"ml.p5.48xlarge": 60.0}}}

   where ``*`` stands for every region (discounts that AWS's list does not know, regions that it hides);
2. what this program was told by the machine that has launched it (:func:`tell_prices`), where these files are not;
3. what :func:`refresh_prices` asked of AWS's Price List last, kept in ``price-list.json`` in the same folder;
4. the dated table that comes with cloudtune, ``data/prices.json``.

A type that is in none of them has no price (None), and then costs are unknown, never 0.

Spot: AWS bills managed spot training at the on-demand price for fewer seconds: the discount is in the job's own
``BillableTimeInSeconds`` ("Managed Spot Training in Amazon SageMaker AI", AWS's developer guide: the savings are
``1 - BillableTimeInSeconds / TrainingTimeInSeconds``). So there are no prices of spot instances here.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.aws.clients import aws_for
from cloudtune.aws.own_files import own_file, read_object, read_regions, settings_folder
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

ENV_PRICES = "CLOUDTUNE_PRICES"
_OWN = "prices.json"
_KEPT = "price-list.json"
_KEPT_OF_OTHERS = "price-list-of-another-endpoint.json"
#: Products on a page of the Price List; AWS gives no more.
_PAGE = 100
_MEMBER = "usd_per_hour"
_EVERY_REGION = "*"
_SERVICE = "AmazonSageMaker"
_TRAINING = frozenset({"Training", "Training Job"})
#: ``USE1-Train:ml.m5.large``; what warm pools keep, and other uses, have other words before the colon.
_TRAINING_USAGE = re.compile(r"(?:[A-Z0-9]+-)?Train:(ml\..+)")


#: Region and instance type -> US dollars per hour; see :func:`tell_prices`.
_told: dict[tuple[str, str], float] = {}


class NoPrices(CloudtuneError):
    """AWS's Price List has no prices of training for what was asked."""


@dataclass(frozen=True)
class Price:
    """The price of an instance type in a region.

    Args:
        usd_per_hour: On demand, for one instance.
        source: Where it is from, as a sentence's end.
        date: As of when, ``2026-09-01``; None for a user's own.
    """

    usd_per_hour: float
    source: str
    date: str | None


@dataclass(frozen=True)
class Refreshed:
    """What a refresh has brought.

    Args:
        path: The file in which it is kept.
        prices: How many prices there are in it.
        regions: How many regions.
        published: When AWS published the newest of them, ``2026-09-01``.
    """

    path: Path
    prices: int
    regions: int
    published: str


def price_per_hour(instance_type: str, region: str) -> float | None:
    """US dollars for an hour of on-demand training on one instance; None: unknown, which never counts as 0.

    Raises:
        BadFile: The user's own file of prices, or the kept one, is not in the form that it should have.
    """
    price = find_price(instance_type, region)
    return None if price is None else price.usd_per_hour


def find_price(instance_type: str, region: str) -> Price | None:
    """The price with its source and date; None: unknown.

    Raises:
        BadFile: As :func:`price_per_hour`.
    """
    own = own_file(ENV_PRICES, _OWN)
    if own is not None:
        regions = read_regions(own, _MEMBER, "prices")
        for place in (region, _EVERY_REGION):
            if instance_type in regions.get(place, {}):
                return Price(float(regions[place][instance_type]), f"your own file {own}", None)
    told = _told.get((region, instance_type))
    if told is not None:
        return Price(told, "the machine that has launched this", None)
    kept = kept_price_list()
    if kept is not None:
        regions = read_regions(kept, _MEMBER, "prices")
        if instance_type in regions.get(region, {}):
            return Price(float(regions[region][instance_type]), "AWS's Price List", kept_date(kept))
    return _shipped().get((region, instance_type))


def own_prices(region: str) -> dict[str, float]:
    """Prices of a region that this user's files give, and other machines do not know: for :func:`tell_prices` there.

    Raises:
        BadFile: As :func:`price_per_hour`.
    """
    own, kept = own_file(ENV_PRICES, _OWN), kept_price_list()
    found = dict(read_regions(kept, _MEMBER, "prices").get(region, {})) if kept is not None else {}
    if own is not None:
        regions = read_regions(own, _MEMBER, "prices")
        found.update({**regions.get(_EVERY_REGION, {}), **regions.get(region, {})})
    return {instance_type: float(usd) for instance_type, usd in found.items()}


def tell_prices(region: str, prices: Mapping[str, float]) -> None:
    """Has this program take the prices of the machine that has launched it, until it ends.

    Args:
        region: Where they hold.
        prices: Instance type -> US dollars per hour.
    """
    _told.update({(region, instance_type): usd for instance_type, usd in prices.items()})


def priced_types() -> frozenset[str]:
    """All instance types that have a price in some region, by the user's own file, the kept one or the shipped one.

    Raises:
        BadFile: As :func:`price_per_hour`.
    """
    types = {instance_type for _, instance_type in _shipped()}
    for path in (own_file(ENV_PRICES, _OWN), kept_price_list()):
        if path is not None:
            types.update(*read_regions(path, _MEMBER, "prices").values())
    return frozenset(types)


def kept_price_list() -> Path | None:
    """The file of the last refresh, if there was one, from where this program's calls go.

    What a stand-in for AWS has told (``AWS_ENDPOINT_URL``) is never taken for AWS's prices, nor the reverse.
    """
    path = _kept_path()
    if path.is_file() and read_object(path).get("endpoint") == _endpoint():
        return path
    return None


def _kept_path() -> Path:
    return settings_folder() / (_KEPT if _endpoint() is None else _KEPT_OF_OTHERS)


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_PRICING") or os.environ.get("AWS_ENDPOINT_URL") or None


def kept_date(path: Path) -> str:
    """When the prices in the file were asked of AWS, ``2026-09-01``."""
    return str(read_object(path).get("date", "an unknown day"))


@functools.cache
def _shipped() -> Mapping[tuple[str, str], Price]:
    text = resources.files("cloudtune.aws").joinpath("data/prices.json").read_text(encoding="utf-8")
    return {
        (table["region"], instance_type): Price(float(usd), table["source"], table["date"])
        for table in json.loads(text)["tables"]
        for instance_type, usd in table[_MEMBER].items()
    }


def cost(price: float | None, billable_seconds: float | None, retained_seconds: float | None = 0.0) -> float | None:
    """US dollars that a job has cost; None where the price or a time is not known.

    AWS tells times in wall-clock seconds, in which each instance costs its price, and charges as much for instances
    that a warm pool keeps as for training on them.

    Args:
        price: Of an hour on all its instances, on demand (also for spot, see the module's text).
        billable_seconds: The job's ``BillableTimeInSeconds``.
        retained_seconds: Its warm pool's ``ResourceRetainedBillableTimeInSeconds``; 0: it kept none.

    Raises:
        ValueError: A number is negative.
    """
    for name, value in (
        ("price", price),
        ("billable_seconds", billable_seconds),
        ("retained_seconds", retained_seconds),
    ):
        if value is not None and not value >= 0:
            raise ValueError(f"{name} is {value}; it must not be negative")
    if price is None or billable_seconds is None or retained_seconds is None:
        return None
    return price * (billable_seconds + retained_seconds) / 3600


def refresh_prices(aws: Aws, regions: Iterable[str] | None = None) -> Refreshed:
    """Asks AWS's Price List for the prices of training and keeps them, with today's date, for this user's programs.

    Needs the right ``pricing:GetProducts``. Prices of other regions that were kept before are kept on.

    Args:
        aws: Who asks.
        regions: Of which regions; by default of the one that ``aws`` is in.

    Raises:
        NoPrices: AWS's list has none; what was kept before stays.
        AwsError: AWS does not answer, or refuses.
        OSError: The file cannot be written.
    """
    wanted = list(dict.fromkeys([aws.region] if regions is None else regions))
    found: dict[str, dict[str, float]] = {}
    published = ""
    for region in wanted:
        prices: dict[str, float] = {}
        for product in _products(aws, region):
            published = max(published, str(product.get("publicationDate", ""))[:10])
            for instance_type, usd in _training_prices(product):
                # Where the list has several, a cost is better estimated too high than too low.
                prices[instance_type] = max(usd, prices.get(instance_type, 0.0))
        if not prices:
            raise NoPrices(
                f"AWS's Price List has no training prices for the region {region}; name them yourself in a file "
                f'{{"{_MEMBER}": {{"{region}": {{"ml.g4dn.xlarge": 0.75}}}}}} that {ENV_PRICES} points to'
            )
        found[region] = prices
    before = kept_price_list()
    kept = dict(read_regions(before, _MEMBER, "prices")) if before is not None else {}
    path = _kept_path()
    merged = {**kept, **found}
    _write(
        path,
        {
            "about": "Kept by cloudtune from AWS's Price List; removing it does no harm.",
            "date": datetime.now(tz=timezone.utc).date().isoformat(),
            "published": published,
            "endpoint": _endpoint(),
            _MEMBER: merged,
        },
    )
    return Refreshed(path, sum(map(len, found.values())), len(found), published)


def _products(aws: Aws, region: str) -> Iterator[Mapping[str, Any]]:
    """Products of SageMaker in a region, from all pages."""
    # The Price List itself is in few regions, and each speaks for all of its partition.
    speaker = aws_for("cn-northwest-1" if aws.partition == "aws-cn" else "us-east-1", aws.profile)
    # All of SageMaker's: AWS calls the component of training by more than one name.
    filters = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}]
    token: dict[str, Any] = {}
    while True:
        answer = speaker.call(
            "pricing",
            "get_products",
            ServiceCode=_SERVICE,
            Filters=filters,
            FormatVersion="aws_v1",
            MaxResults=_PAGE,
            **token,
        )
        for text in answer.get("PriceList", []):
            yield json.loads(text)
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _training_prices(product: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Instance type and US dollars of a product, if it is training on demand by the hour."""
    attributes = product.get("product", {}).get("attributes", {})
    usage = _TRAINING_USAGE.fullmatch(str(attributes.get("usagetype")))
    name = usage[1] if usage else str(attributes.get("instanceName") or "")
    if not name.startswith("ml.") or not (usage or attributes.get("component") in _TRAINING):
        return
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            usd = float(dimension.get("pricePerUnit", {}).get("USD") or 0)
            if str(dimension.get("unit")).lower() in ("hrs", "hours") and usd > 0:
                yield name, usd


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces the file whole: programs that read it meanwhile see the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
