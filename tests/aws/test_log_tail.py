"""Reading what is new in many log streams."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.errors import Throttled
from cloudtune.aws.logs import Tail
from tests.aws.scripted_logs import ScriptedLine, ScriptedLogs


def messages(tail: Tail) -> list[str]:
    return [event.message for event in tail.look()]


@given(
    lines=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 100), st.integers(0, 15), st.integers(0, 3)), max_size=60
    ),
    page=st.integers(1, 20),
)
def test_each_line_is_given_once_however_late_and_shuffled(lines: list[tuple[int, int, int, int]], page: int) -> None:
    """Lines of ten streams, up to 15 seconds late, by pages of any size, with looks in between: each comes once."""
    logs = ScriptedLogs(
        [
            ScriptedLine(f"a-{stream}/algo-1-1", written, written + late, f"{number}", f"id{number}")
            for number, (stream, written, late, _) in enumerate(lines)
        ],
        page,
    )
    tail = Tail(logs, "a-")
    seen: Counter[str] = Counter()
    for now in range(0, 120, 2):
        logs.now = now
        seen.update(messages(tail))
    assert seen == Counter(str(number) for number in range(len(lines)))


def test_a_look_is_one_call_however_many_streams_are_silent() -> None:
    """A thousand streams without news cost no call of their own, and what is known is not sent again and again."""
    logs = ScriptedLogs()
    for stream in range(1000):
        logs.write(f"a-{stream}/algo-1-1", "begun", time=stream / 10)
    logs.now = 500.0
    tail = Tail(logs, "a-", "begun")
    assert len(tail.look()) == 1000
    for _ in range(10):
        assert tail.look() == []
    assert len(logs.requests) == 11


def test_later_looks_ask_for_little() -> None:
    """Once lines were read, only those of the last seconds are asked for again."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-", overlap=20)
    for now in range(0, 1000, 10):
        logs.now = float(now)
        logs.write("a-1/algo-1-1", str(now))
        assert messages(tail) == [str(now)]
    assert logs.requests[-1]["startTime"] == 980_000 - 20_000


def late_by_minutes() -> tuple[ScriptedLogs, Tail]:
    """A tail whose next look is its second, and a line that is five minutes late and there now."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-", overlap=5, wide_every=10)
    logs.write("a-1/algo-1-1", "late", time=1.0, appears=300.0)
    logs.now = 299.0
    logs.write("a-2/algo-1-1", "here")
    assert messages(tail) == ["here"]
    logs.now = 301.0
    return logs, tail


def test_a_line_that_is_later_than_the_overlap_is_found_by_the_next_wide_look() -> None:
    """Ordinary looks pass it by."""
    _, tail = late_by_minutes()
    assert [messages(tail) for _ in range(2, 12)] == [*[[]] * 8, ["late"], []]


def test_a_wide_look_can_be_asked_for() -> None:
    """By who knows that something is missing."""
    _, tail = late_by_minutes()
    assert [event.message for event in tail.look(wide=True)] == ["late"]


def test_looks_go_back_as_far_as_lines_were_late() -> None:
    """Where lines come a minute late, ordinary looks learn to go back so far."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-", overlap=5, wide_every=1000)
    logs.write("a-1/algo-1-1", "late", time=0.0, appears=60.0)
    logs.now = 60.0
    assert messages(tail) == ["late"]
    logs.write("a-2/algo-1-1", "prompt", time=60.0)
    logs.write("a-1/algo-1-1", "late again", time=10.0, appears=70.0)
    assert messages(tail) == ["prompt"]
    logs.now = 70.0
    assert messages(tail) == ["late again"]


def test_a_writer_whose_clock_is_ahead_hides_nobody() -> None:
    """A line from the future does not move on what is asked for: others' lines are still found."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-")
    logs.now = 100.0
    logs.write("a-1/algo-1-1", "future", time=7000.0, appears=100.0)
    assert messages(tail) == ["future"]
    logs.now = 102.0
    logs.write("a-2/algo-1-1", "present")
    assert messages(tail) == ["present"]


def test_memory_is_bounded() -> None:
    """No more ids are kept than was said; what is forgotten is not read again."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-", most_ids=100)
    seen: Counter[str] = Counter()
    for now in range(50):
        logs.now = float(now)
        for number in range(20):
            logs.write("a-1/algo-1-1", f"{now}-{number}")
        seen.update(messages(tail))
        assert len(tail._seen) <= 120
    assert set(seen.values()) == {1}
    assert len(seen) == 1000


def test_the_log_group_need_not_exist() -> None:
    """The first job of an account makes it."""
    logs = ScriptedLogs()
    logs.exists = False
    tail = Tail(logs, "a-")
    assert tail.look() == []
    logs.exists = True
    logs.write("a-1/algo-1-1", "x")
    assert messages(tail) == ["x"]


def test_a_look_that_fails_loses_nothing() -> None:
    """Refused at the first page: it raises. Refused at a later one: what was read is given, the rest next time."""
    logs = ScriptedLogs(page=2)
    for number in range(5):
        logs.write("a-1/algo-1-1", str(number))
    tail = Tail(logs, "a-")
    logs.errors = [Throttled("too fast")]
    with pytest.raises(Throttled):
        tail.look()
    logs.errors = [None, Throttled("too fast")]
    assert messages(tail) == ["0", "1"]
    assert messages(tail) == ["2", "3", "4"]
    assert messages(tail) == []


def test_a_look_that_finds_very_much_goes_on_in_the_next() -> None:
    """Fifty pages and no more at a time, so that nobody waits for long."""
    logs = ScriptedLogs(page=1)
    for number in range(60):
        logs.write("a-1/algo-1-1", str(number))
    tail = Tail(logs, "a-")
    assert messages(tail) == [str(number) for number in range(50)]
    assert messages(tail) == [str(number) for number in range(50, 60)]
    assert messages(tail) == []


def test_empty_pages_are_not_the_end() -> None:
    """As long as there is a token there may be more."""
    logs = ScriptedLogs()
    logs.empty_pages = 60
    logs.write("a-1/algo-1-1", "x")
    tail = Tail(logs, "a-")
    assert messages(tail) == []
    assert tail.is_behind
    assert messages(tail) == ["x"]
    assert not tail.is_behind


def test_streams_of_others_and_old_lines_are_not_read() -> None:
    """The prefix chooses the streams, ``since`` the oldest line."""
    logs = ScriptedLogs()
    logs.write("a-1/algo-1-1", "old", time=5.0)
    logs.write("a-1/algo-1-1", "new", time=15.0)
    logs.write("b-1/algo-1-1", "other", time=15.0)
    logs.now = 20.0
    assert messages(Tail(logs, "a-", since=10_000)) == ["new"]


def test_many_streams_are_not_asked_for_by_their_prefix() -> None:
    """CloudWatch searches a hundred streams by a prefix: with more, all are searched, and foreign lines passed over."""
    logs = ScriptedLogs()
    tail = Tail(logs, "a-")
    tail.expect_streams(80)
    tail.look()
    tail.expect_streams(81)
    for stream in range(200):
        logs.write(f"a-{stream}/algo-1-1", f"ours {stream}")
        logs.write(f"b-{stream}/algo-1-1", f"foreign {stream}")
    assert messages(tail) == [f"ours {stream}" for stream in range(200)]
    assert ["logStreamNamePrefix" in request for request in logs.requests] == [True, False]
