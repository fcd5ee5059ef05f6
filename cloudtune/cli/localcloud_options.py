"""The settings of a local cloud as options of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloudtune.localcloud.settings import CloudSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SECONDS = click.FloatRange(min=0)

_OPTIONS = [
    click.option(
        "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port on 127.0.0.1. [default: a free one]"
    ),
    click.option("--region", default="us-east-1", show_default=True, metavar="NAME", help="The cloud's region."),
    click.option(
        "--time-scale",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Seconds of the cloud per real second: what takes AWS minutes passes in less.",
    ),
    click.option(
        "--start-delay",
        type=_SECONDS,
        default=0.0,
        show_default=True,
        help="Seconds of the cloud from the creation of a job to its start.",
    ),
    click.option(
        "--state-folder",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Keep S3, jobs, logs and roles there, and begin with what is there. [default: nothing is kept]",
    ),
    click.option(
        "--quota",
        "quotas",
        multiple=True,
        metavar="NAME=N",
        help="Instances allowed, as ml.g4dn.xlarge=2, or under the quota's full name. Can be repeated.",
    ),
    click.option(
        "--rate",
        "rates",
        multiple=True,
        metavar="OPERATION=N",
        help="Calls per second allowed, as sagemaker:CreateTrainingJob=1. Can be repeated.",
    ),
    click.option("--aws-rates", is_flag=True, help="Throttle calls at the rates that AWS is known for."),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="FAULT",
        help="A fault, as throttle:operation=s3:*,count=3, or as a JSON object. Can be repeated.",
    ),
    click.option(
        "--image",
        "images",
        multiple=True,
        metavar="PATTERN=PYTHON",
        help="Python interpreter or virtual environment for image URIs that match. Can be repeated. "
        "[default: this Python for all]",
    ),
    click.option(
        "--sandbox",
        type=click.Choice(["auto", "namespaces", "folders"]),
        default="auto",
        show_default=True,
        help="What shows a job its /opt/ml.",
    ),
]


def cloud_options(command: _Command) -> _Command:
    """Adds an option for each setting to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(
    quotas: Iterable[str],
    rates: Iterable[str],
    aws_rates: bool,
    faults: Iterable[str],
    images: Iterable[str],
    state_folder: Path | None,
    **plain: Any,
) -> CloudSettings:
    """The settings that the options stand for; raises click.UsageError."""
    from cloudtune.localcloud.fault_text import fault_from_text
    from cloudtune.localcloud.settings import AWS_RATES, CloudSettings

    try:
        return CloudSettings(
            quotas={_quota_name(name): int(value) for name, value in _pairs("--quota", quotas, int)},
            rates={
                **(AWS_RATES if aws_rates else {}),
                **{name: float(value) for name, value in _pairs("--rate", rates, float)},
            },
            faults=tuple(fault_from_text(text) for text in faults),
            images=dict(_pairs("--image", images, str)),
            state_folder=str(state_folder) if state_folder is not None else None,
            **plain,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _pairs(option: str, texts: Iterable[str], kind: type) -> Iterable[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            kind(value)
        except ValueError:
            equals = ""
        if not equals or not name or not value:
            wanted = "NAME=NUMBER" if kind is not str else "PATTERN=PATH"
            raise click.UsageError(f"{option} {text}: give it as {wanted}")
        yield name, value


def _quota_name(name: str) -> str:
    """AWS's name of a quota, of which the instance type alone will do."""
    return name if " " in name else f"{name} for training job usage"
