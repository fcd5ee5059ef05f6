"""Commands given as in a shell, beside the test's own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.backend.sagemaker.failures import command
from tests.backend.sagemaker.failures.experiment import PATIENCE, Experiment, wait_until

ROOT = Path(__file__).parents[4]


class Commands:
    """All commands that a test gives; what still runs at its end is killed.

    Args:
        experiment: That they run or continue.
        folder: Where they may write what they say.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment = experiment
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, arguments: Mapping[str, Any], *death: str | int, environment: Mapping[str, str] | None = None
    ) -> Command:
        """Gives the command, in a process group of its own.

        Args:
            arguments: For ``make_tuner``.
            *death: Where, when and at which call it kills itself; see :mod:`command`.
            environment: In place of ours.
        """
        output = self._folder / f"output-{len(self._processes)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", command.__name__),
                    *(str(self._experiment.gates), repr(dict(arguments)), *map(str, death)),
                ],
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._processes.append(process)
        return Command(process, output)

    def run(self, arguments: Mapping[str, Any], *death: str | int) -> int:
        """Gives the command and waits for its end; its exit code."""
        return self.start(arguments, *death).wait()

    def kill_all(self) -> None:
        """Ends what a test has left."""
        for process in self._processes:
            process.kill()
            process.wait()


class Command:
    """A command that was given."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self._output.read_text(errors="replace")

    def says(self, text: str) -> bool:
        """Whether it has said so."""
        return text in self.output

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the command does not end:\n{self.output[-6000:]}")

    def press_ctrl_c(self) -> None:
        """What a terminal does: the whole process group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait_until_it_says(self, text: str) -> None:
        """Returns when it has said so."""
        wait_until(lambda: self.says(text), f"{text!r} in {self.output[-3000:]}")
