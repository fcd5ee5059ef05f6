"""Faults as one types them: ``throttle:operation=s3:*,count=3``, or as a JSON object."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.localcloud.fault import Fault


def _truth(text: str) -> bool:
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise ValueError("it must be true or false")


#: Type of a field, as the class writes it -> how its text is read.
_READERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "int | None": int,
    "float": float,
    "bool": _truth,
}


def fault_from_text(text: str) -> Fault:
    """The fault that ``kind:field=value,field=value`` or a JSON object stands for.

    Raises ValueError, which says what is wrong with the text. Values with a comma can only be written as JSON.
    """
    if text.lstrip().startswith("{"):
        try:
            return Fault.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(f"The fault {text} is not JSON: {error}.") from error
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {"kind": kind}
    types = {entry.name: str(entry.type) for entry in dataclasses.fields(Fault)}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} in the fault {text!r} is not of the form field=value.")
        if name not in types:
            return Fault.from_dict({**values, name: value})  # raises, naming the fields there are
        try:
            values[name] = _READERS[types[name]](value)
        except ValueError as error:
            raise ValueError(f"{name} in the fault {text!r} cannot be {value!r}: {error}.") from error
    return Fault.from_dict(values)


def fault_text(fault: Fault) -> str:
    """The text of a fault, for people."""
    fields = {name: value for name, value in fault.to_dict().items() if name != "kind"}
    return ":".join(filter(None, (fault.kind, ",".join(f"{name}={value}" for name, value in fields.items()))))
