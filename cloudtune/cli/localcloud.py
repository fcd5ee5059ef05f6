"""``cloudtune localcloud``: AWS on this machine, from the command line."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import PlainErrorsGroup, debug_option
from cloudtune.cli.localcloud_display import job_display, summary
from cloudtune.cli.localcloud_options import cloud_options, settings_of
from cloudtune.cli.localcloud_queries import (
    calls_command,
    control_of,
    endpoint_option,
    fault_group,
    interrupt_command,
    jobs_command,
    status_command,
    stop_command,
)

if TYPE_CHECKING:
    from cloudtune.localcloud.cloud import LocalCloud

#: Real seconds between two looks at the jobs.
_LOOK_INTERVAL = 0.5
#: Real seconds that ``down`` waits for a cloud's end.
_DOWN_TIMEOUT = 60.0


class CannotStart(click.ClickException):
    """The cloud could not be started."""

    exit_code = 2


@click.group("localcloud", cls=PlainErrorsGroup)
def localcloud_group() -> None:
    """AWS on this machine: SageMaker jobs that really run, S3, CloudWatch, IAM, and faults to order.

    \b
    Example:
      cloudtune localcloud run -- python launch_remote.py
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph


@localcloud_group.command("up")
@cloud_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the export lines.")
@debug_option
def up_command(as_json: bool, **options: Any) -> None:
    """Starts a local cloud, prints the environment to export, and shows its jobs until Ctrl-C.

    The environment goes to standard output, the jobs to standard error.

    \b
    Example:
      cloudtune localcloud up --port 5000 --aws-rates --quota ml.g4dn.xlarge=2
    """  # noqa: D301 - see localcloud_group
    with _started(options) as cloud, _ended_by_sigterm():
        if as_json:
            whole = {"endpoint": cloud.endpoint, "pid": cloud.pid, "id": cloud.id, "environment": cloud.environment()}
            click.echo(json.dumps(whole))
        else:
            for name, value in cloud.environment().items():
                click.echo(f"export {name}={shlex.quote(value)}")
        sys.stdout.flush()
        try:
            code = _show_jobs(cloud)
        except KeyboardInterrupt:
            code = None
            click.echo(f"taking the local cloud down: {_told_jobs(cloud)}", err=True)
        if code:
            raise click.ClickException(f"the local cloud broke down (exit code {code}): {_last_line(cloud)}")


@localcloud_group.command("run", context_settings={"allow_interspersed_args": False})
@cloud_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@debug_option
def run_command(command: tuple[str, ...], **options: Any) -> None:
    """Runs COMMAND with a local cloud, which is taken down at its end.

    The exit code is that of COMMAND.

    \b
    Example:
      cloudtune localcloud run --time-scale 100 -- python launch_remote.py
    """  # noqa: D301 - see localcloud_group
    from cloudtune.localcloud.environment import misleading_variables

    with _started(options) as cloud:
        absent = misleading_variables()
        environment = {name: value for name, value in os.environ.items() if name not in absent}
        code = _run(list(command), {**environment, **cloud.environment()})
        if cloud.is_up:
            click.echo(f"taking the local cloud down: {_told_jobs(cloud)}", err=True)
        else:
            click.echo(f"the local cloud broke down: {_last_line(cloud)}", err=True)
    click.get_current_context().exit(code)


@localcloud_group.command("down")
@endpoint_option
@debug_option
def down_command(endpoint: str | None) -> None:
    """Takes a local cloud down: kills its jobs, saves its state if it is kept, and waits for its end.

    \b
    Example:
      cloudtune localcloud down --endpoint http://127.0.0.1:5000
    """  # noqa: D301 - see localcloud_group
    from cloudtune.localcloud.control_client import CloudUnreachable

    control = control_of(endpoint)
    pid = control.status()["pid"]
    try:
        control.shut_down()
    except CloudUnreachable:  # it was ending already
        pass
    until = time.monotonic() + _DOWN_TIMEOUT
    while _lives(pid):
        if time.monotonic() >= until:
            raise click.ClickException(f"the local cloud (process {pid}) has not ended within {_DOWN_TIMEOUT:g} s")
        select.select([], [], [], 0.05)


@contextmanager
def _started(options: dict[str, Any]) -> Iterator[LocalCloud]:
    settings = settings_of(**options)

    from cloudtune.localcloud.cloud import LocalCloud
    from cloudtune.localcloud.server_process import CloudStartFailed

    cloud = LocalCloud(settings)
    try:
        try:
            cloud.start()
        except CloudStartFailed as error:
            raise CannotStart(" ".join(str(error).split())) from error
        yield cloud
    finally:
        cloud.close()


def _show_jobs(cloud: LocalCloud) -> int | None:
    """Until the server has ended by itself, or Ctrl-C; the server's exit code."""
    from cloudtune.localcloud.control_client import CloudUnreachable

    with job_display() as display:
        while (code := cloud.wait(_LOOK_INTERVAL)) is None:
            try:
                display.show(cloud.jobs())
            except CloudUnreachable:  # it is ending
                continue
    return code


def _told_jobs(cloud: LocalCloud) -> str:
    from cloudtune.localcloud.control_client import CloudUnreachable

    try:
        return summary(cloud.jobs())
    except CloudUnreachable as error:
        return str(error).splitlines()[0]


def _last_line(cloud: LocalCloud) -> str:
    lines = cloud.log.read_text(errors="replace").split("\n") if cloud.log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, or the terminal's end, ends the command like Ctrl-C, so that nothing is left behind."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in _ending_signals()]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The exit code of a command, as a shell has it. Signals that we get are the command's to handle."""
    process: subprocess.Popen[bytes] | None = None
    pending: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if process is None:
            pending.append(number)
        elif not (number == signal.SIGINT and _in_foreground()):  # there the terminal has told the command itself
            process.send_signal(number)

    before = [(number, signal.signal(number, pass_on)) for number in _ending_signals()]
    try:
        try:
            process = subprocess.Popen(command, env=environment)
        except FileNotFoundError:
            click.echo(f"Error: there is no command {command[0]}", err=True)
            return 127
        except OSError as error:
            click.echo(f"Error: {command[0]} cannot be run: {error.strerror}", err=True)
            return 126
        for number in pending:
            process.send_signal(number)
        code = process.wait()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _ending_signals() -> list[signal.Signals]:
    """What ends a program from outside. A hangup does not under nohup, which has it ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    return numbers if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*numbers, signal.SIGHUP]


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # standard input is no terminal, or closed
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Ended, and only not yet noticed by the process that started it.
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # no Linux, or gone just now
        return True


for _command in (
    status_command,
    jobs_command,
    stop_command,
    interrupt_command,
    calls_command,
    fault_group,
):
    localcloud_group.add_command(_command)
