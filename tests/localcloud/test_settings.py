"""What can be chosen when a local cloud starts, and its way through JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import KINDS, Fault
from cloudtune.localcloud.settings import AWS_RATES, CloudSettings, chosen

faults = st.builds(
    Fault,
    kind=st.sampled_from(sorted(KINDS)),
    job=st.sampled_from(["*", "train-*"]),
    count=st.none() | st.integers(0, 5),
    probability=st.floats(0, 1),
    after=st.floats(0, 10),
    until=st.floats(10, 20) | st.just(float("inf")),
    seconds=st.floats(0, 100),
    notice=st.booleans(),
)


@given(st.lists(faults, max_size=4), st.floats(0.001, 1e6), st.none() | st.integers(0, 9))
def test_settings_come_back_from_json_as_they_were(some: list[Fault], scale: float, quota: int | None) -> None:
    """Server processes get their settings as one line of JSON, which is JSON for everybody: without Infinity."""
    settings = CloudSettings(
        faults=tuple(some), time_scale=scale, default_quota=quota, rates=AWS_RATES, images={"*:1": "/usr/bin/python3"}
    )
    text = settings.to_json()

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    json.loads(text, parse_constant=refuse)
    assert "\n" not in text
    assert CloudSettings.from_json(text) == settings


def test_an_unknown_setting_is_named() -> None:
    """A misspelt setting is not silently left out."""
    with pytest.raises(ValueError, match="'start_dellay'"):
        CloudSettings.from_json('{"start_dellay": 3}')


def test_an_override_that_does_not_exist_is_answered_with_the_one_that_was_meant() -> None:
    """In Python likewise."""
    with pytest.raises(TypeError, match="did you mean 'start_delay'"):
        chosen(None, {"start_dellay": 3})
