"""What the user sees of an experiment: in a terminal, in a pipe, with and without logging."""

from __future__ import annotations

import io
import logging
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune.callbacks import ProgressCallback, TunerCallback
from cloudtune.trial import Trial, TrialStatus
from tests.callbacks.screen import ROOT, Screen, run_in_terminal
from tests.callbacks.virtual_run import loss, make_tuner
from tests.virtual import Machine, Program

#: A program whose log lines and prints come in the middle of a run.
NOISY = """
import logging, sys
from cloudtune.callbacks import TunerCallback
from tests.callbacks.virtual_run import make_tuner

class Noisy(TunerCallback):
    def on_trial_result(self, trial, status, result, decision):
        number = f"{trial.trial_id}.{result['epoch']}"
        logging.getLogger("mine").info("logged %s", number)
        print(f"printed {number}")
        sys.stderr.write(f"written {number}\\n")
"""
END = "Tuning ended (stopping criterion reached), results of trials can be found on "


def assert_outcome_stands_last(lines: list[str], trials: int) -> None:
    """The end of the screen or log: path, table of all trials, incumbent."""
    ends = [number for number, line in enumerate(lines) if END in line]
    assert len(ends) == 1, "the outcome is told once"
    outcome = lines[ends[0] :]
    for trial in range(trials):
        endings = ([str(trial), "Completed"], [str(trial), "Stopped"])
        assert sum(line.split()[:2] in endings for line in outcome) == 1
    assert any(line.startswith("loss: best ") for line in outcome)
    assert outcome[-2:] == ["-" * 20, ""]


@pytest.mark.parametrize("where", ["stderr", "stdout"])
def test_lines_of_a_configured_log_stay_whole_above_the_display(tmp_path: Path, where: str) -> None:
    """Handlers made before the run keep the terminal's stream: their lines, prints and writes all stay, in order."""
    program = f"{NOISY}\nlogging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.{where})\n"
    frames: list[list[str]] = []

    def watch(screen: Screen) -> str:
        frames.append(screen.lines)
        return ""

    code, screen = run_in_terminal(f"{program}make_tuner(callbacks=[Noisy()]).run()\n", tmp_path, watch)
    assert code == 0, screen.lines
    lines = screen.lines
    reports = [line.removeprefix("logged ") for line in lines if line.startswith("logged ")]
    assert len(reports) > 20
    said = [line for line in lines if line.startswith(("logged ", "printed ", "written "))]
    assert said == [f"{how} {number}" for number in reports for how in ("logged", "printed", "written")]
    assert sum("scheduled config" in line for line in lines) == 4
    assert_outcome_stands_last(lines, 4)
    # Whatever was drawn live is gone, and while it was there it stood once, below all lines.
    assert not any("━" in line or "wallclock-time" in line for line in lines[: lines.index(said[-1])])
    drawn = [frame for frame in frames if any("last report" in line for line in frame)]
    assert drawn, "the display was never seen"
    assert all(sum("last report" in line for line in frame) == 1 for frame in drawn)
    assert not screen.cursor_hidden


def test_the_display_shows_limits_trials_incumbent_and_failures(tmp_path: Path) -> None:
    """Each of them is on the screen at some time, and each running trial in a line of its own."""
    program = """
from tests.callbacks.virtual_run import loss, make_tuner
from tests.virtual import Machine, Program
machine = Machine(Program(loss, fails_at=lambda config: 5))
make_tuner(machine, max_failures=9).run()
"""
    seen: set[str] = set()

    def watch(screen: Screen) -> str:
        for line in screen.lines:
            words = line.split()
            if "InProgress" in words:
                assert words[0].isdigit()
                seen.add("trial " + words[0])
            seen.update(part for part in ("of 4", "loss: best", "trial 0 failed: exit code 1") if part in line)
        return ""

    code, screen = run_in_terminal(program, tmp_path, watch)
    assert code == 0, screen.lines
    # Trials 2 and 3 may come and go between two reads of the terminal.
    assert seen >= {"of 4", "trial 0", "trial 1", "loss: best", "trial 0 failed: exit code 1"}
    assert any(line.startswith("trial 0 failed: exit code 1") for line in screen.lines), "the warning in the log"


