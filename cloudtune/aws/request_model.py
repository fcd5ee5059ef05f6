"""Whether boto3 knows all members of a CreateTrainingJob request: a misspelt one is told before any trial."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.aws.errors import InvalidRequest

_OPERATION = "sagemaker:CreateTrainingJob"


def check_members(client: Any, request: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a member that boto3's model of the API does not have, or that is of another type.

    Args:
        client: boto3's client of SageMaker.
        request: As ``create_training_job`` takes it.
    """
    import boto3
    from botocore.validate import ParamValidator

    shape = client.meta.service_model.operation_model("CreateTrainingJob").input_shape
    for path, name, known in _unknown(request, shape, ""):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(known)}"
        raise InvalidRequest(
            f"boto3 {boto3.__version__} knows no {name!r} in {path or 'CreateTrainingJob'}; {hint}",
            "ParamValidationError",
            _OPERATION,
        )
    report = ParamValidator().validate(dict(request), shape)
    if report.has_errors():
        first = report.generate_report().splitlines()[0]
        raise InvalidRequest(
            f"the training job is not described as AWS wants it: {first}", "ParamValidationError", _OPERATION
        )


def _unknown(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str, list[str]]]:
    """Path, name and known names of each member that the model does not have."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, member in value.items():
            if name in shape.members:
                yield from _unknown(member, shape.members[name], f"{path}.{name}".lstrip("."))
            else:
                yield path, name, list(shape.members)
    elif shape.type_name == "list" and isinstance(value, list):
        for number, member in enumerate(value):
            yield from _unknown(member, shape.member, f"{path}[{number}]")
