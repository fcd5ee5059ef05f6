"""What both kinds of sandbox have in common: a spawner, and a new one should it be killed."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from cloudtune.localcloud.sandbox.sandbox import CommandNotRunnable, ContainerSpec, ContainerStartFailed
from cloudtune.localcloud.sandbox.spawned_container import SpawnedContainer
from cloudtune.localcloud.sandbox.spawner_link import SpawnerDead, SpawnerLink, SpawnerRefused

_log = logging.getLogger(__name__)


class SpawnedSandbox:
    """A sandbox that has a spawner start its containers.

    Raises:
        SpawnerRefused: The spawner could not be started.
    """

    kind: str

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._link = SpawnerLink(self.kind)

    def start(self, spec: ContainerSpec) -> SpawnedContainer:
        if not spec.command:
            raise CommandNotRunnable("The command of the container is empty.")
        request = self._request(spec)
        link = self._link
        try:
            return link.start(request, spec.output)
        except SpawnerDead:
            return self._replaced(link).start(request, spec.output)

    def _request(self, spec: ContainerSpec) -> dict[str, Any]:
        """What the spawner is asked for."""
        return {
            "command": list(spec.command),
            "environment": dict(spec.environment),
            "cwd": spec.cwd,
            "ml_folder": spec.ml_folder,
            "hostname": spec.hostname,
            "hosts": dict(spec.hosts),
            "network": spec.network,
            "temporary": dict(spec.temporary),
            # What this process imports from, the command may import from, too.
            "keep": [*spec.keep, *sys.path, sys.prefix, sys.base_prefix],
        }

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._link.close()

    def _replaced(self, dead: SpawnerLink) -> SpawnerLink:
        """A living spawner in place of one that was killed; its containers died with it."""
        with self._lock:
            if self._closed:
                raise ContainerStartFailed("The sandbox is closed.")
            if self._link is dead:
                _log.warning("the process that starts containers was killed, and its containers with it: a new one")
                dead.close()
                try:
                    self._link = SpawnerLink(self.kind)
                except SpawnerRefused as error:
                    raise ContainerStartFailed(f"The process that starts containers cannot start: {error}.") from error
            return self._link
