"""The ledger of a study: what it says, and how it is changed by several at once."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.errors import Conflict, Unreachable
from cloudtune.errors import NewerFormat
from cloudtune.studies.ledger import Book, DamagedLedger, Ledger, Share, dollars, micros
from tests.studies.faulty_bucket import ANSWER_LOST, FINE, UNREACHABLE, FaultyBucket

AMOUNTS = st.integers(0, 10**12)
SHARES = st.builds(Share, AMOUNTS, AMOUNTS, AMOUNTS, st.booleans(), st.booleans(), st.sampled_from(["", "me"]))


def add_one(book: Book | None) -> Book:
    """Counts the changes in a share."""
    before = (book or Book(100)).share("cell")
    return (book or Book(100)).with_share("cell", Share(trials=before.trials + 1))


@given(limit=AMOUNTS, shares=st.dictionaries(st.sampled_from(["a", "b", "c"]), SHARES))
def test_what_was_written_is_read(limit: int, shares: dict[str, Share]) -> None:
    """Whole micro-dollars survive, although people read dollars there."""
    book = Book(limit, shares)
    assert Book.from_json(book.to_json(), "here") == book
    assert json.loads(book.to_json())["max_cost"] == limit / 1_000_000


@given(st.floats(0, 1e6))
def test_dollars_are_rounded_up(amount: float) -> None:
    """What is put aside is never less than what is meant, but for what floating-point numbers add of themselves."""
    assert 0 <= micros(amount) / 1e6 - amount + 1e-9 <= 1.1e-6 + amount * 1e-12


def test_sums_that_differ_by_rounding_are_the_same_money() -> None:
    """0.1 + 0.2 is 0.3."""
    assert micros(0.1 + 0.2) == micros(0.3) == 300_000
    assert dollars(300_000) == 0.3


def test_somebody_else_is_quicker() -> None:
    """The change is made to what the other has written."""
    bucket = FaultyBucket()
    ledger = Ledger(bucket, "budget.json")
    ledger.change(add_one)
    bucket.before_put = lambda: ledger.change(add_one)
    after = ledger.change(add_one)
    assert after is not None
    assert after.share("cell").trials == 3
    assert ledger.read() == after


def test_two_begin_it_at_once() -> None:
    """Neither replaces what the other has written."""
    bucket = FaultyBucket()
    ledger = Ledger(bucket, "budget.json")
    bucket.before_put = lambda: ledger.change(add_one)
    ledger.change(add_one)
    book = ledger.read()
    assert book is not None
    assert book.share("cell").trials == 2


def test_everybody_is_quicker_for_ever() -> None:
    """It gives up."""
    bucket = FaultyBucket()
    ledger = Ledger(bucket, "budget.json")

    def change(book: Book | None) -> Book:
        bucket.before_put = lambda: bucket.objects.__setitem__("budget.json", Book(tries[0]).to_json())
        tries[0] += 1
        return add_one(book)

    tries = [0]
    in_a_hurry = threading.Event()
    in_a_hurry.set()
    with pytest.raises(Conflict):
        ledger.change(change, cancel=in_a_hurry)
    assert tries[0] == 100


def test_nothing_to_change_is_not_written() -> None:
    """A look costs one request; where there is no ledger, none is made."""
    bucket = FaultyBucket()
    ledger = Ledger(bucket, "budget.json")
    assert ledger.change(lambda book: book) is None
    ledger.change(add_one)
    bucket.gets = bucket.puts = 0
    assert ledger.change(lambda book: book) == ledger.read()
    assert (bucket.gets, bucket.puts) == (2, 0)


@pytest.mark.parametrize("fault", [UNREACHABLE, ANSWER_LOST])
def test_s3_does_not_answer(fault: str) -> None:
    """That is told; whether it was written, the next look shows."""
    bucket = FaultyBucket()
    ledger = Ledger(bucket, "budget.json")
    bucket.faults = [FINE, fault]
    with pytest.raises(Unreachable):
        ledger.change(add_one)
    assert (ledger.read() is not None) == (fault == ANSWER_LOST)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"format": 1, "max_cost": "x", "cells": {}}', b"\xff"])
def test_an_object_that_is_no_ledger(body: bytes) -> None:
    """It is named, with what to do; nothing is written over it."""
    bucket = FaultyBucket()
    bucket.objects["budget.json"] = body
    ledger = Ledger(bucket, "budget.json")
    with pytest.raises(DamagedLedger, match=r"s3://memory/budget.json.*restore an earlier version"):
        ledger.change(add_one)
    assert bucket.objects["budget.json"] == body


def test_a_ledger_of_a_newer_cloudtune() -> None:
    """It is left alone."""
    bucket = FaultyBucket()
    bucket.objects["budget.json"] = b'{"format": 2}'
    with pytest.raises(NewerFormat, match="upgrade"):
        Ledger(bucket, "budget.json").read()
