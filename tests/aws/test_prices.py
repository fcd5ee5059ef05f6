"""Prices of training, and what jobs have cost."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws import prices
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.own_files import BadFile
from cloudtune.aws.prices import (
    ENV_PRICES,
    NoPrices,
    cost,
    find_price,
    kept_price_list,
    price_per_hour,
    refresh_prices,
)
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

DATA = Path(prices.__file__).parent / "data" / "prices.json"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a user's own files are, empty."""
    folder = tmp_path / "home" / "settings"
    monkeypatch.setenv("CLOUDTUNE_SETTINGS", str(folder))
    return folder


def own_prices(path: Path, **regions: dict[str, float]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"usd_per_hour": {name.replace("_", "-"): entry for name, entry in regions.items()}}))
    return path


def test_the_shipped_table_says_where_and_when_its_figures_are_from() -> None:
    """Every table in the file has a source, a day and a region; every figure is a price of a type that AWS has."""
    document = json.loads(DATA.read_text())
    types = set(botocore.session.get_session().get_service_model("sagemaker").shape_for("TrainingInstanceType").enum)
    seen = set()
    for table in document["tables"]:
        assert len(table["source"]) > 20
        assert len(table["date"].split("-")) == 3
        for instance_type, usd in table["usd_per_hour"].items():
            assert instance_type in types
            assert 0.01 < usd < 100
            assert (table["region"], instance_type) not in seen, "two tables contradict each other"
            seen.add((table["region"], instance_type))
            price = find_price(instance_type, table["region"])
            assert price is not None
            assert (price.usd_per_hour, price.source, price.date) == (usd, table["source"], table["date"])
    assert ("us-east-1", "ml.g4dn.xlarge") in seen


@pytest.mark.defect("E12")
def test_a_price_is_that_of_the_region() -> None:
    """The predecessor had one region's prices for all: here Ireland costs more than Virginia, and Mars is unknown."""
    here, there = price_per_hour("ml.g4dn.xlarge", "us-east-1"), price_per_hour("ml.g4dn.xlarge", "eu-west-1")
    assert here is not None
    assert there is not None
    assert there > here
    assert price_per_hour("ml.g4dn.xlarge", "mars-north-1") is None


@pytest.mark.defect("E12")
def test_what_the_table_lacks_comes_from_aws_when_asked(local_cloud: LocalCloud) -> None:
    """The predecessor's table was for ever: ours is completed, and replaced, by what AWS says today."""
    assert price_per_hour("ml.g4dn.xlarge", "ap-northeast-1") is None
    refreshed = refresh_prices(Aws(), ["ap-northeast-1", "us-east-1"])
    assert price_per_hour("ml.g4dn.xlarge", "ap-northeast-1") == pytest.approx(0.736 * 1.35)
    assert price_per_hour("ml.g4dn.xlarge", "us-east-1") == pytest.approx(0.736)
    price = find_price("ml.g4dn.xlarge", "us-east-1")
    assert price is not None
    assert price.source == "AWS's Price List"
    assert refreshed.regions == 2
    assert refreshed.prices == 62
    assert refreshed.published == "2024-12-01"
    assert price.date == json.loads(refreshed.path.read_text())["date"]


