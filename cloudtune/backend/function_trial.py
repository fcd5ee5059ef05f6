"""Trials that are calls of a function: each in a fork of the supervisor, which is small and has a single thread.

Imported by the supervisor, so it imports as little as it can. The function is unpacked in the fork, so that what it
imports is never part of the supervisor.
"""

from __future__ import annotations

import _pickle
import _signal  # type: ignore[import-not-found]
import atexit
import json
import os
import sys

import cloudtune
from cloudtune.backend import (
    child_processes,
    function_loader,
    trial_files,
)

TYPE_CHECKING = False  # importing typing would make every fork dearer
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, NoReturn

cloudtune.Reporter  # noqa: B018 - imports it: nearly every function does, and here it is done once for all

# What a fork executes it must first copy, page by page: so it calls the C half of signal, which needs no enums, and all
# that can be done before the fork is done there.
_HELD = (_signal.SIGTERM, _signal.SIGCHLD)
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class FunctionTrials:
    """Makes processes that call a function.

    Args:
        function: The function, packed.
        by_dill: Whether dill is needed to unpack it.
        reuse: Whether a process runs one trial after another.
    """

    def __init__(self, function: bytes, by_dill: bool, reuse: bool) -> None:
        self.reuse = reuse
        self._function = function
        self._by_dill = by_dill
        self._environment_area = _find_placeholders()
        self._memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC) if self._environment_area else -1
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._set: Mapping[str, str] = {}
        if by_dill:
            import dill  # noqa: F401 - takes fifty times as long as the fork: once for all forks

    def fork(self, work: Mapping[str, Any], unwanted_fds: Iterable[int]) -> int:
        """Starts a process that runs one trial. Returns its process id.

        Raises:
            OSError: The trial's output files cannot be opened, or there are too many processes.
        """
        outputs = self._open_outputs(work["outputs"])
        try:
            self._set_environment(work["environment"])
            self._overwrite(self._memory, work["environment"])
            pid = _fork()
            if pid == 0:
                self._in_fork((*unwanted_fds, self._memory), lambda: self._run_one(work, outputs))
        finally:
            for fd in outputs:
                os.close(fd)
        return pid

    def fork_worker(self, unwanted_fds: Iterable[int]) -> tuple[int, int, int]:
        """Starts a process that runs trials it is handed: its process id, the pipe to it, and the one from it.

        Raises:
            OSError: There are too many processes or open files.
        """
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            pid = _fork()
        except OSError:
            for fd in pipes:
                os.close(fd)
            raise
        jobs, to_worker, from_worker, results = pipes
        if pid == 0:
            unwanted = (*unwanted_fds, to_worker, from_worker, self._memory)
            self._in_fork(unwanted, lambda: self._run_many(jobs, results))
        os.close(jobs)
        os.close(results)
        os.set_blocking(from_worker, False)
        return pid, to_worker, from_worker

    def hand_over(self, to_worker: int, work: Mapping[str, Any]) -> None:
        """Gives an idle worker a trial.

        Raises:
            BrokenPipeError: The worker has died.
        """
        view = memoryview(json.dumps(work).encode() + b"\n")
        while view:
            view = view[os.write(to_worker, view) :]

    def _in_fork(self, unwanted_fds: Iterable[int], run: Any) -> NoReturn:
        code = 1
        try:
            os.dup2(self._null, 0)
            _leave_supervisor((*unwanted_fds, self._null))
            code = run()
        except BaseException as error:  # noqa: BLE001 - it must not climb up into the supervisor's loop
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(code)

    def _run_one(self, work: Mapping[str, Any], outputs: tuple[int, int]) -> int:
        self._redirect(outputs)
        return _end_interpreter(self._call(work["config"]))

    def _run_many(self, jobs: int, results: int) -> int:
        with open(jobs, "rb") as lines:
            for line in lines:
                work = json.loads(line)
                self._redirect(self._open_outputs(work["outputs"]))
                self._set_environment(work["environment"])
                if self._environment_area:
                    memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
                    self._overwrite(memory, work["environment"])
                    os.close(memory)
                code = _flush(self._call(work["config"]))
                os.write(results, b"%d\n" % code)
        return _end_interpreter(0)

    def _open_outputs(self, paths: Iterable[str]) -> tuple[int, int]:
        stdout, stderr = paths
        first = os.open(stdout, _APPEND, 0o666)
        try:
            return first, os.open(stderr, _APPEND, 0o666)
        except OSError:
            os.close(first)
            raise

    def _redirect(self, outputs: tuple[int, int]) -> None:
        for target, fd in enumerate(outputs, 1):
            os.dup2(fd, target)
            os.close(fd)

    def _set_environment(self, variables: Mapping[str, str]) -> None:
        for name in self._set:
            if name not in variables:
                del os.environ[name]
        os.environ.update(variables)
        self._set = variables

    def _overwrite(self, memory: int, variables: Mapping[str, str]) -> None:
        """Writes the trial into this process's memory where /proc/<pid>/environ shows it; a fork inherits it."""
        for name, (address, length) in self._environment_area.items():
            os.pwrite(memory, variables[name].encode().ljust(length, b"\0")[:length], address)

    def _call(self, config: Mapping[str, Any]) -> int:
        """Calls the function; the exit code that a script would have ended with."""
        try:
            function_loader.new_main()
            if self._by_dill:
                import dill

                function = dill.loads(self._function)
            else:
                function = _pickle.loads(self._function)
            function(**_arguments(config))
        except SystemExit as ended:
            return _exit_code(ended.code)
        except BaseException as error:  # noqa: BLE001 - as the interpreter does at the end of a script
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
            sys.excepthook(type(error), error, error.__traceback__)
            return 1
        return 0


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as the tuner sent it: as it is, or pickled where JSON would change it."""
    if "pickled" in config:
        arguments: dict[str, Any] = _pickle.loads(bytes.fromhex(config["pickled"]))
        return arguments
    return dict(config["plain"])


def _fork() -> int:
    """Forks, with the supervisor's signals held in the child until it has left the supervisor."""
    pid = -1
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _HELD)
    try:
        pid = os.fork()
    finally:
        if pid:  # not in the child; in the supervisor even if there are too many processes
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _HELD)
    return pid


