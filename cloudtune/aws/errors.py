"""What AWS refuses or fails to do, in a dozen classes; one table says which of AWS's codes belongs to which.

Callers decide by the class: what can be repeated (:class:`Throttled`, :class:`Unreachable`, :class:`ServiceFailure`),
what has to wait (:class:`QuotaReached`, :class:`NoCapacity`), what a person has to put right (the others).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from cloudtune.errors import CloudtuneError


class AwsError(CloudtuneError):
    """Base of what goes wrong in a call of AWS.

    Args:
        message: One plain sentence naming the thing and the remedy.
        code: As AWS gives it (``ThrottlingException``), or the name of botocore's exception.
        operation: Such as ``sagemaker:CreateTrainingJob``.
    """

    def __init__(self, message: str, code: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation


class Throttled(AwsError):
    """Too many calls; a later one will be answered."""


class QuotaReached(AwsError):
    """A quota of the account is used up (ResourceLimitExceeded)."""


class NoCapacity(AwsError):
    """AWS has no instance of the kind left at the moment."""


class AccessDenied(AwsError):
    """The caller has no right to do this."""


class NotFound(AwsError):
    """What the call is about does not exist."""


class Conflict(AwsError):
    """A condition of a write did not hold (412, 409), or a name is taken (ResourceInUse)."""


class InvalidRequest(AwsError):
    """AWS, or botocore before AWS is asked, finds the request wrong."""


class CredentialsExpired(AwsError):
    """There are no credentials, or they are of no use any more, also after they were read anew."""


class Unreachable(AwsError):
    """No answer: no connection, or a timeout. Whether the call had an effect is unknown."""


class ServiceFailure(AwsError):
    """AWS answers with a failure of its own (5xx), or with something that is no answer."""


class Cancelled(AwsError):
    """The caller's ``cancel`` was set before AWS was asked, or before it was asked again."""


#: What may be repeated as it is, after a while.
PASSING = (Throttled, Unreachable, ServiceFailure)
#: Codes of what is said where nobody has set AWS up.
_NOT_SET_UP = frozenset({"NoRegionError", "NoCredentialsError"})

_BY_CLASS: Mapping[type[AwsError], str] = {
    Throttled: """
        BandwidthLimitExceeded EC2ThrottledException PriorRequestNotComplete ProvisionedThroughputExceededException
        RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown
        ThrottledException Throttling ThrottlingException TooManyRequests TooManyRequestsException 429
    """,
    QuotaReached: """
        LimitExceededException QuotaExceededException ResourceLimitExceeded ServiceQuotaExceededException TooManyBuckets
    """,
    NoCapacity: "CapacityError InsufficientCapacity InsufficientCapacityException InsufficientInstanceCapacity",
    AccessDenied: """
        AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthorizationError InvalidObjectState
        MethodNotAllowed NotAuthorized OptInRequired SubscriptionRequiredException UnauthorizedAccess
        UnauthorizedOperation 403 405
    """,
    NotFound: """
        ImageNotFoundException NoSuchBucket NoSuchEntity NoSuchKey NoSuchResourceException NoSuchUpload NoSuchVersion
        NotFound NotFoundException RepositoryNotFoundException ResourceNotFound ResourceNotFoundException
        ServerSideEncryptionConfigurationNotFoundError 404
    """,
    Conflict: """
        BucketAlreadyExists BucketAlreadyOwnedByYou ConditionalRequestConflict ConflictException EntityAlreadyExists
        OperationAborted PreconditionFailed RepositoryAlreadyExistsException ResourceAlreadyExistsException
        ResourceInUse 409 412
    """,
    InvalidRequest: """
        AuthorizationHeaderMalformed ConfigParseError IllegalLocationConstraintException InvalidBucketName
        InvalidParameterException InvalidRegionError NoRegionError ParamValidationError PermanentRedirect
        ProfileNotFound RequestTimeTooSkewed TemporaryRedirect UnknownEndpointError ValidationError ValidationException
        301 307
    """,
    # S3 answers a HEAD with expired credentials by a bare 400: an answer to HEAD has no body that could tell more.
    CredentialsExpired: """
        AuthFailure CredentialRetrievalError ExpiredToken ExpiredTokenException IncompleteSignature InvalidAccessKeyId
        InvalidClientTokenId InvalidIdentityToken InvalidSignatureException InvalidToken LoginError
        MetadataRetrievalError MissingAuthenticationToken MissingAuthenticationTokenException NoAuthTokenError
        NoCredentialsError PartialCredentialsError RequestExpired SSOError SignatureDoesNotMatch TokenRefreshRequired
        TokenRetrievalError UnauthorizedException UnrecognizedClientException 400
    """,
    Unreachable: "ConnectionError HTTPClientError HTTPError IncompleteReadError RequestTimeout RequestTimeoutException",
    ServiceFailure: """
        ChecksumError FlexibleChecksumError InternalError InternalFailure InternalServerError InternalServerException
        InternalServiceError InternalServiceException ResponseParserError S3DownloadFailedError S3ValidationError
        ServiceFailure ServiceUnavailable ServiceUnavailableException
    """,
}
#: AWS's code, or the name of an exception class of botocore, -> what it means. A code that is not here is judged by
#: the status of the answer; a class that is not here, by its bases.
CODES: Mapping[str, type[AwsError]] = {code: kind for kind, codes in _BY_CLASS.items() for code in codes.split()}

