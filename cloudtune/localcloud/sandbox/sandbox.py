"""The contract between the executor and what runs containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class ContainerStartFailed(Exception):
    """The container could not be made, through no fault of its command; the message says what failed and why."""


class CommandNotRunnable(ContainerStartFailed):
    """The container was made, but its command cannot run in it: program or working directory are not there, say."""


@dataclass(frozen=True)
class ContainerSpec:
    """What to run.

    Args:
        command: Program and arguments. The program is looked up in the PATH of ``environment``.
        environment: All of it: nothing is inherited. ``folders`` adds the names that tell where ``/opt/ml`` is.
        ml_folder: Absolute path of the folder that becomes ``/opt/ml``.
        cwd: Working directory, as the container sees it.
        output: Descriptor that becomes stdout and stderr. The sandbox duplicates it; the caller closes its own.
        hostname: Of the container, such as ``algo-1``.
        hosts: Names of all hosts of the job -> loopback address. ``folders`` cannot make them known.
        temporary: ``/tmp`` and the like -> absolute path of the job's folder that namespaces lay over it (what the
            machine has there stays in sight). In ``folders``, ``TMPDIR`` names the folder of ``/tmp`` instead.
        keep: Texts with paths that the command needs. They matter only where the machine's ``/tmp`` has very many
            entries, of which only those stay in sight that are named here, in command or environment.
        network: False: nothing but a loopback interface of its own. ``folders`` refuses to start such a container.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    ml_folder: str
    output: int
    cwd: str = "/opt/ml/code"
    hostname: str = "algo-1"
    hosts: Mapping[str, str] = field(default_factory=dict)
    network: bool = True
    temporary: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()


class Container(Protocol):
    """A container: its first process and all that descends from it."""

    @property
    def pid(self) -> int:
        """Of the first process, as this machine sees it."""

    def fileno(self) -> int:
        """A descriptor that becomes readable once the container has ended, and stays so: for poll and select.

        It is valid until ``close``, so nobody may wait on it then. Nothing but this container may read from it.
        """

    def exit_code(self) -> int | None:
        """Of the first process, negative for a signal; None while it runs. Once given, all of the container is dead.

        A container that ended because the sandbox did has -9. The code is still given after ``close``.
        """

    def terminate(self) -> None:
        """SIGTERM to the first process only. Nothing happens if it has ended.

        As in docker, a first process with a pid namespace of its own ignores SIGTERM unless it has a handler for it.
        """

    def kill(self) -> None:
        """SIGKILL to everything in the container, without waiting for its end. Nothing happens if it has ended."""

    def close(self) -> None:
        """Kills what lives, waits for its end, and lets go of all descriptors. May be called twice."""


class Sandbox(Protocol):
    """Runs containers. Everything in them dies with this process, however that ends."""

    kind: str  # "namespaces" or "folders"

    def start(self, spec: ContainerSpec) -> Container:
        """Starts a container and returns when its command runs (exec has succeeded). Thread-safe.

        stdin is empty, SIGTERM and all other signals mean what they mean by default, the umask is 022.

        Raises:
            CommandNotRunnable: The command cannot run, which is the job's fault.
            ContainerStartFailed: The container cannot be made, which is not.
        """

    def ml_path(self, spec_ml_folder: str) -> str:
        """What the container calls its ``/opt/ml``: that, or the folder itself where there are no namespaces.

        Where a container without namespaces is given a text with ``/opt/ml`` in its command, environment or cwd, it
        gets it with this instead; texts in files stay as they are.
        """

    def close(self) -> None:
        """Kills all containers and waits for their end. May be called twice; nothing can be started afterwards."""