def test_a_terminal_without_logging_shows_what_the_display_does_not(tmp_path: Path) -> None:
    """The path and the rungs stand above the display, and the outcome below, once; trials are drawn, not told."""
    code, screen = run_in_terminal(
        "from tests.callbacks.virtual_run import make_tuner\nmake_tuner().run()\n", tmp_path, width=200
    )
    assert code == 0, screen.lines
    lines = screen.lines
    assert lines[0].startswith("results of trials will be saved on ")
    assert lines[1].startswith("Trials are compared at epoch = 1, 3")
    assert END in lines[2]
    assert not any("scheduled config" in line for line in lines)
    assert_outcome_stands_last(lines, 4)


def test_a_narrow_terminal_cuts_the_table_behind_the_metric(tmp_path: Path) -> None:
    """No line of the final table is wider than the terminal, and the metric is among the columns that stay."""
    code, screen = run_in_terminal(
        "from tests.callbacks.virtual_run import make_tuner\nmake_tuner().run()\n", tmp_path, width=44
    )
    assert code == 0, screen.lines
    (header,) = [line.split() for line in screen.lines if line.startswith("trial_id")]
    assert header[:5] == ["trial_id", "status", "iter", "loss", "epoch"]
    assert header[-1].endswith("…")
    at = screen.lines.index(next(line for line in screen.lines if line.startswith("trial_id")))
    assert [line.split()[0] for line in screen.lines[at + 1 : at + 5]] == ["0", "1", "2", "3"]


def test_a_dumb_terminal_gets_log_lines(tmp_path: Path) -> None:
    """Where nothing can be overdrawn, as in an editor's shell, the progress is told line by line."""
    program = "from tests.callbacks.virtual_run import make_tuner\nmake_tuner(print_update_interval=5).run()\n"
    code, screen = run_in_terminal(program, tmp_path, term="dumb")
    assert code == 0, screen.lines
    assert "tuning status (last metric is reported)" in screen.lines
    assert_outcome_stands_last(screen.lines, 4)


def test_an_interruption_is_told_above_the_display(tmp_path: Path) -> None:
    """Ctrl-C: what it means stands whole on the screen, no part of the display stays, the outcome says why it ended."""
    (tmp_path / "train.py").write_text(
        "import time\nfrom cloudtune import Reporter\nreport = Reporter()\n"
        "for epoch in range(1, 1000):\n    report(epoch=epoch, loss=1 / epoch)\n    time.sleep(0.2)\n"
    )
    program = f"""
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
Tuner(
    trial_backend=LocalBackend({str(tmp_path / "train.py")!r}),
    scheduler=RandomSearch({{"x": uniform(0, 1)}}, metric="loss", resource_attr="epoch"),
    stop_criterion=StoppingCriterion(max_wallclock_time=600),
    n_workers=2,
).run()
"""
    pressed = False

    def watch(screen: Screen) -> str:
        nonlocal pressed
        if pressed or not any("InProgress" in line and "loss=" in line for line in screen.lines):
            return ""
        pressed = True
        return "\x03"

    code, screen = run_in_terminal(program, tmp_path, watch, width=160)
    assert pressed
    assert code == 128 + signal.SIGINT, screen.lines
    told = screen.lines.index("SIGINT: stopping the running trials; once more ends at once")
    assert "Tuning ended (interrupted by SIGINT), results" in screen.lines[told + 1]
    assert not any("━" in line or "InProgress" in line or "2 trials running" in line for line in screen.lines)
    assert not screen.cursor_hidden


@pytest.mark.parametrize("configuration", ["", "logging.getLogger().setLevel(logging.DEBUG)"])
def test_a_program_without_logging_is_told_of_the_progress(tmp_path: Path, configuration: str) -> None:
    """``python - < script > file``: rungs, path, tables and outcome arrive on standard error, nothing on output."""
    done = run_in_pipe(f"{configuration}\nmake_tuner(print_update_interval=5).run()")
    lines = done.stderr.split("\n")
    assert lines[0].startswith("results of trials will be saved on ")
    assert any(line.startswith("Trials are compared at epoch = 1, 3") for line in lines)
    assert sum("scheduled config" in line for line in lines) == 4
    assert lines.count("tuning status (last metric is reported)") >= 2
    assert_outcome_stands_last(lines, 4)
    assert "\x1b" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "configuration",
    [
        "logging.getLogger('cloudtune').addHandler(logging.NullHandler())",
        "logging.getLogger('cloudtune').setLevel(logging.ERROR)",
        "logging.getLogger().setLevel(logging.ERROR)",
        "logging.basicConfig()",
        "logging.disable()",
    ],
)
def test_who_has_configured_logging_gets_nothing_else(configuration: str) -> None:
    """A handler or a level that somebody chose is respected: here each of them means silence."""
    done = run_in_pipe(f"{configuration}\nmake_tuner(print_update_interval=5).run()")
    assert (done.stdout, done.stderr) == ("", "")


