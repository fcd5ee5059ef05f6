"""What the platform tells a container about itself: folders, hosts, channels."""

from __future__ import annotations

import json
import os
from typing import Any

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.protocol import BUNDLE, CHANNEL_CODE, CHANNEL_TASK, FORMAT, TASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.agent.forms import Task

_DEFAULT_BASE = "/opt/ml"
_OWN_CHANNELS = (CHANNEL_CODE, CHANNEL_TASK)


class Machine:
    """One host of a training job.

    Args:
        environment: The container's variables.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.base = environment.get("SAGEMAKER_BASE_DIR") or _DEFAULT_BASE
        self.job = environment.get("TRAINING_JOB_NAME", "")
        self.code = os.path.join(self.base, "code")
        self.own = os.path.join(self.base, "cloudtune")  # package, report file, pipe: the agent's
        self.input = os.path.join(self.base, "input")
        self.input_config = os.path.join(self.input, "config")
        self.input_data = os.path.join(self.input, "data")
        self.model = os.path.join(self.base, "model")
        self.output = os.path.join(self.base, "output")
        self.output_data = os.path.join(self.output, "data")
        self.failure = os.path.join(self.output, "failure")
        self.checkpoints = os.path.join(self.base, "checkpoints")
        self.resources = self._config("resourceconfig.json")
        self.hyperparameters = self._config("hyperparameters.json")
        inputs = self._config("inputdataconfig.json")
        #: The user's channels.
        self.inputs = {name: value for name, value in inputs.items() if name not in _OWN_CHANNELS}
        self.hosts = [str(host) for host in self.resources.get("hosts") or ()]
        self.host = str(self.resources.get("current_host") or environment.get("CURRENT_HOST") or "algo-1")
        if self.host not in self.hosts:
            self.hosts = [*self.hosts, self.host]

    @property
    def is_first(self) -> bool:
        """Whether this host speaks for the job: ``algo-1``, or whichever is the first."""
        return self.host == ("algo-1" if "algo-1" in self.hosts else min(self.hosts))

    @property
    def bundle(self) -> str:
        """Path of the archive that holds this program and the user's source."""
        return os.path.join(self.input_data, CHANNEL_CODE, BUNDLE)

    def place(self, path: str) -> str:
        """Where something of the container is, also where :attr:`base` is elsewhere."""
        inside = path == _DEFAULT_BASE or path.startswith(_DEFAULT_BASE + "/")
        return self.base + path[len(_DEFAULT_BASE) :] if inside else path

    def task(self) -> Task:
        """The task.

        Raises:
            AgentError: It is not there, or not for this version.
        """
        path = os.path.join(self.input_data, CHANNEL_TASK, TASK)
        try:
            with open(path, encoding="utf-8") as file:
                task: Task = json.load(file)
        except (OSError, ValueError) as error:
            raise AgentError(
                f"the task cannot be read ({error}); the job needs the input channel {CHANNEL_TASK} from its tuner"
            ) from error
        if not isinstance(task, dict) or task.get("format") != FORMAT:
            raise AgentError(f"the task in {path} is not of format {FORMAT}; start the experiment's tuner again")
        return task

    def make_folders(self) -> None:
        """Makes those that a script expects."""
        for folder in (self.code, self.own, self.model, self.output_data):
            os.makedirs(folder, exist_ok=True)

    def _config(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self.input_config, name), encoding="utf-8") as file:
                value = json.load(file)
        except (OSError, ValueError):  # the platform leaves out what a job does not have
            return {}
        return value if isinstance(value, dict) else {}