def test_all_pages_of_the_price_list_are_read(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """31 types on pages of ten: four calls, and the last type has its price as the first has."""
    monkeypatch.setattr(prices, "_PAGE", 10)
    assert refresh_prices(Aws()).prices == 31
    assert local_cloud.call_counts()["pricing:GetProducts"] == 4
    assert price_per_hour("ml.m5.large", "us-east-1") == pytest.approx(0.115)
    assert price_per_hour("ml.p4d.24xlarge", "us-east-1") == pytest.approx(37.688)


def test_a_refresh_keeps_what_was_asked_of_other_regions(local_cloud: LocalCloud) -> None:
    """Somebody who works in two regions refreshes them one after the other."""
    refresh_prices(Aws("eu-west-1"))
    refresh_prices(Aws("us-east-2"))
    assert price_per_hour("ml.m5.large", "eu-west-1") == pytest.approx(0.115 * 1.12)
    assert price_per_hour("ml.m5.large", "us-east-2") == pytest.approx(0.115)


def test_a_refresh_survives_throttling(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """Refused calls are made again."""
    faults.add("throttle", operation="pricing:GetProducts", count=2)
    assert refresh_prices(Aws()).prices == 31
    assert local_cloud.call_counts()["pricing:GetProducts"] == 3


def test_a_refresh_that_fails_leaves_what_was_kept(
    local_cloud: LocalCloud, faults: CloudFaults, settings: Path
) -> None:
    """Neither a denied call nor a region without prices touches the prices of the last refresh."""
    kept = refresh_prices(Aws()).path
    before = kept.read_bytes()
    with pytest.raises(NoPrices, match=r"mars-north-1.*CLOUDTUNE_PRICES"):
        refresh_prices(Aws(), ["us-east-2", "mars-north-1"])
    faults.add("access_denied", operation="pricing:*")
    with pytest.raises(AccessDenied):
        refresh_prices(Aws())
    assert kept.read_bytes() == before
    assert list(settings.iterdir()) == [kept]


def test_prices_of_the_local_cloud_are_never_taken_for_those_of_aws(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a rehearsal's cloud told holds for this cloud alone."""
    refresh_prices(Aws())
    assert price_per_hour("ml.p4d.24xlarge", "us-east-1") is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert kept_price_list() is None
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert kept_price_list() is None
    assert price_per_hour("ml.p4d.24xlarge", "us-east-1") is None


class PriceList:
    """Stands for AWS and its Price List, with the products of the test's choice."""

    region, profile = "us-east-1", "me"

    def __init__(self, partition: str, products: list[dict[str, object]]) -> None:
        self.partition = partition
        self.products = products
        self.asked: list[tuple[str | None, str | None]] = []

    def in_region(self, region: str | None, profile: str | None) -> PriceList:
        self.asked.append((region, profile))
        return self

    def call(self, service: str, operation: str, **params: object) -> dict[str, object]:
        return {"PriceList": [json.dumps(product) for product in self.products]}


@pytest.mark.parametrize(("partition", "region"), [("aws", "us-east-1"), ("aws-cn", "cn-northwest-1")])
def test_the_price_list_is_asked_where_it_is(partition: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in few regions of each partition and speaks for all; the caller's profile holds there too."""
    aws = PriceList(partition, [])
    monkeypatch.setattr(prices, "aws_for", aws.in_region)
    with pytest.raises(NoPrices):
        refresh_prices(aws, ["eu-west-3"])  # type: ignore[arg-type] # all that is asked of it
    assert aws.asked == [(region, "me")]


def test_the_price_list_of_aws_has_more_than_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what AWS lists only training by the hour counts, of two prices the higher."""

    def product(
        name: str, usd: str, component: str = "Training", unit: str = "Hrs", usage: str = ""
    ) -> dict[str, object]:
        rate = {"unit": unit, "pricePerUnit": {"USD": usd}}
        return {
            "product": {"attributes": {"instanceName": name, "component": component, "usagetype": usage}},
            "terms": {"OnDemand": {"a": {"priceDimensions": {"b": rate}}}},
            "publicationDate": "2026-09-01T00:00:00Z",
        }

    listed: list[dict[str, object]] = [
        product("ml.m5.large", "0.1"),
        product("ml.m5.large", "0.2"),
        product("ml.m5.large", "0.15"),
        product("ml.m5.large", "9", component="Hosting"),
        product("ml.m5.large", "9", unit="Quantity"),
        product("ml.m5.large", "9", component="Training Warm Pool", usage="USE1-TrainWarmPool:ml.m5.large"),
        product("ml.g4dn.xlarge", "0.7", component="Training Job"),
        product("", "1.4", component="", usage="USE1-Train:ml.g5.xlarge"),
        product("ml.c5.large", "0.0"),
        product("N/A", "1.0"),
        {"product": {"attributes": {"instanceName": "ml.c4.large", "component": "Training"}}, "terms": {}},
    ]
    aws = PriceList("aws", listed)
    monkeypatch.setattr(prices, "aws_for", aws.in_region)
    refreshed = refresh_prices(aws)  # type: ignore[arg-type] # all that is asked of it
    assert json.loads(refreshed.path.read_text())["usd_per_hour"] == {
        "us-east-1": {"ml.m5.large": 0.2, "ml.g4dn.xlarge": 0.7, "ml.g5.xlarge": 1.4}
    }
    assert refreshed.published == "2026-09-01"


def test_own_prices_come_first(local_cloud: LocalCloud, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A discount is known to its owner alone: own prices of a region, then own prices of all, then the others."""
    refresh_prices(Aws())
    own_prices(settings / "prices.json", us_east_1={"ml.m5.large": 0.01}, **{"*": {"ml.m5.large": 0.02, "ml.new": 5}})
    assert price_per_hour("ml.m5.large", "us-east-1") == 0.01
    assert price_per_hour("ml.m5.large", "eu-west-3") == 0.02
    assert price_per_hour("ml.new", "eu-west-3") == 5
    assert price_per_hour("ml.m5.xlarge", "us-east-1") == pytest.approx(0.23)
    other = own_prices(settings / "other.json", us_east_1={"ml.m5.large": 0.0})
    monkeypatch.setenv(ENV_PRICES, str(other))
    assert price_per_hour("ml.m5.large", "us-east-1") == 0.0, "somebody else may pay"
    found = find_price("ml.m5.large", "us-east-1")
    assert found is not None
    assert str(other) in found.source
    own_prices(other, us_east_1={"ml.m5.large": 0.25})
    assert price_per_hour("ml.m5.large", "us-east-1") == 0.25, "a changed file is read again"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["is not JSON"]),
        ("[]", ["JSON object"]),
        ("{}", ["usd_per_hour", "prices"]),
        ('{"usd_per_hour": {"us-east-1": 3}}', ["usd_per_hour"]),
        ('{"usd_per_hour": {"us-east-1": {"ml.m5.large": "0.1"}}}', ["numbers"]),
        ('{"usd_per_hour": {"us-east-1": {"ml.m5.large": -1}}}', ["not negative"]),
        ('{"usd_per_hour": {"us-east-1": {"ml.m5.large": NaN}}}', ["numbers"]),
        ('{"usd_per_hour": {"us-east-1": {"ml.m5.large": true}}}', ["numbers"]),
    ],
)
def test_a_bad_file_of_prices_is_named(text: str, words: list[str], settings: Path) -> None:
    """A price that was misunderstood would be a wrong bill: the file is refused, with the form that it should have."""
    settings.mkdir(parents=True)
    (settings / "prices.json").write_text(text)
    with pytest.raises(BadFile) as raised:
        price_per_hour("ml.m5.large", "us-east-1")
    for word in [str(settings / "prices.json"), *words, "remove it"]:
        assert word in str(raised.value)


def test_a_named_file_has_to_be_there(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    """Whoever names a file of prices means it; a misspelt name must not fall back in silence."""
    monkeypatch.setenv(ENV_PRICES, str(settings / "nowhere.json"))
    with pytest.raises(BadFile, match=r"CLOUDTUNE_PRICES.*nowhere\.json"):
        price_per_hour("ml.m5.large", "us-east-1")


def test_a_job_costs_price_times_billable_time() -> None:
    """As AWS bills: wall-clock seconds of its instances, and those that a warm pool kept, at the price of training."""
    assert cost(3.6, 100) == pytest.approx(0.1)
    assert cost(4 * 3.6, 100) == pytest.approx(0.4)
    assert cost(2 * 3.6, 100, retained_seconds=50) == pytest.approx(0.3)
    assert cost(3.6, 0) == 0


def test_the_discount_of_spot_is_in_the_billable_seconds() -> None:
    """A job of an hour, of which AWS billed 1080 s, costs 30 % of the price on demand: no price of spot is needed."""
    assert cost(0.7364, 1080) == pytest.approx(0.3 * 0.7364)


@pytest.mark.parametrize("unknown", ["price", "billable_seconds", "retained_seconds"])
def test_unknown_costs_are_not_zero(unknown: str) -> None:
    """Where the price or a time is not known, neither is the cost."""
    arguments: dict[str, float | None] = {"price": 1.0, "billable_seconds": 10.0, "retained_seconds": 1.0}
    assert cost(**arguments) is not None
    assert cost(**{**arguments, unknown: None}) is None
    assert cost(None, 10) is None


@given(
    price=st.floats(0, 100),
    seconds=st.lists(st.integers(0, 10**6), max_size=5),
    retained=st.integers(0, 10**4),
)
def test_costs_add_up(price: float, seconds: list[int], retained: int) -> None:
    """Attempts billed one by one cost what their whole time costs."""
    parts = [cost(price, part) or 0.0 for part in seconds]
    kept = cost(price, 0, retained) or 0.0
    whole = cost(price, sum(seconds), retained)
    assert whole is not None
    assert sum(parts) + kept == pytest.approx(whole)


@pytest.mark.parametrize("name", ["price", "billable_seconds", "retained_seconds"])
def test_negative_numbers_are_refused(name: str) -> None:
    """They would lower the cost of an experiment; the message names the number."""
    with pytest.raises(ValueError, match=name):
        cost(**{"price": 1.0, "billable_seconds": 1.0, name: -1})
