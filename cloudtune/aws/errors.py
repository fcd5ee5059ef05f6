"""What AWS refuses or fails to do, in a dozen classes; one table says which of AWS's codes belongs to which."""

from __future__ import annotations

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
    """AWS, or botocore before it is asked, finds the request wrong."""


class CredentialsExpired(AwsError):
    """There are no credentials, or they are of no use any more, also after they were read anew."""


class Unreachable(AwsError):
    """No answer: no connection, or a timeout. Whether the call had an effect is unknown."""


class ServiceFailure(AwsError):
    """AWS answers with a failure of its own (5xx)."""


class Cancelled(AwsError):
    """The caller gave up waiting (its event was set) before AWS was asked, or asked again."""


def classify(error: BaseException, doing: str, operation: str = "") -> AwsError:
    """What an exception of boto3 means.

    Args:
        error: From boto3, botocore or s3transfer; an AwsError is given back.
        doing: What was tried, as a noun phrase for the message: ``s3:PutObject of s3://bucket/key``.
        operation: For :attr:`AwsError.operation`.
    """
    raise NotImplementedError
