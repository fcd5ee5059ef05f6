"""The user's script: its command, its variables, its requirements."""

from __future__ import annotations

import json
import os
import stat
import sys

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.pins import are_installed
from cloudtune.agent.sm_environment import sm_environment
from cloudtune.constants import (
    ENV_REPORT_FILE,
    ENV_TRIAL,
    ENV_WAKE_FIFO,
    ST_CHECKPOINT_DIR,
    ST_CONFIG_JSON_FILENAME,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.agent.forms import Task
    from cloudtune.agent.machine import Machine

REQUIREMENTS = "requirements.txt"
#: pip, which is not to import from the source folder, where a ``logging.py`` may lie; paths in the requirements are
#: relative to it.
_PIP = "import runpy, sys; sys.path.remove(''); sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"


class Script:
    """What is to be run, and where.

    Args:
        machine: This host.
        task: The task.
    """

    def __init__(self, machine: Machine, task: Task) -> None:
        self._machine = machine
        self._task = task
        self.entry_point = task["entry_point"]
        self.cwd = machine.code
        self.checkpoints = machine.place(task["checkpoint_dir"]) if task["checkpoint_dir"] else machine.checkpoints
        self.report_file = os.path.join(machine.own, "reports.jsonl")
        self.fifo = os.path.join(machine.own, "wake")
        self.package = os.path.join(machine.own, "package")
        self._config_file = os.path.join(machine.own, "config.json")

    def make_files(self) -> None:
        """Makes the folders and files that it needs. What a run before has left is gone."""
        os.makedirs(self.checkpoints, exist_ok=True)
        if os.path.lexists(self.report_file):
            os.unlink(self.report_file)
        with open(self.report_file, "wb"):
            os.chmod(self.report_file, 0o666)  # noqa: S103 - the script may become another user
        if self._task["pass_args_as_json"]:
            with open(self._config_file, "w", encoding="utf-8") as file:
                json.dump(self._task["config"], file)

    def arguments(self) -> list[str]:
        """Its command line, without the program."""
        if self._task["pass_args_as_json"]:
            given = ["--" + ST_CONFIG_JSON_FILENAME, self._config_file]
        else:
            given = list(self._task["arguments"])
        return [*given, "--" + ST_CHECKPOINT_DIR, self.checkpoints]

    def command(self) -> list[str]:
        """Its command line.

        Raises:
            AgentError: There is no such script.
        """
        path = os.path.join(self.cwd, self.entry_point)
        if not os.path.isfile(path):
            raise AgentError(f"the entry point {self.entry_point} is not in the source folder; correct its name")
        if self.entry_point.endswith(".py"):
            program = [sys.executable, self.entry_point]
        elif self.entry_point.endswith(".sh"):
            program = ["/bin/sh", self.entry_point]
        else:
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
            program = [path]
        return [*program, *self.arguments()]

    def environment(self, container: Mapping[str, str]) -> dict[str, str]:
        """The container's variables, those of AWS's toolkit, and ours."""
        task = self._task
        paths = [self.package, self.cwd, container.get("PYTHONPATH", "")]
        return {
            **container,
            **sm_environment(self._machine, task["config"], self.entry_point, self.arguments()),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            ENV_TRIAL: str(task["trial"]),
            **task["environment"],
            ENV_REPORT_FILE: self.report_file,
            ENV_WAKE_FIFO: self.fifo,
        }

    def requirements_command(self) -> list[str] | None:
        """What installs the requirements of the source; None if it has none, or all of them are installed."""
        try:
            with open(os.path.join(self.cwd, REQUIREMENTS), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return None
        if are_installed(lines):
            return None
        return [sys.executable, "-c", _PIP, "install", "--disable-pip-version-check", "-r", REQUIREMENTS]
