"""The local cloud of a command that launches studies: one that is up, or one for the time of the command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from cloudtune.localcloud.cloud import LocalCloud
    from cloudtune.studies.options import StudyRequest

_ENDPOINT = "AWS_ENDPOINT_URL"
#: Of our own pace of calls, which is for AWS.
_UNPACED = {"CLOUDTUNE_AWS_RATES": "*=inf"}


@dataclass(frozen=True)
class StudyCloud:
    """Where a command works.

    Args:
        costs: It is AWS, as far as can be told: what is launched costs money.
        ends_with_command: It is a local cloud that was begun for this command: what is not fetched is lost.
    """

    costs: bool
    ends_with_command: bool = False


@contextmanager
def study_cloud(request: StudyRequest, tell: Callable[[str], object]) -> Iterator[StudyCloud]:
    """Has this process's AWS clients use the local cloud, if the request says so, until the block ends.

    In a local cloud, also where only the environment names it, the bucket for the experiments is made.

    Args:
        request: Of the command.
        tell: Is told what begins and ends.

    Raises:
        click.ClickException: There is no local cloud to be had.
    """
    endpoint = os.environ.get(_ENDPOINT)
    if not request.launch.local_cloud:
        if endpoint and is_on_this_machine(endpoint) and _is_local_cloud(endpoint):
            _make_bucket(request)
        yield StudyCloud(costs=not is_on_this_machine(endpoint))
        return
    if endpoint and not is_on_this_machine(endpoint):
        raise click.UsageError(
            f"{_ENDPOINT} names {endpoint}, which is not on this machine; unset it, or leave out --local_cloud"
        )
    if not endpoint and request.launch.wait is False:
        raise click.UsageError(
            "the local cloud that --local_cloud begins ends with this command, which therefore waits; leave out "
            "--wait 0, or begin one that stays with `cloudtune localcloud up`"
        )
    with ExitStack() as stack:
        if endpoint:
            cloud = _attached(endpoint)
        else:
            cloud = stack.enter_context(_own(request.account.region))
            tell("a local cloud runs until this command ends; nothing of it costs")
            stack.enter_context(_variables(_UNPACED))
        stack.enter_context(cloud.activate())
        _make_bucket(request)
        yield StudyCloud(costs=False, ends_with_command=not endpoint)


def _attached(endpoint: str) -> LocalCloud:
    from cloudtune.localcloud.cloud import LocalCloud
    from cloudtune.localcloud.control_client import CloudUnreachable

    try:
        return LocalCloud.attach(endpoint)
    except (CloudUnreachable, ValueError) as error:
        raise click.ClickException(
            f"no local cloud answers at {endpoint}, which {_ENDPOINT} names; begin one with `cloudtune localcloud up`, "
            f"or unset {_ENDPOINT}"
        ) from error


def _is_local_cloud(endpoint: str) -> bool:
    from cloudtune.localcloud.control_client import CloudUnreachable, ControlClient

    try:
        return bool(ControlClient(endpoint).status())
    except (CloudUnreachable, ValueError):  # something else that speaks for AWS
        return False


@contextmanager
def _own(region: str | None) -> Iterator[LocalCloud]:
    from cloudtune.localcloud.cloud import LocalCloud
    from cloudtune.localcloud.server_process import CloudStartFailed

    cloud = LocalCloud() if region is None else LocalCloud(region=region)
    try:
        cloud.start()
    except CloudStartFailed as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    with cloud:
        yield cloud


def _make_bucket(request: StudyRequest) -> None:
    from cloudtune.aws.buckets import find_bucket
    from cloudtune.aws.clients import aws_for
    from cloudtune.constants import ENV_S3_PATH

    account = request.account
    find_bucket(aws_for(account.region), account.s3_path or os.environ.get(ENV_S3_PATH), create=True)


@contextmanager
def _variables(variables: dict[str, str]) -> Iterator[None]:
    """Has those variables in the environment that are not there, until the block ends."""
    missing = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in missing})
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def is_on_this_machine(endpoint: str | None) -> bool:
    """Whether an address is of this machine's loopback interface."""
    host = urlsplit(endpoint or "").hostname
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