def _leave_supervisor(unwanted_fds: Iterable[int]) -> None:
    """Makes a fork a process of its own: session, signals, descriptors."""
    os.setsid()
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGTERM, _signal.SIGCHLD, _signal.SIGHUP):  # those that the supervisor has changed
        _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _HELD)
    for fd in unwanted_fds:
        if fd >= 0:
            os.close(fd)


def _end_interpreter(code: int) -> int:
    """Does what the interpreter does after a script: waits for threads, runs atexit functions, flushes."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    return _flush(code)


def _flush(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # full disk, closed, None; 120 is what the interpreter says
            code = code or 120
    return code


def _exit_code(code: object) -> int:
    """What ``raise SystemExit(code)`` means, as the interpreter has it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _find_placeholders() -> dict[str, tuple[int, int]]:
    """Address and length, in this process's memory, of the placeholders' values; empty where they cannot be found.

    /proc/<pid>/environ shows this memory. A fork writes its own trial there, so that its processes can be told apart.
    """
    if not child_processes.HAS_PROC:
        return {}
    with open("/proc/self/stat", "rb") as file:
        begin = int(file.read().rpartition(b")")[2].split()[47])  # env_start, see proc_pid_stat(5)
    with open("/proc/self/environ", "rb") as file:
        area = file.read()
    found = {}
    for name, value in trial_files.PLACEHOLDERS.items():
        at = (b"\0" + area).find(f"\0{name}={value}\0".encode())
        if begin and at >= 0:
            found[name] = (begin + at + len(name) + 1, len(value))
    return found
