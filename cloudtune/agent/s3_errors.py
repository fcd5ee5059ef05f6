"""What can go wrong with S3, as the agent sees it: four kinds, by what is to be done about them."""

from __future__ import annotations


class S3Error(Exception):
    """Something with S3 failed; the text is one sentence."""


class S3Denied(S3Error):
    """The job may not do this, and trying again will not help: rights, wrong account, no credentials."""


class S3NotFound(S3Error):
    """There is no such object, or no such bucket."""


class S3Unreachable(S3Error):
    """S3 does not answer, or is not able to: trying again later helps."""


class NoBoto3(S3Error):
    """The image has no boto3."""


#: Error codes of S3, and of what stands before it -> what they mean here. All others: try again later.
CODES: dict[str, type[S3Error]] = {
    "AccessDenied": S3Denied,
    "AccountProblem": S3Denied,
    "AllAccessDisabled": S3Denied,
    "AuthorizationHeaderMalformed": S3Denied,  # the bucket is in another region
    "Forbidden": S3Denied,
    "IllegalLocationConstraintException": S3Denied,
    "InvalidAccessKeyId": S3Denied,
    "KMS.DisabledException": S3Denied,
    "KMS.NotFoundException": S3Denied,
    "MethodNotAllowed": S3Denied,
    "PermanentRedirect": S3Denied,
    "SignatureDoesNotMatch": S3Denied,
    "403": S3Denied,
    "301": S3Denied,
    "NoSuchKey": S3NotFound,
    "NoSuchBucket": S3NotFound,
    "NotFound": S3NotFound,
    "404": S3NotFound,
}


def sort_error(error: Exception, doing: str) -> Exception:
    """The error to raise for one from boto3; one that has nothing to do with S3 (a full disk) is returned as it is.

    Args:
        error: What boto3, or the file system under it, has raised.
        doing: What was tried, as in "reading s3://bucket/key".
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, S3Error):
        return error
    if isinstance(error, Boto3Error) and isinstance(error.__context__, Exception):
        return sort_error(error.__context__, doing)  # the transfer manager hides what happened in a text
    if isinstance(error, ClientError):
        answer = error.response.get("Error") or {}
        code = str(answer.get("Code", ""))
        kind = CODES.get(code, S3Unreachable)
        return kind(f"{doing} failed: {answer.get('Message') or 'no reason given'} ({code})")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return S3Denied(f"{doing} failed: the job has no credentials; give it an execution role with rights on S3")
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return error
    return S3Unreachable(f"{doing} failed: {str(error) or type(error).__name__}")
