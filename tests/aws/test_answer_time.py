"""The time in AWS's answers."""

from __future__ import annotations

import datetime as dt

from cloudtune.aws.answer_time import aws_time


def test_the_time_of_an_answer_is_awss_own() -> None:
    """It is read from the header that every answer has; an answer without one, or with rubbish, tells no time."""
    headers = {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}
    expected = dt.datetime(2026, 11, 21, 12, tzinfo=dt.timezone.utc)
    assert aws_time({"ResponseMetadata": {"HTTPHeaders": headers}}) == expected
    assert aws_time({"ResponseMetadata": {"HTTPHeaders": {"date": "soon"}}}) is None
    assert aws_time({}) is None
