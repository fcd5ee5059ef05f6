"""Which sandbox this machine has to offer."""

from __future__ import annotations

import logging
import os
import select
import tempfile
from pathlib import Path

from cloudtune.localcloud.sandbox.folder_sandbox import FolderSandbox
from cloudtune.localcloud.sandbox.namespace_sandbox import NamespaceSandbox
from cloudtune.localcloud.sandbox.sandbox import ContainerSpec, ContainerStartFailed, Sandbox
from cloudtune.localcloud.sandbox.spawner_link import SpawnerRefused

_log = logging.getLogger(__name__)

_KINDS = ("auto", "namespaces", "folders")

#: Settings under /proc/sys -> (the value that forbids an ordinary user's namespaces, the remedy).
_FORBIDDING = {
    "kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    "user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=15000"),
}


class SandboxUnavailable(Exception):
    """This machine does not offer the kind of sandbox that was asked for; the message says why and what to do."""


def open_sandbox(kind: str = "auto") -> Sandbox:
    """Opens a sandbox; the caller closes it.

    Neither kind is a security boundary: a job can do to this machine what the user can who runs the local cloud.

    Args:
        kind: ``namespaces`` (Linux), ``folders``, or ``auto``: namespaces where a container really starts in them,
            otherwise folders, with a warning in the log that says why.

    Raises:
        SandboxUnavailable: The kind that was asked for cannot be had here.
        ValueError: There is no such kind.
    """
    if kind not in _KINDS:
        raise ValueError(f"There is no sandbox {kind!r}: choose one of {', '.join(_KINDS)}.")
    if kind == "folders":
        return _open_folders()
    try:
        return _open_namespaces()
    except SandboxUnavailable as error:
        if kind == "namespaces":
            raise
        _log.warning("jobs run without namespaces, and see no /opt/ml of their own: %s", error)
        return _open_folders()


def _open_folders() -> FolderSandbox:
    try:
        return FolderSandbox()
    except SpawnerRefused as error:
        raise SandboxUnavailable(f"The process that starts containers cannot start: {error}.") from error


def _open_namespaces() -> NamespaceSandbox:
    if not os.path.exists("/proc/self/ns/pid"):
        raise SandboxUnavailable("Namespaces are a feature of Linux, with /proc mounted.")
    try:
        sandbox = NamespaceSandbox()
    except SpawnerRefused as error:
        raise SandboxUnavailable(_explained(f"The system refuses namespaces ({error}).")) from error
    try:
        _try(sandbox)
    except ContainerStartFailed as error:
        sandbox.close()
        raise SandboxUnavailable(_explained(f"Containers cannot start in namespaces. {error}")) from error
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def _try(sandbox: NamespaceSandbox) -> None:
    """Runs a container that does nothing. Raises ContainerStartFailed."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as nothing:
        spec = ContainerSpec(["/bin/sh", "-c", ":"], {}, folder, nothing.fileno(), "/opt/ml", "algo-1", {})
        container = sandbox.start(spec)
        try:
            end = select.poll()
            end.register(container, select.POLLIN)
            end.poll()
            if container.exit_code() != 0:
                raise ContainerStartFailed(f"A shell that does nothing ended with {container.exit_code()}.")
        finally:
            container.close()


def _explained(refusal: str, settings: Path = Path("/proc/sys")) -> str:
    """A refusal with what forbids namespaces here, as far as that is known, and what to do."""
    if os.geteuid() == 0:
        return f"{refusal} In docker, start the local cloud's container with --privileged; or use sandbox='folders'."
    for name, (forbidding, remedy) in _FORBIDDING.items():
        try:
            value = (settings / name).read_text().strip()
        except OSError:  # not every kernel has every setting
            continue
        if value == forbidding:
            return f"{refusal} {name.replace('/', '.')} is {value}: as root, run {remedy!r}; or use sandbox='folders'."
    known = ", ".join(name.replace("/", ".") for name in _FORBIDDING)
    return f"{refusal} The settings {known} do not forbid it; perhaps a seccomp filter does. Use sandbox='folders'."
