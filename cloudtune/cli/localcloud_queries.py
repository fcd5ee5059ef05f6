"""The commands of ``cloudtune localcloud`` that ask a cloud which is up, or change it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.localcloud_display import HEADER, cells, text_table

if TYPE_CHECKING:
    from cloudtune.localcloud.control_client import ControlClient

_Command = TypeVar("_Command", bound=Callable[..., Any])


def endpoint_option(command: _Command) -> _Command:
    """Adds ``--endpoint`` to a command."""
    return click.option(
        "--endpoint",
        envvar="AWS_ENDPOINT_URL",
        metavar="URL",
        help="Of the local cloud. [default: what AWS_ENDPOINT_URL says]",
    )(command)


def json_option(command: _Command) -> _Command:
    """Adds ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def control_of(endpoint: str | None) -> ControlClient:
    """Speaks to the cloud that the command is about."""
    from cloudtune.localcloud.control_client import ControlClient

    if not endpoint:
        raise click.UsageError(
            "which local cloud? give --endpoint http://127.0.0.1:PORT, or set AWS_ENDPOINT_URL as `up` prints it"
        )
    return ControlClient(endpoint)


@click.command("status")
@endpoint_option
@json_option
@debug_option
def status_command(endpoint: str | None, as_json: bool) -> None:
    """Tells which local cloud answers, and how many jobs it has.

    \b
    Example:
      cloudtune localcloud status --endpoint http://127.0.0.1:5000
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    status = control_of(endpoint).status()
    if as_json:
        click.echo(json.dumps(status))
        return
    jobs = ", ".join(f"{count} {name}" for name, count in sorted(status["jobs"].items())) or "none"
    for name, value in (
        ("endpoint", status["endpoint"]),
        ("id", status["id"]),
        ("process", status["pid"]),
        ("up for", f"{status['uptime']:.0f} s"),
        ("jobs", jobs),
        ("state kept in", status["state_folder"] or "nothing is kept"),
    ):
        click.echo(f"{name:<14}{value}")


@click.command("jobs")
@endpoint_option
@json_option
@debug_option
def jobs_command(endpoint: str | None, as_json: bool) -> None:
    """Lists the training jobs of a local cloud, oldest first.

    \b
    Example:
      cloudtune localcloud jobs --json
    """  # noqa: D301 - see status_command
    jobs = control_of(endpoint).jobs()
    if as_json:
        click.echo(json.dumps(jobs))
        return
    for line in text_table(HEADER, map(cells, jobs)):
        click.echo(line)


@click.command("stop")
@click.argument("job")
@endpoint_option
@debug_option
def stop_command(job: str, endpoint: str | None) -> None:
    """Stops the training job JOB, as somebody at the console would.

    \b
    Example:
      cloudtune localcloud stop train-1
    """  # noqa: D301 - see status_command
    control_of(endpoint).stop_job(job)


@click.command("interrupt")
@click.argument("job")
@click.option("--no-notice", is_flag=True, help="Kill the container at once, without SIGTERM before.")
@endpoint_option
@debug_option
def interrupt_command(job: str, no_notice: bool, endpoint: str | None) -> None:
    """Takes the instance of the spot job JOB away; it goes on as a new run.

    \b
    Example:
      cloudtune localcloud interrupt train-1 --no-notice
    """  # noqa: D301 - see status_command
    control_of(endpoint).interrupt_job(job, notice=not no_notice)


@click.command("calls")
@click.option("--operation", default="*", metavar="GLOB", help="As sagemaker:Create*, s3:PutObject.")
@click.option("--who", default="*", metavar="GLOB", help="As client, job:train-*.")
@click.option("--job", default="*", metavar="GLOB", help="Training job that the call names.")
@click.option("--since", default=0.0, metavar="TIME", help="Seconds since 1970, in the time of the cloud.")
@click.option("--counts", is_flag=True, help="Only tell how often each operation was called.")
@endpoint_option
@json_option
@debug_option
def calls_command(
    operation: str, who: str, job: str, since: float, counts: bool, endpoint: str | None, as_json: bool
) -> None:
    """Lists the API calls that a local cloud has had, oldest first.

    \b
    Example:
      cloudtune localcloud calls --operation 'sagemaker:*' --who client
    """  # noqa: D301 - see status_command
    control = control_of(endpoint)
    if counts:
        counted = control.call_counts()
        if as_json:
            click.echo(json.dumps(counted))
            return
        for name, count in sorted(counted.items()):
            click.echo(f"{count:>8}  {name}")
        return
    calls = control.calls(operation, who, job, since)
    if as_json:
        click.echo(json.dumps(calls))
        return
    rows = [
        (
            f"{datetime.fromtimestamp(call['at'], tz=timezone.utc):%H:%M:%S.%f}"[:-3],
            f"{call['service']}:{call['operation']}",
            call["who"],
            str(call["status"]),
            call["error"],
            call["fault"],
            call["resource"] or call["job"],
        )
        for call in calls
    ]
    for line in text_table(("at (UTC)", "operation", "who", "status", "error", "fault", "resource"), rows):
        click.echo(line)


@click.group("fault")
def fault_group() -> None:
    """Orders faults of a local cloud, and ends them."""


@fault_group.command("add")
@click.argument("fault")
@endpoint_option
@json_option
@debug_option
def fault_add_command(fault: str, endpoint: str | None, as_json: bool) -> None:
    """Puts FAULT in force and prints its number.

    FAULT is KIND:FIELD=VALUE,FIELD=VALUE or a JSON object; `fault kinds` lists kinds and fields.

    \b
    Example:
      cloudtune localcloud fault add throttle:operation=sagemaker:CreateTrainingJob,count=3
      cloudtune localcloud fault add '{"kind": "spot_interruption", "job": "train-*", "seconds": 5}'
    """  # noqa: D301 - see status_command
    from cloudtune.localcloud.fault_text import fault_from_text

    number = control_of(endpoint).add_fault(fault_from_text(fault))
    click.echo(json.dumps({"id": number}) if as_json else str(number))


@fault_group.command("list")
@endpoint_option
@json_option
@debug_option
def fault_list_command(endpoint: str | None, as_json: bool) -> None:
    """Lists the faults in force.

    \b
    Example:
      cloudtune localcloud fault list --json
    """  # noqa: D301 - see status_command
    from cloudtune.localcloud.fault_text import fault_text

    faults = control_of(endpoint).faults()
    if as_json:
        click.echo(json.dumps([{"id": number, **fault.to_dict()} for number, fault in faults.items()]))
        return
    for number, fault in faults.items():
        click.echo(f"{number:>4}  {fault_text(fault)}")


@fault_group.command("remove")
@click.argument("number", type=int)
@endpoint_option
@debug_option
def fault_remove_command(number: int, endpoint: str | None) -> None:
    """Ends the fault NUMBER.

    \b
    Example:
      cloudtune localcloud fault remove 1
    """  # noqa: D301 - see status_command
    control_of(endpoint).remove_fault(number)


@fault_group.command("clear")
@endpoint_option
@debug_option
def fault_clear_command(endpoint: str | None) -> None:
    """Ends all faults.

    \b
    Example:
      cloudtune localcloud fault clear
    """  # noqa: D301 - see status_command
    control_of(endpoint).clear_faults()


@fault_group.command("kinds")
@json_option
@debug_option
def fault_kinds_command(as_json: bool) -> None:
    """Lists the kinds of faults, and the fields that each can have.

    \b
    Example:
      cloudtune localcloud fault kinds
    """  # noqa: D301 - see status_command
    from cloudtune.localcloud.fault import KINDS, Fault

    fields = [entry.name for entry in dataclasses.fields(Fault) if entry.name != "kind"]
    if as_json:
        click.echo(json.dumps({"kinds": dict(KINDS), "fields": fields}))
        return
    for kind, meaning in KINDS.items():
        click.echo(f"{kind:<20}{meaning}")
    click.echo(f"fields: {', '.join(fields)}")
