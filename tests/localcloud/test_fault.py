"""Faults: what is accepted, what is refused, and the way through JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import KINDS, ONLY_FOR, Fault
from cloudtune.localcloud.glob_overlap import globs_overlap
from tests.localcloud.test_settings import faults


@given(faults)
def test_a_fault_comes_back_from_json_as_it_was(fault: Fault) -> None:
    """The command line and HTTP hand faults on as JSON; what is left at its default is not written."""
    values = json.loads(json.dumps(fault.to_dict()))
    assert Fault.from_dict(values) == fault
    assert set(values) - {"kind"} <= {
        entry.name for entry in dataclasses.fields(fault) if getattr(fault, entry.name) != entry.default
    }


def test_a_misspelt_kind_is_answered_with_the_one_that_was_meant() -> None:
    """Nobody has to look up the list for a slip of the finger."""
    with pytest.raises(ValueError, match="did you mean 'throttle'"):
        Fault("throtle")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "needs a kind"),
        ({"kind": "throttle", "propability": 1}, "no field 'propability'"),
        ({"kind": "throttle", "probability": 1.5}, "probability"),
        ({"kind": "throttle", "probability": "often"}, "probability"),
        ({"kind": "throttle", "probability": float("nan")}, "probability"),
        ({"kind": "throttle", "count": -1}, "count"),
        ({"kind": "throttle", "count": 1.5}, "count"),
        ({"kind": "throttle", "count": True}, "count"),
        ({"kind": "throttle", "after": float("inf")}, "after"),
        ({"kind": "throttle", "seconds": -0.1}, "seconds"),
        ({"kind": "throttle", "seconds": None}, "seconds"),
        ({"kind": "throttle", "after": 3, "until": 2}, "never"),
        ({"kind": "throttle", "until": float("nan")}, "never"),
        ({"kind": "throttle", "operation": None}, "operation"),
        ({"kind": "throttle", "notice": "no"}, "notice"),
        ({"kind": 7}, "kind"),
        ({"kind": "throttle", "seconds": 10**400}, "seconds"),
        ({"kind": "throttle", "count": 10**400}, "count"),
    ],
)
def test_values_without_sense_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    """They come over HTTP too: always a ValueError that names the field, never a TypeError from somewhere inside."""
    with pytest.raises(ValueError, match=named):
        Fault.from_dict(values)


@given(st.sampled_from(sorted(KINDS)))
def test_every_kind_has_a_description_and_makes_a_fault(kind: str) -> None:
    """What the command line lists can be ordered as it is listed."""
    assert KINDS[kind].endswith(".")
    assert Fault(kind).kind == kind


def test_kinds_that_are_for_some_operations_exist() -> None:
    """A renamed kind does not lose its restriction."""
    assert set(ONLY_FOR) <= set(KINDS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "capacity", "operation": "sagemaker:CreateTrainingJob"}, "does not strike calls: operation"),
        ({"kind": "capacity", "who": "client"}, "does not strike calls: who"),
        ({"kind": "spot_interruption", "resource": "bucket/*"}, "choose by job"),
        ({"kind": "late_logs", "operation": "logs:*"}, "choose by job or resource"),
        ({"kind": "shuffled_logs", "who": "job:train-1"}, "does not strike calls: who"),
        ({"kind": "stale_search", "operation": "sagemaker:Describe*"}, "it strikes sagemaker:Search"),
        ({"kind": "write_lost", "operation": "s3:GetObject"}, "it strikes s3:PutObject, s3:CopyObject"),
        ({"kind": "write_lost", "operation": "s3:UploadPart*"}, "never strikes operation"),
        ({"kind": "slow_down", "operation": "sagemaker:*"}, r"it strikes s3:\*"),
        ({"kind": "resource_limit", "operation": "sagemaker:Stop*"}, "never strikes operation"),
        ({"kind": "throttle", "operation": "CreateTrainingJob"}, "written as service:Operation"),
        ({"kind": "stale_search", "resource": "bucket/key"}, "never strikes resource"),
        ({"kind": "throttle", "operation": "sagemaker:*", "resource": "bucket/*"}, "never strikes resource"),
        ({"kind": "throttle", "who": "train-1"}, "who is client or job:"),
    ],
)
def test_rules_that_could_never_strike_are_refused(values: dict[str, Any], said: str) -> None:
    """They would look like a test that passes under a fault. One sentence names what does not fit."""
    with pytest.raises(ValueError, match=said):
        Fault.from_dict(values)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "capacity", "job": "train-*"},
        {"kind": "late_logs", "resource": "/aws/*", "job": "train-1"},
        {"kind": "stale_search", "operation": "sagemaker:S*", "who": "cl*"},
        {"kind": "write_lost", "operation": "s3:CompleteMultipartUpload", "resource": "bucket/key"},
        {"kind": "resource_limit", "operation": "sagemaker:*TrainingJob"},
        {"kind": "throttle", "operation": "*Object", "resource": "bucket/key"},
        {"kind": "throttle", "operation": "logs:*", "resource": "/aws/*", "who": "job:train-[12]"},
        {"kind": "kill_server", "operation": "s[3t]*:*"},
    ],
)
def test_rules_that_can_strike_are_not_refused(values: dict[str, Any]) -> None:
    """Patterns need not be written in full."""
    assert Fault.from_dict(values).to_dict() == values


PIECES = st.lists(st.sampled_from(["a", "b", ":", "*", "?", "[ab]", "[!a]"]), max_size=3).map("".join)


@given(PIECES, PIECES)
def test_two_globs_overlap_where_a_name_matches_both(one: str, other: str) -> None:
    """Compared with all short names; two sets that meet may have nothing in common."""
    names = ("".join(letters) for size in range(7) for letters in itertools.product("ab:", repeat=size))
    have_one = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in names)
    if "[" in one and "[" in other:
        assert globs_overlap(one, other) or not have_one
    else:
        assert globs_overlap(one, other) == have_one == globs_overlap(other, one)