#: What each kind of error says behind the name of what was tried: {said} is AWS's own text.
_SENTENCES: Mapping[type[AwsError], str] = {
    Throttled: "was throttled ({said}); try again later, or ask AWS for a higher rate of this call.",
    QuotaReached: "exceeds a quota of the account ({said}); wait until instances are free, or ask for more with AWS "
    "Service Quotas.",
    NoCapacity: "found no free instance ({said}); try again later, or allow other instance types.",
    AccessDenied: "is not allowed ({said}); allow it in the IAM policy of the user or role that asks, or in the policy "
    "of what it asks for.",
    NotFound: "found nothing ({said}); check name, region and account.",
    Conflict: "came upon something that is there already or has changed meanwhile ({said}); look at it before trying "
    "again.",
    InvalidRequest: "was refused as wrong ({said}); correct what the message names.",
    CredentialsExpired: "has no valid AWS credentials ({said}); log in again (such as `aws sso login`) and run the "
    "same command to continue.",
    Unreachable: "got no answer ({said}); check the network, proxy and region, and run the same command to continue.",
    ServiceFailure: "met a failure of AWS itself ({said}); try again later.",
}
_WRONG_REGION = (
    "301",
    "307",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
)
_SKEWED = re.compile(r"RequestTimeTooSkewed|Signature (expired|not yet current)", re.IGNORECASE)
# SageMaker says in the text alone that a job does not exist. For CreateTrainingJob such texts are about what the
# request names, and the request has to be corrected.
_ABOUT_ONE_THING = re.compile(r"(Describe|Stop|Update|Delete|List)[A-Z]")
_NOT_THERE = re.compile(r"not found|could not find|does not exist|not exist|cannot find", re.IGNORECASE)


def is_not_set_up(error: Exception) -> bool:
    """Whether an error says no more than that AWS is not set up on this machine: no region, or no credentials."""
    return isinstance(error, AwsError) and error.code in _NOT_SET_UP


def classify(error: BaseException, doing: str, operation: str = "") -> AwsError:
    """What an exception of boto3 means.

    Args:
        error: From boto3, botocore or s3transfer; an AwsError is given back as it is.
        doing: What was tried, as a noun phrase for the message: ``s3:PutObject of s3://bucket/key``.
        operation: For :attr:`AwsError.operation`; by default the operation that botocore names.
    """
    if isinstance(error, AwsError):
        return error
    last = getattr(error, "last_exception", None)  # s3transfer wraps what it gave up on
    if isinstance(last, Exception):
        error = last
    answer = getattr(error, "response", None)
    if isinstance(answer, dict) and "Error" in answer:
        return _of_answer(answer, doing, operation or getattr(error, "operation_name", ""))
    kind = next((CODES[one.__name__] for one in type(error).__mro__ if one.__name__ in CODES), InvalidRequest)
    code = type(error).__name__
    return _error(kind, code, f"{code}: {error}", doing, operation)


def classify_code(code: str, message: str, doing: str, operation: str = "") -> AwsError:
    """What a code means that AWS gave within an answer, such as for one key of DeleteObjects."""
    return _of_answer({"Error": {"Code": code, "Message": message}}, doing, operation)


def _of_answer(answer: Mapping[str, Any], doing: str, operation: str) -> AwsError:
    code = str(answer["Error"].get("Code", ""))
    message = str(answer["Error"].get("Message", ""))
    metadata = answer.get("ResponseMetadata", {})
    said = f"{code}: {message}" if message else code
    if _SKEWED.search(said):
        text = f"{doing} was refused because of the time ({_plain(said)}); set the clock of this machine right."
        return InvalidRequest(text, code, operation)
    if code in _WRONG_REGION:
        return _wrong_region(answer, code, said, doing, operation)
    kind = CODES.get(code) or _of_status(metadata.get("HTTPStatusCode", 0))
    if kind is InvalidRequest and _ABOUT_ONE_THING.match(operation.rpartition(":")[2]) and _NOT_THERE.search(message):
        kind = NotFound
    return _error(kind, code, said, doing, operation)


def _of_status(status: int) -> type[AwsError]:
    if str(status) in CODES and status != 400:
        return CODES[str(status)]
    return ServiceFailure if status >= 500 else InvalidRequest


def _wrong_region(answer: Mapping[str, Any], code: str, said: str, doing: str, operation: str) -> InvalidRequest:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    expected = re.search(r"expecting '([a-z0-9-]+)'", said)
    region = headers.get("x-amz-bucket-region") or answer["Error"].get("Region") or (expected and expected.group(1))
    if region:
        text = f"{doing} asked the wrong region: the bucket is in {region}; use a bucket of your region, or {region}."
    else:
        text = f"{doing} asked the wrong region ({_plain(said)}); use a bucket of the region that you work in."
    return InvalidRequest(text, code, operation)


def _error(kind: type[AwsError], code: str, said: str, doing: str, operation: str) -> AwsError:
    return kind(f"{doing} {_SENTENCES[kind].format(said=_plain(said))}", code, operation)


def _plain(text: str) -> str:
    """On one line, without a full stop."""
    return " ".join(text.split()).rstrip(".")


@functools.cache
def boto_errors() -> tuple[type[Exception], ...]:
    """What calls of AWS raise, to be given to :func:`classify`. Errors of local files are not among them."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from s3transfer import exceptions as s3transfer_errors
    from urllib3.exceptions import HTTPError

    return (
        AwsError,
        BotoCoreError,
        ClientError,
        HTTPError,
        ResponseParserError,
        s3transfer_errors.RetriesExceededError,
        s3transfer_errors.S3DownloadFailedError,
    )
