"""Hyperparameters for jobs whose image starts the script in its own way: AWS's toolkit, SDK v3's launcher, others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.job_template import HyperparameterForm

#: What launchers read for themselves; no trial's configuration may set it.
RESERVED_PREFIX = "sagemaker_"
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def encoded(config: Mapping[str, Any], form: HyperparameterForm) -> dict[str, str]:
    """A configuration as hyperparameters, which are strings; what is None is left out.

    Raises:
        InvalidRequest: A name or value that the image's launcher cannot take.
    """
    found = {name: _encoded(value, form) for name, value in config.items() if value is not None}
    for name, value in found.items():
        if name.startswith(RESERVED_PREFIX):
            raise _refused(f"the hyperparameter {name!r} begins with {RESERVED_PREFIX!r}, as AWS's own do; rename it")
        if form == "json_but_strings":
            _check_for_shell(name, value)
    return found


def _encoded(value: Any, form: HyperparameterForm) -> str:
    if isinstance(value, str) and form != "json":
        return value
    if form == "text" and not isinstance(value, (list, tuple, dict)):
        return str(value)
    return json.dumps(value)


def _check_for_shell(name: str, value: str) -> None:
    """The launcher of SDK v3 writes ``export SM_HP_<NAME>='<value>'`` into a file that bash reads."""
    if not _SHELL_NAME.fullmatch(name):
        raise _refused(
            f"the hyperparameter {name!r} breaks the launcher of the SageMaker SDK v3, which makes a shell variable of "
            "its name; name it with letters, digits and underscores"
        )
    if "'" in value:
        raise _refused(
            f"the value of the hyperparameter {name!r} holds a single quote, which breaks the launcher of the "
            "SageMaker SDK v3; take it out, or drop keep_own_entry"
        )


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, "ValidationException", "sagemaker:CreateTrainingJob")
