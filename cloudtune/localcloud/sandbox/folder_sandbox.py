"""Containers where namespaces are not to be had (macOS, hardened kernels): processes that are told where /opt/ml is."""

from __future__ import annotations

import re
from typing import Any

from cloudtune.localcloud.sandbox.sandbox import ContainerSpec, ContainerStartFailed
from cloudtune.localcloud.sandbox.spawned_sandbox import SpawnedSandbox

#: ``/opt/ml`` as a path of its own or the beginning of one: neither ``s3://bucket/opt/ml`` nor ``/opt/mlflow``.
_ML_PATH = re.compile(r"(?:(?<=://)|(?<![\w./-]))/opt/ml(?![\w.-])")


class FolderSandbox(SpawnedSandbox):
    """Each container is a session, and is told the folder that stands for ``/opt/ml``.

    ``SAGEMAKER_BASE_DIR`` (with ``SM_STUDIO_LOCAL_MODE``, without which it would wait until ``algo-1`` resolves) tells
    it to AWS's sagemaker-training toolkit, ``CLOUDTUNE_ML_FOLDER`` to cloudtune's agent; in command, environment and
    working directory ``/opt/ml`` is replaced. Programs that have ``/opt/ml`` written in them do not work here. All
    containers share the machine's host name, processes, ``/dev/shm``, ``/tmp`` (``TMPDIR`` is a folder of the job) and
    network; without network none is started.

    What descends from a container dies with it: its session, and whatever has the container's mark in its
    environment. A daemon that cleared its environment *and* left the session lives until the sandbox ends on Linux. On
    macOS it lives on, and ``ps`` hides the environment of Apple's own programs, so that daemons of those do, too. If
    server, guard and spawner are all killed at once, containers live on.

    Raises:
        SpawnerRefused: The spawner could not be started.
    """

    kind = "folders"

    def ml_path(self, spec_ml_folder: str) -> str:
        return spec_ml_folder

    def _request(self, spec: ContainerSpec) -> dict[str, Any]:
        if not spec.network:
            raise ContainerStartFailed(
                "A job without network (EnableNetworkIsolation) needs namespaces, which this local cloud runs without: "
                "start it with sandbox='namespaces' to learn why."
            )

        def mapped(text: str) -> str:
            return _ML_PATH.sub(lambda _: spec.ml_folder, text)

        own = spec.temporary.get("/tmp")  # noqa: S108  # the key of the job's own folder
        temporary = {} if own is None else {"TMPDIR": own}
        return {
            **super()._request(spec),
            "command": [mapped(argument) for argument in spec.command],
            "environment": {
                **temporary,
                **{name: mapped(value) for name, value in spec.environment.items()},
                "SAGEMAKER_BASE_DIR": spec.ml_folder,
                "SM_STUDIO_LOCAL_MODE": "True",
                "CLOUDTUNE_ML_FOLDER": spec.ml_folder,
            },
            "cwd": mapped(spec.cwd),
        }
