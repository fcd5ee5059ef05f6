"""The snapshot of all messages: nothing in it is stale, and nothing of one machine is in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bad_input import messages


def test_every_part_belongs_to_a_test() -> None:
    """A part whose test is gone is to be removed; the last words of a name may be put together by the test."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for row in messages.read():
        beginning = re.split(r", |: ", row)[0]
        assert f'"{row}"' in sources or f'"{beginning}' in sources, row


def test_nothing_of_one_machine() -> None:
    """No path, process, time or traceback stands in the snapshot: it is the same for everybody."""
    text = "\n".join(messages.read().values())
    assert not re.search(r"/(tmp|root|home|usr|Users|private)/|pid \d|\d{4}-\d\d-\d\d|Traceback|\.py\", line", text)
    assert not re.search(r"\b1 (trials|reports|processes)\b", text)
