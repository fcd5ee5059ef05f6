"""Configurations and config spaces in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.config_space_json import config_space_from_json
from cloudtune.errors import CloudtuneError
from cloudtune.status_table import format_value, printable

#: Characters of a configuration.
_LONGEST = 600


def config_text(config: Mapping[str, Any]) -> str:
    """``lr=0.1, width=32``, cut where it is endless."""
    text = ", ".join(f"{printable(str(name))}={format_value(value)}" for name, value in config.items())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def domains(form: Any) -> dict[str, str]:
    """What a config space lets each hyperparameter be: ``loguniform(0.001, 1.0)``.

    Args:
        form: As metadata have it; what this version cannot read is shown as it stands there.
    """
    if not isinstance(form, Mapping):
        return {}
    return {str(name): _domain(name, value) for name, value in form.items()}


def _domain(name: Any, value: Any) -> str:
    try:
        return format_value(config_space_from_json({str(name): value})[str(name)])
    except (CloudtuneError, ValueError, TypeError):
        return format_value(value)
