"""What AWS's errors mean."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError
from urllib3.exceptions import ProtocolError

from cloudtune.aws import errors
from cloudtune.aws.errors import (
    CODES,
    AccessDenied,
    AwsError,
    Conflict,
    CredentialsExpired,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaReached,
    ServiceFailure,
    Throttled,
    Unreachable,
    boto_errors,
    classify,
    classify_code,
)
from cloudtune.errors import CloudtuneError


def answer(
    code: str, message: str = "Text of AWS.", status: int = 400, operation: str = "PutObject", **more: Any
) -> ClientError:
    """An error as botocore raises it for an answer of AWS."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": more.pop("headers", {})}
    return ClientError({"Error": {"Code": code, "Message": message, **more}, "ResponseMetadata": metadata}, operation)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Throttling", Throttled),
        ("ThrottlingException", Throttled),
        ("TooManyRequestsException", Throttled),
        ("RequestLimitExceeded", Throttled),
        ("SlowDown", Throttled),
        ("ResourceLimitExceeded", QuotaReached),
        ("CapacityError", NoCapacity),
        ("InsufficientInstanceCapacity", NoCapacity),
        ("AccessDenied", AccessDenied),
        ("AccessDeniedException", AccessDenied),
        ("UnauthorizedOperation", AccessDenied),
        ("403", AccessDenied),
        ("NoSuchKey", NotFound),
        ("NoSuchBucket", NotFound),
        ("404", NotFound),
        ("ResourceNotFoundException", NotFound),
        ("PreconditionFailed", Conflict),
        ("ConditionalRequestConflict", Conflict),
        ("ResourceInUse", Conflict),
        ("ValidationException", InvalidRequest),
        ("ExpiredToken", CredentialsExpired),
        ("ExpiredTokenException", CredentialsExpired),
        ("RequestExpired", CredentialsExpired),
        ("InvalidClientTokenId", CredentialsExpired),
        ("UnrecognizedClientException", CredentialsExpired),
        ("400", CredentialsExpired),
        ("InternalError", ServiceFailure),
        ("ServiceUnavailable", ServiceFailure),
    ],
)
def test_codes_of_aws(code: str, kind: type[AwsError]) -> None:
    """The table decides, whatever the status."""
    error = classify(answer(code), "s3:PutObject of s3://data/key", "s3:PutObject")
    assert type(error) is kind
    assert (error.code, error.operation) == (code, "s3:PutObject")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (403, AccessDenied),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (418, InvalidRequest),
        (429, Throttled),
        (500, ServiceFailure),
        (599, ServiceFailure),
        (0, InvalidRequest),
    ],
)
def test_an_unknown_code_is_judged_by_the_status(status: int, kind: type[AwsError]) -> None:
    """AWS invents codes; the status tells the kind."""
    assert type(classify(answer("SomethingNew", status=status), "A call")) is kind


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (botocore_errors.NoCredentialsError(), CredentialsExpired),
        (botocore_errors.PartialCredentialsError(provider="env", cred_var="x"), CredentialsExpired),
        (botocore_errors.TokenRetrievalError(provider="sso", error_msg="expired"), CredentialsExpired),
        (botocore_errors.UnauthorizedSSOTokenError(), CredentialsExpired),
        (botocore_errors.SSOTokenLoadError(error_msg="none"), CredentialsExpired),
        (botocore_errors.CredentialRetrievalError(provider="process", error_msg="x"), CredentialsExpired),
        (botocore_errors.EndpointConnectionError(endpoint_url="https://x"), Unreachable),
        (botocore_errors.ReadTimeoutError(endpoint_url="https://x"), Unreachable),
        (botocore_errors.ConnectTimeoutError(endpoint_url="https://x"), Unreachable),
        (botocore_errors.ConnectionClosedError(endpoint_url="https://x"), Unreachable),
        (botocore_errors.SSLError(endpoint_url="https://x", error="x"), Unreachable),
        (botocore_errors.ResponseStreamingError(error="x"), Unreachable),
        (botocore_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), Unreachable),
        (ProtocolError("broken"), Unreachable),
        (botocore_errors.FlexibleChecksumError(error_msg="x"), ServiceFailure),
        (ResponseParserError("not XML"), ServiceFailure),
        (botocore_errors.ParamValidationError(report="x"), InvalidRequest),
        (botocore_errors.NoRegionError(), InvalidRequest),
        (botocore_errors.ProfileNotFound(profile="x"), InvalidRequest),
        (botocore_errors.DataNotFoundError(data_path="x"), InvalidRequest),
    ],
)
def test_errors_of_botocore(raised: Exception, kind: type[AwsError]) -> None:
    """Where AWS has not answered, the class of the exception decides, or one of its bases."""
    assert isinstance(raised, boto_errors())
    error = classify(raised, "A call")
    assert type(error) is kind
    assert error.code == type(raised).__name__


