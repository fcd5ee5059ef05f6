"""What a container's first process does between fork and exec."""

from __future__ import annotations

import errno
import os
import signal

TYPE_CHECKING = False  # importing typing would make the spawner larger, and every fork of it dearer
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class NotRunnable(Exception):
    """The command cannot run; the message says why."""


def become_container(
    request: dict[str, Any], output: int, prepare: Callable[[dict[str, Any]], None], tell: Callable[[str, str], None]
) -> NoReturn:
    """Turns this process, a fork of the spawner, into the container's first process.

    Args:
        request: Of the container: ``command``, ``environment``, ``cwd``, and what ``prepare`` needs.
        output: Descriptor that becomes stdout and stderr.
        prepare: Makes the container's view of the machine; a failure's message is told.
        tell: Told whose fault it was (``command`` or ``sandbox``) and the message, if the command does not run.
    """
    try:
        _restore_signals()
        os.setsid()
        prepare(request)
        os.umask(0o022)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for fd, wanted in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(fd, wanted)  # all other descriptors close at exec
        if nothing > 2:
            os.close(nothing)
        _enter(request["cwd"])
        _execute(request["command"], request["environment"])
    except NotRunnable as error:
        tell("command", str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, the server is told, and this process ends here
        tell("sandbox", str(error))
    os._exit(127)


def _restore_signals() -> None:
    """All signals mean what they mean by default, also those that the server had ignored or blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise NotRunnable(f"The working directory {folder!r} cannot be entered: {reason}.") from error


def _execute(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Replaces this process by the command, looked up as execvpe(3) does, but in the PATH of ``environment``."""
    program = command[0]
    path = environment.get("PATH", os.defpath)
    found = [program] if "/" in program else [f"{folder or '.'}/{program}" for folder in path.split(":")]
    denied = None
    for candidate in found:
        try:
            os.execve(candidate, command, environment)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.isfile(candidate):
                raise NotRunnable(
                    f"The program {candidate!r} needs an interpreter that is not there: see its first line."
                ) from None
        except PermissionError as error:
            reason = "it is a folder" if os.path.isdir(candidate) else error.strerror
            denied = denied or f"The program {candidate!r} may not be executed: {reason}."
        except OSError as error:
            raise NotRunnable(_unusual(error, candidate)) from error
        except ValueError as error:  # NUL in an argument, "=" in a name
            raise NotRunnable(f"Command or environment cannot be passed on: {error}.") from error
    where = "" if "/" in program else f" in the container's PATH ({path})"
    raise NotRunnable(denied or f"The program {program!r} was not found{where}.")


def _unusual(error: OSError, program: str) -> str:
    if error.errno == errno.ENOEXEC:
        return f"The program {program!r} is nothing that this machine can run; a script needs a line such as #!/bin/sh."
    if error.errno == errno.E2BIG:
        return "Command and environment together are longer than this system allows."
    return f"The program {program!r} cannot be executed: {error.strerror}."
