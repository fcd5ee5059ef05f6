"""How keys are found that a user has named: where the caller may not look, and where nothing can be found.

What doctor says of keys and networks stands in tests/cli/doctor/test_doctor_extras.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.checks import PROBLEM, WARNING
from cloudtune.aws.errors import AccessDenied, AwsError, NotFound, Throttled
from cloudtune.aws.extras import Named, key_arn, look_at_extras

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-west-1:123456789012:key/{KEY}"


class Account:
    """Answers every call in the same way."""

    account, region, partition = "123456789012", "eu-west-1", "aws"

    def __init__(self, answer: dict[str, Any] | AwsError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def call(self, _service: str, operation: str, **_params: Any) -> dict[str, Any]:
        self.asked.append(operation)
        if isinstance(self.answer, AwsError):
            raise self.answer
        return self.answer


def look(account: Account, given: str) -> tuple[str | None, str | None]:
    """State of the finding, and ARN, of a key."""
    finding, arn = key_arn(account, given, "volume key", "--volume-kms-key")  # type: ignore[arg-type] # all it needs
    assert finding is None or "--volume-kms-key" in finding.text
    return (None if finding is None else finding.state), arn


def test_an_arn_is_taken_as_it_is() -> None:
    """Nobody is asked; a key of another account may be used, too."""
    account = Account({})
    assert look(account, ARN.replace("123456789012", "999999999999")) == (
        None,
        ARN.replace("123456789012", "999999999999"),
    )
    assert account.asked == []


def test_an_id_is_enough_where_the_caller_may_not_look() -> None:
    """An id is enough for the ARN, an alias is not."""
    account = Account(AccessDenied("no"))
    assert look(account, KEY) == (None, ARN)
    assert look(account, f"mrk-{'0' * 32}") == (None, ARN.replace(KEY, f"mrk-{'0' * 32}"))
    assert look(account, "alias/mine") == (WARNING, None)


def test_a_key_that_aws_keeps_takes_no_right() -> None:
    """Whoever may use the service may use it."""
    account = Account({"KeyMetadata": {"Arn": ARN, "KeyManager": "AWS"}})
    assert look(account, "alias/aws/s3") == (None, None)
    assert account.asked == []
    assert look(account, KEY) == (None, None)


def test_a_key_that_is_not_there_is_a_problem() -> None:
    """Told with what AWS said."""
    assert look(Account(NotFound("no such key")), "alias/mine") == (PROBLEM, None)


def test_a_service_that_does_not_answer_is_no_finding() -> None:
    """Nothing is claimed of the key then; who asks is told of the error."""
    with pytest.raises(Throttled):
        look(Account(Throttled("later")), "alias/mine")


def test_one_wrong_key_is_told_of_once() -> None:
    """Though it is that of the bucket and of the output."""
    account: Any = Account(NotFound("no such key"))
    findings, arns = look_at_extras(account, Named(kms_key="alias/mine"), "data")
    assert [finding.what for finding in findings] == ["bucket key"]
    assert arns == {}


def test_an_encryption_that_nobody_has_set_is_no_error() -> None:
    """S3 answers that there is none; any other thing that is not there is an error."""
    unset: Any = Account(NotFound("none", "ServerSideEncryptionConfigurationNotFoundError"))
    assert look_at_extras(unset, Named(), "data") == ([], {})
    gone: Any = Account(NotFound("none", "NoSuchBucket"))
    with pytest.raises(NotFound):
        look_at_extras(gone, Named(), "data")
