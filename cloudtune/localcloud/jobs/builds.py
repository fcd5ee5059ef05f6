"""Builds of CodeBuild: they really run, as processes of this machine, without the container that AWS gives them."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.environment import cloud_environment
from cloudtune.localcloud.jobs.job_environment import MARKER
from cloudtune.localcloud.jobs.storage import StorageError

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

RUNNING, SUCCEEDED, FAILED = "IN_PROGRESS", "SUCCEEDED", "FAILED"
_COMMANDS = ("install", "pre_build", "build", "post_build")


class _PhaseFailed(Exception):
    """A phase came to no good end."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Build:
    """A build as CodeBuild describes it.

    Args:
        account: Whose it is.
        region: Where.
        project: Its project's description, with what the build overrides.
        started: In the cloud's time.
    """

    account: str
    region: str
    project: Mapping[str, Any]
    started: float
    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = RUNNING
    phases: list[dict[str, Any]] = field(default_factory=list)
    ended: float | None = None
    has_log: bool = False

    @property
    def id(self) -> str:
        """``<project>:<uuid>``."""
        return f"{self.project['name']}:{self.name}"

    @property
    def log_group(self) -> str:
        """As the project has it, or CodeBuild's own."""
        logs = (self.project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        return str(logs.get("groupName") or f"/aws/codebuild/{self.project['name']}")

    def describe(self) -> dict[str, Any]:
        """As BatchGetBuilds tells it."""
        logs = {"groupName": self.log_group, "streamName": self.name} if self.has_log else {}
        return {
            "id": self.id,
            "arn": f"arn:aws:codebuild:{self.region}:{self.account}:build/{self.id}",
            "projectName": self.project["name"],
            "buildStatus": self.status,
            "buildComplete": self.status != RUNNING,
            "currentPhase": self.phases[-1]["phaseType"] if self.phases else "SUBMITTED",
            "phases": [dict(phase) for phase in self.phases],
            "startTime": self.started,
            **({} if self.ended is None else {"endTime": self.ended}),
            "source": self.project["source"],
            "environment": self.project["environment"],
            "serviceRole": self.project["serviceRole"],
            "timeoutInMinutes": self.project.get("timeoutInMinutes", 60),
            "logs": logs,
        }


class Builds:
    """The builds of a cloud, each in a thread of its own. They are gone when the cloud ends.

    A build has the PATH of the cloud: where docker or aws are not on it, it fails as on any machine without them. Of a
    buildspec only the phases' commands are heeded, and only in its JSON form. Without an endpoint that a process could
    reach (the in-process form) every build fails.

    Args:
        platform: The cloud.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._all: list[Build] = []

    def start(self, build: Build) -> None:
        """Begins a build."""
        thread = threading.Thread(target=self._run, args=(build,), name=f"build {build.id}", daemon=True)
        with self._lock:
            self._all.append(build)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def of(self, account: str, region: str) -> list[Build]:
        """All builds there, newest first."""
        with self._lock:
            return [build for build in reversed(self._all) if (build.account, build.region) == (account, region)]

    def clear(self) -> None:
        """Kills what runs and forgets everything."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
            for process in self._processes:
                _kill(process)
        for thread in threads:
            thread.join()
        with self._lock:
            self._all.clear()
            self._closed = False

    def _run(self, build: Build) -> None:
        folder = tempfile.mkdtemp(prefix="cloudtune-build-")
        try:
            with self._phase(build, "SUBMITTED"), self._phase(build, "QUEUED"):
                pass
            with self._phase(build, "PROVISIONING"):
                if self._platform.endpoint is None:
                    raise _PhaseFailed("INTERNAL_ERROR", "A cloud within a process runs no builds.")
            with self._phase(build, "DOWNLOAD_SOURCE"):
                self._download(build, folder)
                commands = _commands(build)
            for name in _COMMANDS:
                with self._phase(build, name.upper()):
                    for command in commands.get(name, ()):
                        self._execute(build, command, folder)
            status = SUCCEEDED
        except _PhaseFailed:
            status = FAILED
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        with self._phase(build, "FINALIZING"):
            build.ended = self._platform.clock.time()
        build.phases.append({"phaseType": "COMPLETED", "startTime": build.ended})
        build.status = status

    @contextmanager
    def _phase(self, build: Build, name: str) -> Iterator[None]:
        began = self._platform.clock.time()
        phase: dict[str, Any] = {"phaseType": name, "startTime": began}
        build.phases.append(phase)
        outcome: dict[str, Any] = {"phaseStatus": "SUCCEEDED"}
        try:
            yield
        except _PhaseFailed as error:
            context = {"statusCode": error.code, "message": str(error)}
            outcome = {"phaseStatus": FAILED, "contexts": [context]}
            raise
        finally:
            ended = self._platform.clock.time()
            phase.update({"endTime": ended, "durationInSeconds": int(ended - began), **outcome})

    def _download(self, build: Build, folder: str) -> None:
        source = build.project["source"]
        if source.get("type") != "S3":
            raise _PhaseFailed("CLIENT_ERROR", f"The local cloud builds from S3 only, not from {source.get('type')}.")
        bucket, _, key = str(source.get("location", "")).removeprefix("arn:aws:s3:::").partition("/")
        try:
            with zipfile.ZipFile(io.BytesIO(self._platform.storage.read(bucket, key))) as archive:
                archive.extractall(folder)
        except StorageError as error:
            raise _PhaseFailed("CLIENT_ERROR", f"{error.code}: {error.message}") from error
        except zipfile.BadZipFile as error:
            raise _PhaseFailed("CLIENT_ERROR", f"s3://{bucket}/{key} is no ZIP archive: {error}") from error

    def _execute(self, build: Build, command: str, folder: str) -> None:
        """Runs a command of the buildspec; its output is the build's log."""
        self._log(build, f"Running command {command}")
        with self._lock:
            if self._closed:
                raise _PhaseFailed("INTERNAL_ERROR", "The cloud ends.")
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=folder,
                env=self._environment(build, folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._processes.add(process)
        try:
            assert process.stdout is not None
            with process.stdout as output:
                for line in output:
                    self._log(build, line.decode(errors="replace").rstrip("\n"))
            code = process.wait()
        finally:
            with self._lock:
                self._processes.discard(process)
        if code:
            message = f"Error while executing command: {command}. Reason: exit status {code}"
            raise _PhaseFailed("COMMAND_EXECUTION_ERROR", message)

    def _environment(self, build: Build, folder: str) -> dict[str, str]:
        given = {entry["name"]: entry["value"] for entry in build.project["environment"]["environmentVariables"]}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": folder,
            "LANG": "C.UTF-8",
            **cloud_environment(self._platform.endpoint, build.region),
            **given,
            "CODEBUILD_BUILD_ID": build.id,
            MARKER: self._platform.id,
        }

    def _log(self, build: Build, line: str) -> None:
        now = int(self._platform.clock.time() * 1000)
        self._platform.logs.put(build.account, build.region, build.log_group, build.name, [(now, line)])
        build.has_log = True


def _commands(build: Build) -> Mapping[str, Sequence[str]]:
    try:
        phases = json.loads(build.project["source"].get("buildspec") or "")["phases"]
        return {name: [str(command) for command in phase.get("commands", [])] for name, phase in phases.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _PhaseFailed("YAML_FILE_ERROR", f"The buildspec is no JSON with phases: {error}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
