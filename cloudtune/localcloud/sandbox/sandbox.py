"""The contract between the executor and what runs containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class ContainerStartFailed(Exception):
    """The command could not be started (not found, not executable); the message says which and why."""


@dataclass(frozen=True)
class ContainerSpec:
    """What to run.

    Args:
        command: Program and arguments. The program is looked up in the PATH of ``environment``.
        environment: All of it: nothing is inherited.
        ml_folder: Absolute path of the folder that becomes ``/opt/ml``.
        cwd: Working directory, as the container sees it.
        output: Descriptor that becomes stdout and stderr. The sandbox duplicates it; the caller closes its own.
        hostname: Of the container, such as ``algo-1``.
        hosts: Names of all hosts of the job -> loopback address.
        network: False: nothing but a loopback interface of its own.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    ml_folder: str
    output: int
    cwd: str = "/opt/ml/code"
    hostname: str = "algo-1"
    hosts: Mapping[str, str] = field(default_factory=dict)
    network: bool = True


class Container(Protocol):
    """A container: its first process and all that descends from it."""

    @property
    def pid(self) -> int:
        """Of the first process, as this machine sees it."""

    def fileno(self) -> int:
        """A descriptor that becomes readable once the container has ended: for select. Valid until ``close``."""

    def exit_code(self) -> int | None:
        """Of the first process, negative for a signal; None while it runs. Once given, all of the container is dead."""

    def terminate(self) -> None:
        """SIGTERM to the first process only. Nothing happens if it has ended."""

    def kill(self) -> None:
        """SIGKILL to everything in the container. Nothing happens if it has ended."""

    def close(self) -> None:
        """Kills what lives, waits for its end, and lets go of all descriptors. May be called twice."""


class Sandbox(Protocol):
    """Runs containers. Everything in them dies with this process, however that ends."""

    kind: str  # "namespaces" or "folders"

    def start(self, spec: ContainerSpec) -> Container:
        """Starts a container; raises ContainerStartFailed. Thread-safe."""

    def ml_path(self, spec_ml_folder: str) -> str:
        """What the container calls its ``/opt/ml``: that, or the folder itself where there are no namespaces."""

    def close(self) -> None:
        """Kills all containers and waits for their end."""
