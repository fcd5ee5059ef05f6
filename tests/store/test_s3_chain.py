"""What counts of a log in S3: the chain of its segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from cloudtune.store.s3_chain import Chain
from cloudtune.store.s3_segments import LogKeys, Segment, make_segment


@pytest.fixture
def chain() -> Iterator[Chain]:
    made = Chain(LogKeys("r"))
    yield made
    made.close()


def segment(seq: int, epoch: int, nonce: str, before: Segment | None, numbers: Sequence[int]) -> Segment:
    """A segment that continues another one."""
    lines = [b'{"event":"report","number":%d}\n' % number for number in numbers]
    first = before.first + before.entries if before else 0
    return make_segment(seq, epoch, nonce, first, before.seq if before else 0, before.digest if before else "", lines)


def numbers(chain: Chain, start: int = 0) -> list[int]:
    return [entry["number"] for block in chain.blocks(start) for entry in block]


def test_segments_that_follow_each_other_count(chain: Chain) -> None:
    """From any entry on, within segments of any size."""
    before = None
    for seq in range(1, 8):
        before = segment(seq, 1, "a", before, range(3 * seq, 3 * seq + 3))
        chain.feed(before)
    everything = numbers(chain)
    assert everything == list(range(3, 24))
    assert [numbers(chain, start) for start in range(23)] == [everything[start:] for start in range(23)]
    assert (chain.length(), chain.highest, chain.damage) == (21, 7, None)
    assert [link.seq for link in chain.links(2, 4)] == [2, 3, 4]
    assert before is not None
    assert chain.segment(chain.links(7, 7)[0]) == before.data


def test_nobody_but_a_new_owner_goes_back(chain: Chain) -> None:
    """A segment that leaves out what counts is read only if it begins an epoch."""
    one = segment(1, 1, "a", None, [1])
    two = segment(2, 1, "a", one, [2])
    chain.feed(one)
    chain.feed(two)
    chain.feed(segment(3, 1, "a", one, [3]))
    assert numbers(chain) == [1, 2]
    chain.feed(segment(4, 2, "b", one, [4]))
    assert numbers(chain) == [1, 4]
    assert chain.rewound_to == 1


def test_an_older_epoch_never_follows_a_newer_one(chain: Chain) -> None:
    """Nor does another owner of the same epoch."""
    one = segment(1, 2, "b", None, [1])
    chain.feed(one)
    chain.feed(segment(2, 1, "a", one, [2]))
    chain.feed(segment(3, 2, "c", one, [3]))
    assert numbers(chain) == [1]


def test_entries_that_are_missing_are_not_glued_over(chain: Chain) -> None:
    """A segment whose first entry has another number than the chain would give it does not count."""
    one = segment(1, 1, "a", None, [1])
    chain.feed(one)
    chain.feed(make_segment(2, 1, "a", 5, 1, one.digest, [b'{"event":"report","number":6}\n']))
    assert numbers(chain) == [1]
    assert chain.damage is not None


def test_what_is_read_stands_still(chain: Chain) -> None:
    """What is fed after the call is not in it."""
    one = segment(1, 1, "a", None, [1])
    chain.feed(one)
    blocks = chain.blocks()
    chain.feed(segment(2, 1, "a", one, [2]))
    assert [entry["number"] for block in blocks for entry in block] == [1]
