"""How the command ends when something goes wrong: one plain line, a true exit code, a traceback only if asked for."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import click

logger = logging.getLogger(__name__)

#: What a shell expects of a program that Ctrl-C has ended.
INTERRUPTED = 128 + signal.SIGINT

_DEBUG = "cloudtune.debug"
_EXPERIMENT = "cloudtune.experiment"
_Command = TypeVar("_Command", bound=Callable[..., Any])


class PlainErrorsGroup(click.Group):
    """A group of commands that shows what its commands raise as one line on standard error and exits with code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. With ``--debug`` errors pass through, so that Python shows the traceback."""
        return _plainly(ctx, super().invoke)


class PlainErrorsCommand(click.Command):
    """The same for a command that stands alone, as in a script. In a group it leaves errors to the group."""

    def invoke(self, ctx: click.Context) -> Any:
        """As :meth:`PlainErrorsGroup.invoke`."""
        return super().invoke(ctx) if ctx.parent is not None else _plainly(ctx, super().invoke)


def _plainly(ctx: click.Context, run: Callable[[click.Context], Any]) -> Any:
    try:
        return run(ctx)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        ctx.exit(INTERRUPTED)
    except Exception as error:
        if ctx.meta.get(_DEBUG):
            raise
        logger.debug("the command failed", exc_info=True)
        click.echo(f"Error: {one_line(error, ctx.meta.get(_EXPERIMENT))}", err=True)
        ctx.exit(1)


def drives(experiment: str) -> None:
    """Notes which experiment the command at work drives, for what it may have to say."""
    click.get_current_context().meta[_EXPERIMENT] = experiment


def one_line(error: Exception, experiment: str | None = None) -> str:
    """What an error says, in one line and in the words of the command line.

    Errors that cloudtune raises on purpose say all there is to say; others are named, with the way to learn more.

    Args:
        error: The error.
        experiment: Name of the experiment that the command drives, if it drives one.
    """
    from cloudtune.cli.wording import in_options
    from cloudtune.errors import CloudtuneError

    text = in_options(" ".join(str(error).split()), experiment)
    if isinstance(error, CloudtuneError | ValueError):
        return text
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else text
    return f"{type(error).__name__}: {text}; run the command again with --debug to see where it comes from"


def debug_option(command: _Command) -> _Command:
    """Adds ``--debug`` to a command."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's signature
        ctx.meta[_DEBUG] = value

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=remember,
        is_eager=True,
        help="Show the traceback of errors.",
    )(command)