def test_what_the_transfer_manager_gave_up_on_is_looked_into() -> None:
    """A download that was tried five times fails for the reason of the last time."""
    last = botocore_errors.ReadTimeoutError(endpoint_url="https://x")
    assert type(classify(RetriesExceededError(last), "A download")) is Unreachable


def test_an_error_of_ours_stays_as_it_is() -> None:
    """Errors may pass through several hands."""
    error = NotFound("gone")
    assert classify(error, "something else") is error


@pytest.mark.parametrize("message", ["Requested resource not found.", "Could not find training job x."])
@pytest.mark.parametrize("operation", ["sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"])
def test_sagemaker_says_only_in_the_text_that_a_job_is_not_there(message: str, operation: str) -> None:
    """The code is that of any wrong request; but what a request to create names is the request's fault."""
    error = answer("ValidationException", message)
    assert type(classify(error, "A call", operation)) is NotFound
    assert type(classify(error, "A call", "sagemaker:CreateTrainingJob")) is InvalidRequest


@pytest.mark.parametrize(
    ("error", "region"),
    [
        (answer("PermanentRedirect", status=301, headers={"x-amz-bucket-region": "eu-west-1"}), "eu-west-1"),
        (answer("301", status=301, headers={"x-amz-bucket-region": "eu-west-1"}), "eu-west-1"),
        (answer("AuthorizationHeaderMalformed", Region="eu-central-1"), "eu-central-1"),
        (answer("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'sa-east-1'"), "sa-east-1"),
        (answer("IllegalLocationConstraintException", "The x location constraint is incompatible"), "region"),
    ],
)
def test_a_bucket_of_another_region_is_told_with_its_region(error: ClientError, region: str) -> None:
    """S3 tells it in a header, a member of the error, or the text."""
    told = classify(error, "s3:GetObject of s3://data/key")
    assert type(told) is InvalidRequest
    assert region in str(told)


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "InvalidSignatureException"])
def test_a_clock_that_is_wrong_is_not_taken_for_old_credentials(code: str) -> None:
    """Logging in again would not help."""
    told = classify(answer(code, "Signature expired: 2020 is now earlier than 2026"), "A call")
    assert type(told) is InvalidRequest
    assert "clock" in str(told)


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_message_is_one_line_with_thing_and_remedy(code: str) -> None:
    """What was tried, what AWS said, and what to do; no line breaks, one full stop, at the end."""
    error = classify(answer(code, "Text\nof AWS."), "s3:PutObject of s3://data/key")
    assert "s3:PutObject of s3://data/key" in str(error)
    assert "\n" not in str(error)
    assert str(error).endswith(".")
    assert ";" in str(error)
    assert isinstance(error, CloudtuneError)


def test_no_code_has_two_meanings() -> None:
    """The table is written by class; a code that stood twice would be decided by the order."""
    written = [code for codes in errors._BY_CLASS.values() for code in codes.split()]
    assert len(written) == len(set(written)) == len(CODES)


def test_a_code_within_an_answer() -> None:
    """DeleteObjects succeeds as a call, and tells a code per key."""
    assert type(classify_code("AccessDenied", "no", "Deletion of x")) is AccessDenied
    assert type(classify_code("InternalError", "", "Deletion of x")) is ServiceFailure


def test_errors_can_be_sent_to_other_processes() -> None:
    """With code and operation."""
    error = pickle.loads(pickle.dumps(Throttled("slow", "SlowDown", "s3:PutObject")))
    assert (type(error), str(error), error.code, error.operation) == (Throttled, "slow", "SlowDown", "s3:PutObject")
