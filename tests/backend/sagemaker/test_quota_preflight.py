"""Which quotas are too small for the machines that trials may get: chosen by the config space, or fallen back on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cloudtune.aws.job_template import template_of
from cloudtune.backend.sagemaker_backend import quota_preflight
from cloudtune.backend.sagemaker_backend.quota_preflight import what_is_short
from cloudtune.config_space import choice, randint
from tests.backend.sagemaker.harness import training_job

SMALL, LARGE, OTHER = "ml.m5.large", "ml.m5.xlarge", "ml.c5.large"
#: Of a job that names no type; groups stand in its place.
DEFAULT = "ml.g4dn.xlarge"


class Account:
    """An account of which a test says what it may use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running: dict[str, int | None] = {}
        self.spot: dict[str, int | None] = {}
        self.pools: dict[str, int | None] = {}
        monkeypatch.setattr(quota_preflight, "training_quota", self._quota)

    def _quota(self, _aws: Any, instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> int | None:
        table = self.pools if warm_pool else self.spot if spot else self.running
        return table[instance_type]  # what is not in it must not be asked for

    def short(
        self, space: Mapping[str, Any] | None = None, *fallback: str, workers: int = 4, **members: Any
    ) -> list[str]:
        """What is told of trials' jobs on this account."""
        template = template_of(training_job(**members))
        aws: Any = None
        return list(what_is_short(aws, template, space or {}, fallback, workers))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Without quotas."""
    return Account(monkeypatch)


def test_enough_is_not_told_of(account: Account) -> None:
    """Nor is a quota that nobody knows."""
    account.running = {SMALL: 4}
    assert account.short() == []
    account.running = {SMALL: None}
    assert account.short() == []


def test_a_quota_that_is_too_small(account: Account) -> None:
    """With its name as AWS has it, and how many are wanted; those of several machines per trial too."""
    account.running = {SMALL: 3}
    (told,) = account.short()
    assert told == (
        f"the account may use 3 {SMALL} at once, and 4 workers may want 4: some trials will wait; ask for more of "
        f"'{SMALL} for training job usage' with AWS Service Quotas, or use fewer workers"
    )
    account.running = {SMALL: 7}
    (told,) = account.short(instance_count=2)
    assert "4 workers may want 8: some trials will wait" in told


def test_machines_that_no_trial_can_get(account: Account) -> None:
    """A quota of nothing, or of less than one trial needs."""
    account.running = {SMALL: 0}
    (told,) = account.short()
    assert "no trial that wants one can start" in told
    account.running = {SMALL: 1}
    (told,) = account.short({"st_instance_count": randint(1, 2)})
    assert "no trial that wants 2 machines can start" in told


def test_types_that_the_config_space_chooses(account: Account) -> None:
    """Each is looked at, for all workers may come to want it; the template's own only where it can be chosen."""
    account.running = {LARGE: 4, OTHER: 1}
    (told,) = account.short({"st_instance_type": choice([LARGE, OTHER])})
    assert told.startswith(f"the account may use 1 {OTHER} at once")
    account.running = {LARGE: 0}
    (told,) = account.short({"st_instance_type": LARGE})
    assert f"'{LARGE} for training job usage'" in told


def test_types_to_fall_back_on(account: Account) -> None:
    """They add to what there is."""
    account.running = {SMALL: 1, LARGE: 2, OTHER: 1}
    assert account.short({}, LARGE, OTHER) == []
    account.running = {SMALL: 1, LARGE: 1, OTHER: 0}
    (told,) = account.short({}, LARGE, OTHER)
    assert told.startswith(f"the account may use 1 {SMALL}, 1 {LARGE} and 0 {OTHER} at once, and 4 workers may want 4")
    account.running = {SMALL: 0, LARGE: 1}
    (told,) = account.short({}, LARGE)
    assert "some trials will wait" in told, "on the other type they can start"


def test_spot_has_quotas_of_its_own(account: Account) -> None:
    """For the types that are fallen back on and chosen as well."""
    account.spot = {LARGE: 1, OTHER: 2}
    (told,) = account.short({"st_instance_type": choice([LARGE])}, OTHER, use_spot=True)
    assert told.startswith(f"the account may use 1 {LARGE} and 2 {OTHER} at once")
    assert f"'{LARGE} for spot training job usage'" in told


def test_warm_pools_of_each_type(account: Account) -> None:
    """A machine of any type that a trial may get is to be kept."""
    account.running = dict.fromkeys((SMALL, LARGE, OTHER), 10)
    account.pools = {SMALL: 4, LARGE: 0, OTHER: 1}
    space = {"st_instance_type": choice([SMALL, LARGE])}
    assert account.short(space, OTHER) == []
    told = sorted(account.short(space, OTHER, keep_alive_period=600))
    assert [sentence.partition(" in warm pools")[0] for sentence in told] == [
        f"the account may keep 0 {LARGE}",
        f"the account may keep 1 {OTHER}",
    ]
    assert f"ask for '{LARGE} for training warm pool usage' with AWS Service Quotas" in told[0]


def test_groups_want_quota_by_their_types(account: Account) -> None:
    """Each type by the machines of all groups that are of it."""
    groups = [
        {"InstanceGroupName": name, "InstanceType": one, "InstanceCount": count}
        for name, one, count in (("a", SMALL, 1), ("b", LARGE, 2), ("c", SMALL, 1))
    ]
    account.running = {SMALL: 7, LARGE: 8}
    (told,) = account.short(instance_type=DEFAULT, instance_groups=groups)
    assert told.startswith(f"the account may use 7 {SMALL} at once, and 4 workers may want 8")
