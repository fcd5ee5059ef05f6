"""The answer of an AWS service to a request it refuses."""

from __future__ import annotations


class AwsError(Exception):
    """Raised by our services, turned into the error answer of the service's protocol by the gate.

    Args:
        code: What the client sees as ``error.response["Error"]["Code"]``, such as ``ResourceInUse``.
        message: AWS's text, as far as it is known.
        status: HTTP status. boto3 retries 5xx and codes that mean throttling.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def __reduce__(self) -> tuple[type[AwsError], tuple[str, str, int]]:
        return type(self), (self.code, self.message, self.status)


def validation_error(message: str) -> AwsError:
    """The error SageMaker gives for whatever is wrong with a request, and for what does not exist."""
    return AwsError("ValidationException", message)
