"""Has AWS CodeBuild build the image for remote tuners, for those who have no container tool.

The context goes to S3; a project of ours, made or brought up to date, builds it with ``build_and_push.sh`` and pushes
it to the account's registry. A second call meanwhile finds the build that runs, and follows that.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AwsError, Conflict, NotFound
from cloudtune.aws.image_recipe import SCRIPT, Recipe
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.ecr import Repository
    from cloudtune.aws.s3 import Bucket

logger = logging.getLogger(__name__)

PROJECT = "cloudtune-image"
#: Seconds between two looks at a build.
_EVERY = 2.0
_LAST_LINES = 20
_RECENT_BUILDS = 20
#: One of AWS's own images for building: it has docker and the AWS command line.
_BUILDER = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
_MINUTES = 60
#: A buildspec may be JSON: that is YAML too.
_BUILDSPEC = json.dumps({"version": "0.2", "phases": {"build": {"commands": [f"sh ./{SCRIPT}"]}}}, indent=1)


class BuildFailed(CloudtuneError):
    """The build came to no image.

    Args:
        message: One sentence with the reason.
        last_lines: How its log ended.
    """

    def __init__(self, message: str, last_lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.last_lines = tuple(last_lines)

    def __reduce__(self) -> tuple[type[BuildFailed], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.last_lines)


class ImageBuilder:
    """Builds images in the account.

    Args:
        aws: Account and region.
        bucket: For the build's context.
        repository: Where the image goes; it must exist.
        role: ARN of the role that CodeBuild works with.
        prefix: Before the context's key.
        tell: Gets a line about each step.
        log: Gets each line of the build's log.
        every: Seconds between two looks at the build.
    """

    def __init__(
        self,
        aws: Aws,
        bucket: Bucket,
        repository: Repository,
        role: str,
        prefix: str = "",
        tell: Callable[[str], object] = logger.info,
        log: Callable[[str], object] = logger.debug,
        every: float = _EVERY,
    ) -> None:
        self._aws = aws
        self._bucket = bucket
        self._repository = repository
        self._role = role
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._tell = tell
        self._log = log
        self._every = every

    def build(self, recipe: Recipe, cancel: threading.Event | None = None) -> str:
        """Builds and pushes an image; waits for that.

        Args:
            recipe: Of the image.
            cancel: Ends the waiting when it is set; the build goes on.

        Returns:
            Its URI.

        Raises:
            BuildFailed: It could not be built, or the waiting was ended.
            AwsError: CodeBuild or S3 refuses.
        """
        build_id = self._running(recipe.tag)
        if build_id is None:
            build_id = self._start(recipe)
            self._tell(f"CodeBuild builds {recipe.tag} as {build_id}")
        else:
            self._tell(f"CodeBuild builds {recipe.tag} already, as {build_id}")
        self._follow(build_id, cancel or threading.Event())
        if not self._repository.has(recipe.tag):
            raise BuildFailed(
                f"the build {build_id} has succeeded without {self._repository.uri(recipe.tag)}; start it again"
            )
        return self._repository.uri(recipe.tag)

    def _start(self, recipe: Recipe) -> str:
        key = f"{self._prefix}{context_prefix()}{recipe.tag}/context.zip"
        self._bucket.put(key, recipe.archive())
        self._ensure_project(f"{self._bucket.name}/{key}")
        # The token is drawn anew each time: a repeated request starts one build, a repeated command after a failure
        # another one.
        answer = self._aws.call(
            "codebuild",
            "start_build",
            projectName=PROJECT,
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{self._bucket.name}/{key}",
            environmentVariablesOverride=_variables(recipe, self._repository.name),
            computeTypeOverride="BUILD_GENERAL1_MEDIUM" if recipe.extras else "BUILD_GENERAL1_SMALL",
            idempotencyToken=secrets.token_hex(16),
        )
        return str(answer["build"]["id"])

    def _ensure_project(self, source: str) -> None:
        """Makes the project, or brings what we set of it up to date."""
        wanted: dict[str, Any] = {
            "name": PROJECT,
            "description": "Builds the image for remote tuners of cloudtune",
            "source": {"type": "S3", "location": source, "buildspec": _BUILDSPEC},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": _BUILDER,
                "computeType": "BUILD_GENERAL1_SMALL",
                "privilegedMode": True,  # docker runs within it
            },
            "serviceRole": self._role,
            "timeoutInMinutes": _MINUTES,
            "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": log_group()}},
        }
        found = self._aws.call("codebuild", "batch_get_projects", names=[PROJECT])["projects"]
        if not found:
            tags = [{"key": "cloudtune:image", "value": "tuner"}]
            try:
                self._aws.call("codebuild", "create_project", **wanted, tags=tags)
            except Conflict:  # another program was faster, or the answer to our own first try was lost
                found = self._aws.call("codebuild", "batch_get_projects", names=[PROJECT])["projects"]
            else:
                self._tell(f"created the CodeBuild project {PROJECT}")
                return
        # The place of the source is given with each build.
        wanted["source"]["location"] = found[0].get("source", {}).get("location", source)
        if not _is_within(wanted, found[0]):
            self._aws.call("codebuild", "update_project", **wanted)
            self._tell(f"brought the CodeBuild project {PROJECT} up to date")

    def _running(self, tag: str) -> str | None:
        """The build under way that makes this image."""
        try:
            ids = self._aws.call("codebuild", "list_builds_for_project", projectName=PROJECT)["ids"][:_RECENT_BUILDS]
        except NotFound:
            return None
        builds = self._aws.call("codebuild", "batch_get_builds", ids=ids)["builds"] if ids else []
        for build in builds:
            variables = {entry["name"]: entry["value"] for entry in build["environment"]["environmentVariables"]}
            same_place = variables.get("REPOSITORY") == self._repository.name
            if build["buildStatus"] == "IN_PROGRESS" and variables.get("TAG") == tag and same_place:
                return str(build["id"])
        return None

    def _follow(self, build_id: str, cancel: threading.Event) -> None:
        """Tells of phases and log until the build has succeeded."""
        told: set[str] = set()
        log = _BuildLog(self._aws, self._log)
        while True:
            build = self._aws.call("codebuild", "batch_get_builds", ids=[build_id])["builds"][0]
            for phase in build.get("phases", []):
                if phase.get("phaseStatus") and phase["phaseType"] not in told:
                    told.add(phase["phaseType"])
                    seconds = phase.get("durationInSeconds") or 0
                    status = phase["phaseStatus"].lower().replace("_", " ")
                    self._tell(f"{phase['phaseType'].lower().replace('_', ' ')}: {status} after {seconds} s")
            log.read(build.get("logs") or {})
            if build["buildStatus"] != "IN_PROGRESS":
                break
            if cancel.wait(self._every):
                raise BuildFailed(
                    f"the build {build_id} goes on without being watched; run the same again to see its end"
                )
        if build["buildStatus"] != "SUCCEEDED":
            raise BuildFailed(_why(build), log.last)


class _BuildLog:
    """Reads the log of a build as it comes."""

    def __init__(self, aws: Aws, log: Callable[[str], object]) -> None:
        self.last: list[str] = []
        self._aws = aws
        self._log = log
        self._token: dict[str, Any] = {}

    def read(self, where: Mapping[str, Any]) -> None:
        """Reads what is new. A log that cannot be read ends no build."""
        group, stream = where.get("groupName"), where.get("streamName")
        while group and stream:
            try:
                page = self._aws.call(
                    "logs",
                    "get_log_events",
                    logGroupName=group,
                    logStreamName=stream,
                    startFromHead=True,
                    **self._token,
                )
            except NotFound:  # not a line yet
                return
            except AwsError as error:
                logger.warning("the log of the build cannot be read: %s", error)
                return
            for event in page["events"]:
                line = event["message"].rstrip("\n")
                self.last = [*self.last[1 - _LAST_LINES :], line]
                self._log(line)
            is_end = page["nextForwardToken"] == self._token.get("nextToken")
            self._token = {"nextToken": page["nextForwardToken"]}
            if is_end:
                return


def log_group() -> str:
    """Of the builds, in CloudWatch."""
    return f"/aws/codebuild/{PROJECT}"


def context_prefix() -> str:
    """Where contexts lie in the bucket."""
    return "cloudtune/image/"


def project_arn(aws: Aws) -> str:
    """Of our project, whether it exists or not."""
    return f"arn:{aws.partition}:codebuild:{aws.region}:{aws.account}:project/{PROJECT}"


def _variables(recipe: Recipe, repository: str) -> list[dict[str, str]]:
    values = {
        "PYTHON": recipe.python,
        "EXTRAS": recipe.extras,
        "BASE": recipe.base,
        "TAG": recipe.tag,
        "REPOSITORY": repository,
        "CONTAINER_TOOL": "docker",
    }
    return [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in values.items() if value]


def _is_within(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is so; AWS adds defaults of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_is_within(value, found.get(name)) for name, value in wanted.items())
    return bool(wanted == found)


def _why(build: Mapping[str, Any]) -> str:
    status = str(build["buildStatus"]).lower().replace("_", " ")
    for phase in build.get("phases", []):
        if phase.get("phaseStatus") not in (None, "SUCCEEDED"):
            said = "; ".join(" ".join(context.get("message", "").split()) for context in phase.get("contexts") or [])
            where = phase["phaseType"].lower().replace("_", " ")
            return f"the build {build['id']} {status} in its phase {where}{': ' + said if said else ''}"
    return f"the build {build['id']} {status}, and CodeBuild does not say why"
