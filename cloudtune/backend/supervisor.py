"""The process that local trials are children of: starts them, waits for them, ends them, and dies with the tuner.

One supervisor works for one open backend. It reads requests (JSON lines) from its standard input and writes messages
(JSON lines) to its standard output; both are pipes to the tuner. It sleeps in one ``poll`` until a request comes, a
child ends, a grace period is over, or the tuner dies, and uses no threads. What it never does:

 - wait for the tuner: its outgoing side is buffered, so that the two cannot block each other;
 - outlive the tuner: the end of its input, or of the tuner's process, ends all trials and then itself;
 - leave a process behind: on Linux it is a "child subreaper" (prctl(2)), so that a process which a trial has orphaned,
   however far it has moved away, becomes a child of the supervisor and is found.

How an attempt ended is written to its end file before the tuner is told; a tuner that comes later can read it there.

Trials may be forks of this process, so it imports as little as it can: a fork costs what its memory costs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from cloudtune.backend import child_processes, trial_files
from cloudtune.backend.jobs import Job, Process, record_end
from cloudtune.constants import ENV_ATTEMPT, ENV_REPORT_FILE, ENV_TRIAL

TYPE_CHECKING = False  # importing typing would make every fork dearer
if TYPE_CHECKING:
    from typing import Any

    from cloudtune.backend.function_trial import FunctionTrials

# File descriptors, as the tuner arranges them.
REQUESTS = 0
MESSAGES = 1
LOCK = 3

#: Seconds between SIGTERM and SIGKILL when the tuner has died: nobody is there who could ask for more.
GRACE_WITHOUT_TUNER = 2.0

#: A process that runs several trials is replaced after so many: what they leave open or allocated adds up.
MAX_JOBS = 200


class Supervisor:
    """The supervisor's state and its loop.

    Args:
        trials: Folder that holds the trials' folders.
        grace: Seconds between SIGTERM and SIGKILL.
        tuner: Process id of the tuner.
        functions: Makes processes that call a function. Trials are scripts if it is None.
    """

    def __init__(self, trials: str, grace: float, tuner: int, functions: FunctionTrials | None) -> None:
        self._trials = trials
        self._grace = grace
        self._functions = functions
        self._environment = dict(os.environ)
        self._processes: dict[int, Process] = {}  # by process id
        self._running: dict[int, Process] = {}  # by trial
        self._by_results: dict[int, Process] = {}  # by file descriptor
        self._idle: list[Process] = []
        self._ending: set[Process] = set()  # those with a time to be killed at
        self._beyond_reach: set[int] = set()  # children that may not be killed: another user's by now
        self._told_to_end = False
        self._closing = False
        self._childless = True
        self._tuner_gone = False
        self._requests = b""
        self._outgoing = bytearray()
        self._unhurried = bytearray()
        self._poll = select.poll()
        self._woken, wakes = os.pipe()
        for fd in (self._woken, wakes, REQUESTS, MESSAGES):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only a signal that has a handler writes to the wakeup fd
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._poll.register(REQUESTS, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        self._own_fds = {self._woken, wakes, LOCK}
        self._tuner_fd = child_processes.watch(tuner)
        if self._tuner_fd is not None:
            self._poll.register(self._tuner_fd, select.POLLIN)
            self._own_fds.add(self._tuner_fd)
        if os.getppid() != tuner:
            self._tuner_died()

    def _on_sigterm(self, *_: object) -> None:
        """The machine shuts down, or another tuner has taken the experiment over. Acted on in the loop."""
        self._told_to_end = True

    def run(self) -> None:
        """Works until the tuner closes or dies, and every child has ended."""
        while True:
            self._write()
            if self._closing and not self._any_child():
                self._write()
                return
            for fd, event in self._poll.poll(self._milliseconds()):
                if fd == self._woken:
                    os.read(fd, 4096)
                elif fd == REQUESTS:
                    self._read_requests()
                elif fd == self._tuner_fd or (fd == MESSAGES and event & select.POLLERR):
                    self._tuner_died()
                elif fd in self._by_results:
                    self._read_result(self._by_results[fd])
            if self._told_to_end and not self._closing:
                self._shut_down(self._grace)
            self._reap()
            self._kill_overdue()

    # What comes from the tuner

    def _read_requests(self) -> None:
        data = os.read(REQUESTS, 1 << 16)
        if not data:
            self._tuner_died()
            return
        *lines, self._requests = (self._requests + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            op = request["op"]
            if op == "start":
                self._start(request)
            elif op == "close":
                self._shut_down(self._grace)
            else:
                self._end(request["trial"], op)

    def _start(self, request: dict[str, Any]) -> None:
        trial, attempt = request["trial"], request["attempt"]
        folder = trial_files.trial_folder(self._trials, trial)
        outputs = (f"{folder}/{trial_files.STDOUT}", f"{folder}/{trial_files.STDERR}")
        job = Job(trial, attempt, [_size(path) if attempt else 0 for path in outputs])
        if self._closing:
            job.sent = "interrupt"
            self._ended(job, None, None)
            return
        environment = {
            **request["environment"],
            ENV_TRIAL: str(trial),
            ENV_ATTEMPT: str(attempt),
            ENV_REPORT_FILE: trial_files.report_file(self._trials, trial, attempt),
        }
        try:
            if self._functions is None:
                merged = {**self._environment, **environment}
                process = Process(child_processes.spawn(request["argv"], merged, *outputs))
            else:
                work = {"outputs": outputs, "environment": environment, "config": request["config"]}
                process = self._start_function(self._functions, work)
        except (OSError, ValueError) as error:  # too long a command line, too many processes, a NUL in a value
            self._ended(job, None, None, error=f"{error}")
            return
        process.job = job
        self._childless = False
        self._processes[process.pid] = process
        self._running[trial] = process
        message = {"m": "started", "trial": trial, "attempt": attempt, "pid": process.pid, "at": time.monotonic()}
        self._tell(message, urgent=not child_processes.HAS_PROC)

    def _start_function(self, functions: FunctionTrials, work: dict[str, Any]) -> Process:
        if not functions.reuse:
            return Process(functions.fork(work, self._own_fds))
        while self._idle:
            process = self._idle.pop()
            try:
                functions.hand_over(process.jobs, work)
            except BrokenPipeError:  # it has just died; the next one will do
                continue
            return process
        process = Process(*functions.fork_worker({*self._own_fds, *self._by_results, *self._job_fds()}))
        self._by_results[process.results] = process
        self._poll.register(process.results, select.POLLIN)
        functions.hand_over(process.jobs, work)
        return process

    def _job_fds(self) -> list[int]:
        return [process.jobs for process in self._by_results.values() if process.jobs >= 0]

    def _end(self, trial: int, why: str) -> None:
        self._reap()  # what has ended by itself was not stopped
        process = self._running.get(trial)
        if process is not None and process.results >= 0:
            self._read_result(process)
            process = self._running.get(trial)
        if process is None or process.job is None:
            return
        if process.kill_at is None:
            child_processes.signal_group(process.pid, signal.SIGTERM)
            self._kill_later(process, self._grace)
        if process.job.sent != "stop":  # a trial told to pause may then be told to stop, but not the other way round
            process.job.sent = why

    def _tuner_died(self) -> None:
        if not self._tuner_gone:
            self._tuner_gone = True
            self._outgoing.clear()
            for fd in (REQUESTS, MESSAGES, self._tuner_fd):
                self._forget(fd)
            self._shut_down(GRACE_WITHOUT_TUNER)

    def _shut_down(self, grace: float) -> None:
        self._closing = True
        for process in list(self._processes.values()):
            if process.kill_at is None:
                child_processes.signal_group(process.pid, signal.SIGTERM)
            if process.job is not None and process.job.sent is None:
                process.job.sent = "interrupt"
            self._kill_later(process, grace)

    # What becomes of the children

    def _reap(self) -> None:
        """Takes notice of every child that has ended, and of what it left behind."""
        reaped = False
        while True:
            try:
                ended = child_processes.wait_next(self._processes.__contains__)
            except ChildProcessError:
                self._childless = True
                break
            if ended is None:
                break
            reaped = True
            pid, status = ended
            self._beyond_reach.discard(pid)
            process = self._processes.pop(pid, None)
            if process is None:
                continue
            at = time.monotonic()
            self._ending.discard(process)
            if process.results >= 0:
                self._read_result(process)
                self._drop_pipes(process)
            if process.job is not None:
                self._running.pop(process.job.trial, None)
                code = os.waitstatus_to_exitcode(status)
                self._ended(process.job, code if code >= 0 else None, -code if code < 0 else None, at=at)
        if reaped:
            self._kill_adopted()

    def _read_result(self, process: Process) -> None:
        """Looks whether a process that runs several jobs has finished one: then its exit code is in the pipe."""
        try:
            data = os.read(process.results, 64)
        except BlockingIOError:
            return
        if not data:
            self._forget(process.results)  # it is about to end
        elif process.job is not None:
            job, process.job = process.job, None
            del self._running[job.trial]
            self._ended(job, int(data), None)
            process.jobs_done += 1
            if process.pid in self._processes:
                if process.kill_at is not None:  # it was told to end, and has not heeded it
                    child_processes.signal_group(process.pid, signal.SIGKILL)
                elif process.jobs_done < MAX_JOBS:
                    self._idle.append(process)
                else:
                    self._close_jobs(process)
            self._kill_adopted()

    def _drop_pipes(self, process: Process) -> None:
        if process in self._idle:
            self._idle.remove(process)
        self._forget(process.results)
        del self._by_results[process.results]
        os.close(process.results)
        process.results = -1
        self._close_jobs(process)

    def _close_jobs(self, process: Process) -> None:
        """Tells a process that runs several jobs that there are no more."""
        if process.jobs >= 0:
            os.close(process.jobs)
            process.jobs = -1

    def _ended(
        self,
        job: Job,
        exit_code: int | None,
        by_signal: int | None,
        error: str | None = None,
        at: float | None = None,
    ) -> None:
        end = job.end(exit_code, by_signal, error, time.monotonic() if at is None else at)
        try:
            record_end(trial_files.end_file(self._trials, job.trial, job.attempt), end)
        except OSError as failure:  # a full disk, a deleted folder: the tuner is told all the same
            _log(f"the end of trial {job.trial} could not be recorded: {failure}")
        self._tell({"m": "ended", **end})

    def _kill_adopted(self) -> None:
        """Kills processes that became our children because their parent died, and whose trial has ended.

        When one of them dies, its own children come to us, and this is done again.
        """
        for pid in child_processes.children():
            if pid not in self._processes and not self._belongs_to_running(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                except PermissionError:
                    self._give_up(pid)

    def _give_up(self, pid: int) -> None:
        """Notes a child that has become another user's (by setuid, say): it is not waited for at the end."""
        if pid not in self._beyond_reach:
            self._beyond_reach.add(pid)
            _log(f"process {pid} of a trial was left running, because it belongs to another user; end it yourself")

    def _belongs_to_running(self, pid: int) -> bool:
        variables = child_processes.environment(pid)
        trial = variables.get(ENV_TRIAL, "")
        if not trial.isdigit():  # it has cleared its environment, so that it may be anybody's
            return bool(self._running)
        process = self._running.get(int(trial))
        return (
            process is not None and process.job is not None and variables.get(ENV_ATTEMPT) == str(process.job.attempt)
        )

    def _kill_later(self, process: Process, grace: float) -> None:
        at = time.monotonic() + grace
        process.kill_at = at if process.kill_at is None else min(at, process.kill_at)
        self._ending.add(process)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for process in [p for p in self._ending if p.kill_at is not None and p.kill_at <= now]:
            if not child_processes.signal_group(process.pid, signal.SIGKILL) and child_processes.HAS_PROC:
                self._give_up(process.pid)
            self._ending.discard(process)

    def _any_child(self) -> bool:
        """Whether there is a child to wait for at the end."""
        if not self._running:
            self._kill_adopted()
        self._reap()
        if self._childless or not self._beyond_reach:
            return not self._childless
        return not self._beyond_reach.issuperset(child_processes.children())

    def _milliseconds(self) -> float | None:
        if not self._ending:
            return None
        first = min(process.kill_at or 0.0 for process in self._ending)
        return max(0.0, (first - time.monotonic()) * 1000)

    # What goes to the tuner

    def _tell(self, message: dict[str, Any], urgent: bool = True) -> None:
        """Queues a message. One that is not urgent goes with the next that is: waking the tuner costs time."""
        self._unhurried += json.dumps(message).encode() + b"\n"
        if urgent:
            self._outgoing += self._unhurried
            self._unhurried.clear()

    def _write(self) -> None:
        if not self._outgoing or self._tuner_gone:
            return
        try:
            written = os.write(MESSAGES, self._outgoing)
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            self._tuner_died()
            return
        del self._outgoing[:written]
        if self._outgoing:
            self._poll.register(MESSAGES, select.POLLOUT)
        else:
            self._forget(MESSAGES)

    def _forget(self, fd: int | None) -> None:
        """Stops watching a file descriptor, if it is watched."""
        if fd is not None:
            try:
                self._poll.unregister(fd)
            except KeyError:
                return


def _log(text: str) -> None:
    """Writes a line to supervisor.log, past Python's buffers: what is left in one ends up in a fork's output."""
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:  # the disk is full, and there is nobody else to tell
        return


def _size(path: str) -> int:
    return os.stat(path).st_size if os.path.exists(path) else 0