def run_in_pipe(program: str) -> subprocess.CompletedProcess[str]:
    """A program that is read from standard input and writes into pipes."""
    preamble = (
        f"import logging, sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.callbacks.virtual_run import make_tuner\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=preamble + program, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_logging_is_afterwards_as_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither handlers nor levels nor streams stay changed, also if the experiment ends by an error."""
    library, root = logging.getLogger("cloudtune"), logging.getLogger()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    other = logging.StreamHandler(io.StringIO())
    for handlers in ([], [handler, other]):
        monkeypatch.setattr(root, "handlers", list(handlers))
        make_tuner().run()
        with pytest.raises(RuntimeError, match="broke"):
            make_tuner(callbacks=[Broken()]).run()
        assert root.handlers == handlers
        assert library.handlers == []
        assert library.level == logging.NOTSET
        assert handler.stream is terminal
        assert handler.filters == []
        assert sys.stderr is terminal
    assert "\x1b[?25h" in terminal.getvalue(), "the display was there, and has shown the cursor again"


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


class Broken(TunerCallback):
    """Raises in the middle, and at the end."""

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        raise RuntimeError("broke in the middle")

    def on_tuning_end(self) -> None:
        raise RuntimeError("broke at the end")


def test_a_file_gets_the_outcome_that_the_terminal_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a live display and a log in a file besides, both have the outcome, and each has it once."""
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(terminal), logging.StreamHandler(file)])
    caplog.set_level(logging.INFO)
    make_tuner().run()
    assert terminal.getvalue().count(END) == 1
    assert file.getvalue().count(END) == 1
    assert file.getvalue().count("scheduled config") == terminal.getvalue().count("scheduled config") == 4


def test_an_error_is_told_as_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """An experiment that a callback's error ended is not said to have finished."""
    caplog.set_level(logging.INFO)
    with pytest.raises(RuntimeError, match="broke"):
        make_tuner(callbacks=[Broken()]).run()
    assert "Tuning ended by an error, results of trials can be found on " in caplog.text


def test_control_characters_of_a_failure_are_spelled_out() -> None:
    """What a trial prints last becomes part of the reason: it must not move the cursor."""
    callback = ProgressCallback()
    callback.on_trial_end(Trial(3, {}), TrialStatus.failed, {}, "exit code 1; \x1b[2J\rbye\nTraceback")
    assert list(callback._failures) == [r"trial 3 failed: exit code 1; \x1b[2J\rbye"]


class Loud(ProgressCallback):
    """A user's own, with another constructor."""

    def __init__(self, volume: int) -> None:
        super().__init__(print_update_interval=7.0)
        self.volume = volume


def test_a_pickled_callback_keeps_its_settings_and_nothing_of_the_run() -> None:
    """As tuner.dill needs it, for subclasses too."""
    callback = Loud(11)
    make_tuner(callbacks=[callback]).run()
    callback.on_trial_end(Trial(0, {}), TrialStatus.failed, {}, "bad luck")
    again = pickle.loads(pickle.dumps(callback))
    assert (again.volume, again.print_update_interval, again.max_trials) == (11, 7.0, 12)
    assert list(again._failures) == []
    assert again.next_time() is None


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_an_interval_that_makes_no_sense_is_refused(seconds: float) -> None:
    """Zero would be a table at every turn."""
    with pytest.raises(ValueError, match="print_update_interval must be above 0 seconds, got"):
        ProgressCallback(seconds)


def test_without_a_terminal_the_tuner_is_woken_for_tables_only() -> None:
    """The idle promise: apart from the table every print_update_interval nothing asks for a turn of the loop."""
    machine = Machine(Program(loss, seconds=lambda _config: 1000.0))
    wishes: list[float | None] = []

    class Watched(ProgressCallback):
        def next_time(self) -> float | None:
            wishes.append(super().next_time())
            return wishes[-1]

    begun = machine.now
    make_tuner(machine, trials=2, callbacks=[Watched(30.0, live=False)]).run()
    assert {(wish - begun) % 30 for wish in wishes if wish is not None} == {0.0}
