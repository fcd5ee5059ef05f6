"""Containers in namespaces of their own (Linux)."""

from __future__ import annotations

from cloudtune.localcloud.sandbox.spawned_sandbox import SpawnedSandbox


class NamespaceSandbox(SpawnedSandbox):
    """Each container sees its own ``/opt/ml``, processes, host name, ``/etc/hosts`` and shared memory.

    The first process has pid 1. Without network it has nothing but a loopback interface of its own. Nothing on the
    machine is changed for it: where there is no ``/opt/ml``, the container sees one beside all else in ``/opt``. Where
    the folder that becomes ``/opt/ml`` lies in ``/dev/shm``, the machine's shared memory stays in sight.

    What it makes in ``/tmp`` and ``/var/tmp`` lands in folders of the job; what the machine has there stays in sight.

    An ordinary user is root in the container, as a job on SageMaker is, with that user's rights to files. When the
    spawner dies, which it does with the server, the kernel ends all containers with all their descendants.

    This is no security boundary: containers see the files and (unless forbidden) the network of the machine, with the
    rights of whoever runs the server. See namespaces(7), pid_namespaces(7), user_namespaces(7).

    Raises:
        SpawnerRefused: The kernel does not allow it.
    """

    kind = "namespaces"

    def ml_path(self, spec_ml_folder: str) -> str:
        return "/opt/ml"
