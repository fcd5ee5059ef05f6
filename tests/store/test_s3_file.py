"""What a tuner replaces beside the log, and that it replaces nothing of a tuner that has taken over."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import partial

import pytest

from cloudtune.errors import Fenced
from tests.store.memory_s3 import MemoryS3
from tests.store.paused_writer import ROOT, PausedWriter

METADATA = ROOT + "metadata.json"


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


def written_by(s3: MemoryS3) -> int:
    """Whose metadata lies there."""
    name: int = json.loads(s3.objects[METADATA][0])["by"]
    return name


def write(writer: PausedWriter) -> None:
    """Writes its metadata."""
    writer.store.write_metadata({"by": writer.name})


def orders(s3: MemoryS3, writes_before: int, there: bytes | None) -> Iterator[PausedWriter]:
    """A tuner that has stood still, once before each call of a write, while another took over and wrote.

    Args:
        s3: Emptied for each time.
        writes_before: So often it has written in this run of it already.
        there: What an earlier tuner has left.
    """
    for calls in itertools.count():
        s3.objects = {} if there is None else {METADATA: (there, 0.0)}
        paused, other = PausedWriter(s3, 1), PausedWriter(s3, 2)
        paused.run(paused.open)
        for _ in range(writes_before):
            paused.run(partial(write, paused))
        paused.begin(partial(write, paused))
        for _ in range(calls):
            paused.step()
        if paused.pending is None:
            paused.kill()
            return
        other.run(partial(other.open, True))
        other.run(partial(write, other))
        assert (other.error, written_by(s3)) == (None, 2)
        while paused.pending is not None:
            paused.step()
        yield paused
        for one in (paused, other):
            one.kill()


@pytest.mark.parametrize("there", [None, b'{"by": 0}'])
@pytest.mark.parametrize(("writes_before", "calls"), [(0, ["head", "get", "put"]), (1, ["put"])])
def test_a_tuner_that_stood_still_replaces_nothing_of_the_next_one(
    s3: MemoryS3, writes_before: int, calls: list[str], there: bytes | None
) -> None:
    """Wherever it stood in a write, be it the first one of its run: it is fenced, and what the next one wrote stays."""
    stood = 0
    for paused in orders(s3, writes_before, there):
        assert isinstance(paused.error, Fenced)
        assert written_by(s3) == 2
        stood += 1
    assert stood == len(calls)


def test_the_next_tuner_replaces_what_it_finds(s3: MemoryS3) -> None:
    """What an earlier one has left, and what one that stood still puts there at the last moment."""
    late, other = PausedWriter(s3, 1), PausedWriter(s3, 2)
    late.run(late.open)
    late.begin(partial(write, late))
    while late.pending != ("put", METADATA):
        late.step()
    other.run(partial(other.open, True))
    late.step()
    assert written_by(s3) == 1
    other.run(partial(write, other))
    assert (other.error, written_by(s3)) == (None, 2)
    for one in (late, other):
        one.kill()
