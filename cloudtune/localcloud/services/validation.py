"""Requests checked against SageMaker's own API model, as botocore ships it, with AWS's errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import botocore.session

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.services.scalar_checks import SCALARS, Scalar, java_text, mismatch, scalar_check

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

#: Takes a value, its path as AWS writes it, and the list to add errors to; returns a copy of the value without members
#: that the model does not know. Raises AwsError SerializationException for a value of another type.
Check = Callable[[Any, str, list[str]], Any]


@lru_cache(maxsize=1)
def sagemaker_model() -> ServiceModel:
    """SageMaker's API model. Reading it takes about 0.1 s, once."""
    return botocore.session.get_session().get_service_model("sagemaker")


def checked(operation: str, params: Any) -> dict[str, Any]:
    """A copy of a request's parameters without what AWS would ignore: unknown members and nulls.

    Raises AwsError: ValidationException that lists whatever the model does not allow, or SerializationException for a
    value of the wrong type.
    """
    errors: list[str] = []
    try:
        found: dict[str, Any] = _input_check(operation)(params, "", errors)
    except RecursionError as error:
        raise AwsError("SerializationException", "The request is nested too deeply") from error
    if errors:
        raise constraint_errors(errors)
    return found


def constraint_errors(errors: Sequence[str]) -> AwsError:
    """AWS's error for some broken constraints, each made by :func:`broken`."""
    plural = "s" if len(errors) > 1 else ""
    return validation_error(f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}")


def broken(value: Any, path: str, constraint: str) -> str:
    """AWS's sentence about a value that breaks a constraint."""
    shown = "null" if value is None else f"'{java_text(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


@lru_cache(maxsize=64)
def _input_check(operation: str) -> Check:
    return _compiled(sagemaker_model().operation_model(operation).input_shape, {})


def _compiled(shape: Shape, known: dict[str, Check]) -> Check:
    """The check for a shape; ``known`` has those that were made before, or are being made (shapes may be recursive)."""
    if shape.name in known:
        return known[shape.name]

    def later(value: Any, path: str, errors: list[str]) -> Any:
        return known[shape.name](value, path, errors)

    known[shape.name] = later
    if shape.type_name == "structure":
        known[shape.name] = _structure(shape, known)
    elif shape.type_name == "list":
        known[shape.name] = _list(shape, known)
    elif shape.type_name == "map":
        known[shape.name] = _map(shape, known)
    else:
        known[shape.name] = _scalar(scalar_check(shape))
    return known[shape.name]


def _scalar(scalar: Scalar) -> Check:
    def check(value: Any, path: str, errors: list[str]) -> Any:
        value = scalar.read(value)
        if not scalar.allows(value):
            errors.extend(broken(value, path, constraint) for constraint in scalar.broken_by(value))
        return value

    return check


def _structure(shape: Shape, known: dict[str, Check]) -> Check:
    members = {name: (name[:1].lower() + name[1:], _compiled(member, known)) for name, member in shape.members.items()}
    required = [(name, members[name][0]) for name in shape.required_members]

    def check(value: Any, path: str, errors: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mismatch(value, "structure")
        prefix = f"{path}." if path else ""
        clean: dict[str, Any] = {}
        for name, entry in value.items():
            member = members.get(name)
            if member is not None and entry is not None:
                clean[name] = member[1](entry, prefix + member[0], errors)
        for name, label in required:
            if name not in clean:
                errors.append(broken(None, prefix + label, "Member must not be null"))
        return clean

    return check


def _list(shape: Shape, known: dict[str, Check]) -> Check:
    size = _size_check(shape)
    if shape.member.type_name in SCALARS:
        scalar = scalar_check(shape.member)
        demand = f"Member must satisfy constraint: [{', '.join(scalar.constraints)}]"

        def check(value: Any, path: str, errors: list[str]) -> list[Any]:
            if not isinstance(value, list):
                raise mismatch(value, "list")
            size(value, path, errors)
            clean = [None if entry is None else scalar.read(entry) for entry in value]
            if not all(entry is not None and scalar.allows(entry) for entry in clean):
                errors.append(broken(clean, path, demand))
            return clean

        return check
    member = _compiled(shape.member, known)

    def check_structures(value: Any, path: str, errors: list[str]) -> list[Any]:
        if not isinstance(value, list):
            raise mismatch(value, "list")
        size(value, path, errors)
        clean = []
        for number, entry in enumerate(value, start=1):
            place = f"{path}.{number}.member"
            if entry is None:
                errors.append(broken(None, place, "Member must not be null"))
            else:
                clean.append(member(entry, place, errors))
        return clean

    return check_structures


def _map(shape: Shape, known: dict[str, Check]) -> Check:
    size = _size_check(shape)
    keys = scalar_check(shape.key)
    key_demand = f"Map keys must satisfy constraint: [{', '.join(keys.constraints)}]"
    values = scalar_check(shape.value) if shape.value.type_name in SCALARS else None
    value_demand = f"Map value must satisfy constraint: [{', '.join(values.constraints) if values else ''}]"
    nested = None if values else _compiled(shape.value, known)

    def check(value: Any, path: str, errors: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mismatch(value, "map")
        size(value, path, errors)
        clean: dict[str, Any] = {}
        good_values = True
        for name, entry in value.items():
            if entry is None:
                good_values = False
            elif values is not None:
                clean[name] = values.read(entry)
                good_values = good_values and values.allows(clean[name])
            elif nested is not None:
                clean[name] = nested(entry, f"{path}.{name}.member", errors)
        if not all(keys.allows(keys.read(name)) for name in value):
            errors.append(broken(value, path, key_demand))
        if not good_values:
            errors.append(broken(value, path, value_demand))
        return clean

    return check


def _size_check(shape: Shape) -> Callable[[Any, str, list[str]], None]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str, errors: list[str]) -> None:
        if most is not None and len(value) > most:
            errors.append(broken(value, path, f"Member must have length less than or equal to {most}"))
        if least is not None and len(value) < least:
            errors.append(broken(value, path, f"Member must have length greater than or equal to {least}"))

    return check
