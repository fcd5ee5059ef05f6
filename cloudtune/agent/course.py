"""The course of one run of an attempt: what the agent does, in order, and in which order it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback

from cloudtune.agent.agent_errors import AgentError, Over
from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.child import adopt_orphans
from cloudtune.agent.child_run import GRACE_AT_TERMINATION, ChildRun
from cloudtune.agent.connection import Connection, connect, may_list, persist
from cloudtune.agent.console import Console
from cloudtune.agent.ending import end_form, exit_status, failure_text, how_it_ended
from cloudtune.agent.events import Events
from cloudtune.agent.life import LifeWatch
from cloudtune.agent.log_outbox import NoOutbox
from cloudtune.agent.machine import Machine
from cloudtune.agent.orders import Orders
from cloudtune.agent.protocol import ENDING, FAILED, PAUSED, RUNNING, TERMINATED, Keys
from cloudtune.agent.report_file import ReportFile
from cloudtune.agent.s3_errors import S3Denied, S3Error
from cloudtune.agent.saver import Saver
from cloudtune.agent.script import Script
from cloudtune.agent.shipper import Shipper
from cloudtune.agent.unpack import archive_of_this_program, unpack
from cloudtune.agent.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from cloudtune.agent.forms import Task

    T = TypeVar("T")

#: Seconds to save a checkpoint before the script is told to end.
_SAVING_BEFORE = 10.0
_INSTALLER_GRACE = 5.0
#: Seconds for which the agent tries to save the last checkpoint, and to ship the end mark, where nobody hurries it.
_PATIENCE = 600.0
#: The same for the end mark where S3 refuses.
_PATIENCE_IF_DENIED = 30.0
#: Seconds kept for the end mark when the last checkpoint is saved after SIGTERM.
_FOR_END_MARK = 15.0
_LOOK_INTERVAL = 1.0


class Course:
    """One run.

    Args:
        events: Signals arrive there already.
        environment: The container's variables.
    """

    def __init__(self, events: Events, environment: Mapping[str, str]) -> None:
        self._events = events
        self._environment = environment
        self._orders = Orders(events)
        self._console = Console()
        self._machine = Machine(environment)
        self._connection = Connection(NoOutbox())
        self._child: ChildRun | None = None
        self._script: ChildRun | None = None  # once it has ended
        self._watch: LifeWatch | None = None
        self._shipper: Shipper | None = None
        self._saver: Saver | None = None

    def run(self) -> int:
        """Does everything; the container's exit status."""
        try:
            over = self._live()
        except Over as early:
            over = early
        except AgentError as error:
            over = Over(FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the script has to end and the tuner has to know
            self._console.note(traceback.format_exc())
            over = Over(FAILED, f"the agent itself failed: {type(error).__name__}: {error}")
        return self._finish(over)

    def _live(self) -> Over:
        adopt_orphans()
        self._machine.make_folders()
        task = self._machine.task()
        given_up = threading.Event()
        try:
            self._connection = self._await(lambda: connect(task, self._machine, self._console, given_up))
        finally:
            given_up.set()
        script = Script(self._machine, task)
        script.make_files()
        self._start_shipper(task, script)
        if self._connection.over is not None:
            raise self._connection.over
        self._start_watch(task)
        unpack(archive_of_this_program(self._machine.bundle), self._machine.code, script.package)
        checkpoints = self._restored(task, script)
        _check_python(task)
        self._install(script)
        return self._run_script(task, script, checkpoints)

    # ---- before the script

    def _start_shipper(self, task: Task, script: Script) -> None:
        file = ReportFile(script.report_file, self._console.note)
        outbox = self._connection.outbox
        through_s3 = self._connection.s3 is not None
        interval = task["put_interval"] if through_s3 else 0.0
        self._shipper = Shipper(outbox, file, interval, task["heartbeat"], self._events, self._console)
        self._shipper.start(script.fifo)

    def _start_watch(self, task: Task) -> None:
        life = self._connection.life
        if life is not None:
            self._watch = LifeWatch(
                life, task["watch_interval"], task["life_timeout"], self._events, self._console.note
            )
            self._watch.start()

    def _restored(self, task: Task, script: Script) -> Checkpoints | None:
        s3 = self._connection.s3
        if s3 is None or self._shipper is None:
            return None
        shipper, outbox = self._shipper, self._connection.outbox
        checkpoints = Checkpoints(s3, task, outbox.run, script.checkpoints, shipper.take_in)
        given_up = threading.Event()
        try:
            name = self._await(lambda: persist(checkpoints.restore, given_up))
        except S3Denied as error:
            # Who may not even list has never saved any. What is there but cannot be read must not be trained anew.
            if self._await(lambda: may_list(s3, Keys(task["prefix"]).manifests(task["trial"]))):
                raise AgentError(f"the checkpoint cannot be restored: {error}") from error
            self._console.note(f"the job may not keep checkpoints, it goes on without: {error}")
            return None
        except (S3Error, OSError) as error:
            raise AgentError(f"the checkpoint cannot be restored: {error}") from error
        finally:
            given_up.set()
        if name is not None:
            self._console.note(f"restored the checkpoint {name}")
            outbox.checkpoint = name
        return checkpoints

    def _install(self, script: Script) -> None:
        command = script.requirements_command()
        if command is None:
            return
        began = time.monotonic()
        self._console.note("installing the requirements of the source")
        child = self._child = ChildRun(command, script.cwd, dict(self._environment), self._orders, self._console)
        child.run(_INSTALLER_GRACE)
        if child.is_told:
            self._check_orders()
        if child.exit_code != 0:
            raise Over(FAILED, "the requirements of the source could not be installed; see the last lines of output")
        self._console.note(f"installed the requirements in {time.monotonic() - began:.1f} s")
        self._console.forget_tail()

    # ---- the script

    def _run_script(self, task: Task, script: Script, checkpoints: Checkpoints | None) -> Over:
        command, environment = script.command(), script.environment(self._environment)
        self._check_orders()
        if checkpoints is not None and self._machine.is_first and self._shipper is not None:
            self._saver = Saver(checkpoints, self._shipper, self._events, self._console)
            self._saver.start()
        self._set_state(RUNNING)
        run = self._child = ChildRun(command, script.cwd, environment, self._orders, self._console)
        run.run(task["stop_grace"], self._before_telling, task.get("termination_grace", GRACE_AT_TERMINATION))
        self._script = run
        return how_it_ended(script.entry_point, run.exit_code, run.signal, self._orders.order if run.is_told else None)

    def _before_telling(self, is_over: Callable[[], bool]) -> None:
        """Saves a checkpoint while the files are whole, if the trial is to go on from it."""
        self._set_state(ENDING)
        saver, order = self._saver, self._orders.order
        if saver is None or order is None or order.outcome not in (PAUSED, TERMINATED):
            return
        saver.save_now()
        until = time.monotonic() + _SAVING_BEFORE
        while not (saver.is_saved or is_over()) and time.monotonic() < until:
            self._orders.take(self._events.wait(until - time.monotonic()))

    # ---- the end

    def _finish(self, over: Over) -> int:
        try:
            if self._child is not None:
                self._child.end_all()
            if self._shipper is not None:
                self._shipper.hurry()
            over = self._save(over)
            self._tell(over)
        except Exception:  # noqa: BLE001 - the container has to end, and its exit status to tell how
            self._console.note("the agent failed at the end: " + traceback.format_exc())
        self._write_failure(over)
        self._console.flush(5.0)
        return exit_status(over)

    def _save(self, over: Over) -> Over:
        """Saves the last checkpoint; of a pause without one the reason says so."""
        script = self._script
        if script is None or isinstance(self._connection.outbox, NoOutbox):
            return over
        problem = self._save_final(self._saver, script) if self._saver is not None else "the job may not use S3 for it"
        if not problem:
            return over
        older = self._connection.outbox.checkpoint
        rest = f"the checkpoint is the older one {older}" if older else "there is no checkpoint"
        sentence = f"the last state could not be saved ({problem}): {rest}"
        if self._saver is not None:
            self._console.note(sentence)
        reason = f"{over.reason}; {sentence}" if over.reason else sentence
        return Over(over.outcome, reason, over.exit_code, over.signal) if over.outcome == PAUSED else over

    def _save_final(self, saver: Saver, script: ChildRun) -> str:
        """What went wrong, or ""."""
        saver.end()
        self._set_state(ENDING)
        given_up = threading.Event()
        since = time.monotonic()
        problem = self._await_until(
            lambda: saver.save_final(script.signal is not None, script.ended_at, given_up),
            lambda: self._time_to_save(since),
            "there was no time",
        )
        given_up.set()
        return problem

    def _time_to_save(self, since: float) -> float:
        """Seconds left: a large checkpoint may take any time, as long as it gets on and nobody ends the job."""
        s3 = self._connection.s3
        got_on = since if s3 is None else max(since, s3.moved)
        return self._orders.time_left(_PATIENCE, got_on) - (_FOR_END_MARK if self._orders.terminated else 0.0)

    def _tell(self, over: Over) -> None:
        """Ships the last reports and the end mark."""
        if self._watch is not None:
            self._watch.end()
        shipper = self._shipper
        if shipper is None:
            return
        shipper.take_in()
        self._connection.outbox.end = end_form(over, self._console.tail())
        ticket = shipper.ask()
        since = time.monotonic()
        while not shipper.is_done(ticket):
            if shipper.crashed:
                self._put_end_without_shipper()
                return
            left = self._orders.time_left(_PATIENCE_IF_DENIED if shipper.denied else _PATIENCE, since)
            if left <= 0:
                self._console.note("the end mark, and maybe reports, could not be shipped")
                return
            self._orders.take(self._events.wait(min(left, _LOOK_INTERVAL)))

    def _put_end_without_shipper(self) -> None:
        """For what the shipper has failed at may have been anything but the put itself."""
        given_up = threading.Event()
        since = time.monotonic()
        self._await_until(
            lambda: persist(self._connection.outbox.put, given_up),
            lambda: self._orders.time_left(_PATIENCE_IF_DENIED, since),
            None,
        )
        given_up.set()

    def _write_failure(self, over: Over) -> None:
        # SIGTERM may come from inside: then the job fails, and SageMaker would quote whatever was printed last.
        if over.outcome not in (FAILED, TERMINATED):
            return
        try:
            os.makedirs(self._machine.output, exist_ok=True)
            with open(self._machine.failure, "w", encoding="utf-8", errors="replace") as file:
                file.write(failure_text(over, self._console.tail()))
        except OSError as error:
            self._console.note(f"{self._machine.failure} cannot be written: {error}")

    # ---- waiting

    def _set_state(self, state: str) -> None:
        self._connection.outbox.state = state
        if self._shipper is not None:
            self._shipper.ask()

    def _check_orders(self) -> None:
        self._orders.take_all()
        if self._orders.order is not None:
            raise self._orders.order

    def _await(self, call: Callable[[], T]) -> T:
        """What a call, which is made in another thread, returns. An order to end does not wait for it.

        Raises:
            Over: An order came first.
        """
        worker = Worker(call, self._events)
        while not worker.is_done:
            self._check_orders()
            self._orders.take(self._events.wait(_LOOK_INTERVAL))
        self._check_orders()
        return worker.result()

    def _await_until(self, call: Callable[[], T], time_left: Callable[[], float], otherwise: T) -> T:
        """What a call, which is made in another thread, returns; ``otherwise`` if there is no more time for it."""
        worker = Worker(call, self._events)
        while not worker.is_done:
            if time_left() <= 0:
                return otherwise
            self._orders.take(self._events.wait(min(_LOOK_INTERVAL, time_left())))
        return worker.result()


def _check_python(task: Task) -> None:
    """Ends the run if the script needs another Python than the image has, before anything is installed for it."""
    here = "%d.%d" % sys.version_info[:2]
    wanted = task.get("python", here)
    if wanted != here:
        raise Over(
            FAILED, task.get("python_note", "it needs Python {wanted}, this is {here}").format(wanted=wanted, here=here)
        )
