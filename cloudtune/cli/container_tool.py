"""docker, podman or finch, as ``cloudtune image`` uses them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.ecr import Login
    from cloudtune.aws.image_recipe import Recipe

#: In the order in which they are tried.
TOOLS = ("docker", "podman", "finch")
#: What SageMaker trains on, whatever this machine is.
_PLATFORM = "linux/amd64"
#: Seconds for a question that is answered at once, or not at all.
_PATIENCE = 60


class ToolFailed(CloudtuneError):
    """There is no container tool, or it could not do what it was to do; its own output says why."""


class ContainerTool:
    """A tool that builds and pushes images. Its output goes to where ours goes, except what it says when asked.

    Args:
        name: ``docker``, ``podman`` or ``finch``; None: the first that works.

    Raises:
        ToolFailed: It is not installed or does not run.
    """

    def __init__(self, name: str | None = None) -> None:
        working = next((one for one in ([name] if name else TOOLS) if _works(one)), None)
        if working is None:
            what = f"{name} does not run" if name else f"none of {', '.join(TOOLS)} runs"
            raise ToolFailed(
                f"{what} here; start one, or have AWS build the image: `cloudtune image build --codebuild`"
            )
        self.name = working

    def build(self, recipe: Recipe, uri: str) -> None:
        """Builds an image. Raises ToolFailed."""
        arguments = {"PYTHON": recipe.python, "EXTRAS": recipe.extras, "TAG": recipe.tag, "BASE": recipe.base}
        options = [part for name, value in arguments.items() if value for part in ("--build-arg", f"{name}={value}")]
        with tempfile.TemporaryDirectory(prefix="cloudtune-image-") as folder:
            recipe.write(Path(folder))
            command = [*self._build_command(), "--platform", _PLATFORM, *options, "--tag", uri, folder]
            self._run(command, "could not build the image")

    def push(self, uri: str, login: Login) -> None:
        """Pushes an image. The password goes through a pipe: no command line shows it. Raises ToolFailed."""
        self._run(
            ["login", "--username", login.user, "--password-stdin", login.registry],
            f"could not log in to {login.registry}",
            login.password,
        )
        self._run(["push", uri], f"could not push {uri}")

    def _build_command(self) -> Sequence[str]:
        """SageMaker is reported to refuse OCI manifests and indexes with attestations: Docker's own format it is."""
        if self.name == "podman":
            return ["build", "--format", "docker"]
        if self.name == "docker":
            if not _answers(["docker", "buildx", "version"]):
                return ["build"]  # the old builder knows no other format
            return ["buildx", "build", "--provenance=false", "--output", "type=docker"]
        return ["build", "--provenance=false", "--output", "type=docker"]

    def _run(self, arguments: Sequence[str], what: str, said: str | None = None) -> None:
        try:
            done = subprocess.run([self.name, *arguments], input=said, text=True, check=False)
        except OSError as error:
            raise ToolFailed(f"{self.name} {what}: {error.strerror}") from error
        if done.returncode:
            raise ToolFailed(f"{self.name} {what} (exit code {done.returncode}); its last lines say why")


def _works(name: str) -> bool:
    return shutil.which(name) is not None and _answers([name, "info"])


def _answers(command: Sequence[str]) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False
