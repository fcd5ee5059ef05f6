"""The services whose calls go through the gate, and what of them is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from botocore.model import OperationNotFoundError, ServiceModel, StructureShape
from botocore.validate import ParamValidator
from moto.core.request import Request
from moto.core.utils import get_service_model

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.gate.api_request import ApiRequest
from cloudtune.localcloud.services.operation import Operation


@dataclass
class GatedService:
    """A service of AWS.

    Args:
        name: As IAM's action names have it: what faults, rates and the record of calls say.
        model: botocore's name for it.
        operations: What we answer ourselves, in the JSON protocol; all else is moto's.
    """

    name: str
    model: str
    operations: Mapping[str, Operation] = field(default_factory=dict)

    def check(self, call: ApiRequest, request: Request) -> None:
        """Refuses what would make moto stumble. For operations that moto answers, of any service but S3.

        Raises:
            AwsError: The operation is not known, a parameter is missing or of the wrong type.
        """
        if call.protocol == "rest":
            return
        try:
            shape = self._model.operation_model(call.operation).input_shape
        except OperationNotFoundError:
            raise unknown_operation(self.name, call.operation) from None
        if shape is None:
            return
        if call.protocol == "json":
            report = ParamValidator().validate(call.params, shape)
            if report.has_errors():
                raise validation_error(report.generate_report())
        else:
            _check_form(shape, request)

    @cached_property
    def _model(self) -> ServiceModel:
        return get_service_model(self.model)


def unknown_operation(service: str, operation: str) -> AwsError:
    """AWS has no such operation, or the local cloud has not. boto3 does not try again."""
    if not operation:
        return AwsError("UnknownOperationException", f"The request names no operation of {service}.")
    return AwsError("UnknownOperationException", f"The local cloud does not implement {service}:{operation}.")


def _check_form(shape: StructureShape, request: Request) -> None:
    """Required parameters of the query protocol: lists and structures are spread over ``Name.…``."""
    given = {name.partition(".")[0] for name in request.values}
    for name in shape.required_members:
        if name not in given:
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value null at '{name[0].lower()}{name[1:]}' failed to satisfy "
                "constraint: Member must not be null",
            )
