"""Faults as one types them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import KINDS, Fault
from cloudtune.localcloud.fault_text import fault_from_text, fault_text

WORDS = st.text("abcxyz*?-_/:.=0123456789 é", min_size=1)
#: What strikes any call may have all patterns; what other kinds may have, all of them may have.
PATTERNS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["throttle", "slow_answer", "kill_server"]),
        "operation": WORDS.map("s3:{}*".format),
        "resource": WORDS,
        "who": WORDS.map("job:{}*".format),
    }
) | st.fixed_dictionaries({"kind": st.sampled_from(sorted(KINDS))})


def _fault(patterns: dict[str, Any], **fields: Any) -> Fault:
    return Fault(**patterns, **fields)


FAULTS = st.builds(
    _fault,
    PATTERNS,
    job=WORDS,
    count=st.none() | st.integers(0, 1000),
    skip=st.integers(0, 1000),
    probability=st.floats(0, 1),
    after=st.floats(0, 1e6),
    until=st.floats(1e6, 1e9) | st.just(float("inf")),
    seconds=st.floats(0, 1e6),
    notice=st.booleans(),
)


@given(FAULTS)
def test_a_fault_is_what_its_text_says(fault: Fault) -> None:
    """Whatever it holds, short form and JSON lead back to the same fault."""
    assert fault_from_text(fault_text(fault)) == fault
    assert fault_from_text(json.dumps(fault.to_dict())) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("capacity", Fault("capacity")),
        ("capacity:", Fault("capacity")),
        ("throttle:operation=s3:*,count=3", Fault("throttle", operation="s3:*", count=3)),
        ("spot_interruption:notice=no,seconds=1.5", Fault("spot_interruption", notice=False, seconds=1.5)),
        ("slow_start:job=a=b", Fault("slow_start", job="a=b")),
        ('  {"kind": "throttle"}', Fault("throttle")),
    ],
)
def test_examples(text: str, fault: Fault) -> None:
    """The forms that the help shows, and their corners."""
    assert fault_from_text(text) == fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no fault ''"),
        ("throttle:count", "not of the form field=value"),
        ("throttle:count=1.5", "count in the fault"),
        ("throttle:notice=maybe", "must be true or false"),
        ("throttle:colour=red", "no field 'colour'"),
        ("throttle:probability=2", "probability"),
        ("{", "not JSON"),
        ("{}", "needs a kind"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    """One sentence that names the place."""
    with pytest.raises(ValueError, match=said):
        fault_from_text(text)
