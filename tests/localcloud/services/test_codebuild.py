"""CodeBuild in the local cloud: projects, and builds that run their commands."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.in_process import InProcessCloud
from tests.localcloud.conftest import wait_until

ROLE = "arn:aws:iam::123456789012:role/builder"


class Workshop:
    """A project called ``works``, whose builds run given commands on a source with one file."""

    def __init__(self, cloud: LocalCloud | InProcessCloud) -> None:
        # So that the cloud has to find what is wrong with a request.
        self.codebuild = cloud.client("codebuild", config=Config(parameter_validation=False))
        self.logs = cloud.client("logs")
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="data")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as source:
            source.writestr("here.txt", "from the source\n")
        s3.put_object(Bucket="data", Key="source.zip", Body=archive.getvalue())
        s3.put_object(Bucket="data", Key="no.zip", Body=b"no archive")
        self.codebuild.create_project(**self.request())

    def request(self, **more: Any) -> dict[str, Any]:
        return {
            "name": "works",
            "source": {"type": "S3", "location": "data/source.zip", "buildspec": "{}"},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}],
            },
            "serviceRole": ROLE,
            **more,
        }

    def start(self, *commands: str, **more: Any) -> str:
        spec = json.dumps({"version": "0.2", "phases": {"build": {"commands": commands}}})
        started = self.codebuild.start_build(projectName="works", **{"buildspecOverride": spec, **more})
        return str(started["build"]["id"])

    def look(self, build_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.codebuild.batch_get_builds(ids=[build_id])["builds"][0]
        return found

    def run(self, *commands: str, **more: Any) -> dict[str, Any]:
        """A build, at its end."""
        build_id = self.start(*commands, **more)
        wait_until(lambda: self.look(build_id)["buildComplete"], "the end of a build")
        return self.look(build_id)

    def lines(self, build: dict[str, Any]) -> list[str]:
        where = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
        return [event["message"] for event in self.logs.get_log_events(**where, startFromHead=True)["events"]]


@pytest.fixture
def workshop(local_cloud: LocalCloud) -> Workshop:
    return Workshop(local_cloud)


def failure(build: dict[str, Any]) -> tuple[str, str, str]:
    """Phase, code and message of what went wrong."""
    (phase,) = [phase for phase in build["phases"] if phase.get("phaseStatus") == "FAILED"]
    return phase["phaseType"], phase["contexts"][0]["statusCode"], phase["contexts"][0]["message"]


def test_a_build_runs_its_commands_on_its_source(workshop: Workshop, local_cloud: LocalCloud) -> None:
    """With the variables of project and request, in the account's cloud; what it prints is its log."""
    variable = {"name": "TWO", "value": "two", "type": "PLAINTEXT"}
    build = workshop.run("cat here.txt", "echo $ONE $TWO $AWS_ENDPOINT_URL", environmentVariablesOverride=[variable])
    assert build["buildStatus"] == "SUCCEEDED"
    assert workshop.lines(build)[1::2] == ["from the source", f"1 two {local_cloud.endpoint}"]
    assert workshop.lines(build)[0] == "Running command cat here.txt"
    assert [phase["phaseType"] for phase in build["phases"]] == [
        "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
        "FINALIZING", "COMPLETED",
    ]  # fmt: skip
    assert build["logs"]["groupName"] == "/aws/codebuild/works"
    assert build["endTime"] >= build["startTime"]


def test_a_command_that_fails_ends_the_build(workshop: Workshop) -> None:
    """What stands after it is not run; the phase says which command it was."""
    build = workshop.run("echo before; exit 3", "echo after")
    assert build["buildStatus"] == "FAILED"
    assert failure(build) == (
        "BUILD", "COMMAND_EXECUTION_ERROR", "Error while executing command: echo before; exit 3. Reason: exit status 3",
    )  # fmt: skip
    assert workshop.lines(build)[1:] == ["before"]


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ({"sourceLocationOverride": "data/gone.zip"}, "CLIENT_ERROR", "NoSuchKey"),
        ({"sourceLocationOverride": "gone/source.zip"}, "CLIENT_ERROR", "NoSuchBucket"),
        ({"sourceLocationOverride": "data/no.zip"}, "CLIENT_ERROR", "no ZIP archive"),
        ({"sourceTypeOverride": "GITHUB"}, "CLIENT_ERROR", "from S3 only"),
        ({"buildspecOverride": "phases: {}"}, "YAML_FILE_ERROR", "no JSON with phases"),
        ({"buildspecOverride": "[]"}, "YAML_FILE_ERROR", "no JSON with phases"),
    ],
)
def test_a_source_that_is_of_no_use_fails_the_build(
    workshop: Workshop, override: dict[str, str], code: str, words: str
) -> None:
    """While it is fetched, before any command runs."""
    build = workshop.run("true", **override)
    phase, found, message = failure(build)
    assert (phase, found) == ("DOWNLOAD_SOURCE", code)
    assert words in message
    assert not build["logs"].get("streamName")


def test_a_project_can_be_changed_in_part(workshop: Workshop) -> None:
    """What is not named stays; builds go by the project as it is when they start."""
    workshop.codebuild.update_project(name="works", description="new", timeoutInMinutes=7)
    (project,) = workshop.codebuild.batch_get_projects(names=["works", "quiet"])["projects"]
    assert (project["description"], project["timeoutInMinutes"], project["serviceRole"]) == ("new", 7, ROLE)
    assert workshop.codebuild.batch_get_projects(names=["quiet"])["projectsNotFound"] == ["quiet"]
    assert workshop.look(workshop.start("true"))["timeoutInMinutes"] == 7


def test_builds_are_listed_newest_first(workshop: Workshop) -> None:
    """Those of a project, by their ids; unknown ids are told apart."""
    ids = [workshop.start("true") for _ in range(3)]
    assert workshop.codebuild.list_builds_for_project(projectName="works")["ids"] == ids[::-1]
    assert workshop.codebuild.batch_get_builds(ids=["works:none"])["buildsNotFound"] == ["works:none"]


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("create_project", None, "ResourceAlreadyExistsException"),
        ("update_project", {"name": "quiet"}, "ResourceNotFoundException"),
        ("start_build", {"projectName": "quiet"}, "ResourceNotFoundException"),
        ("list_builds_for_project", {"projectName": "quiet"}, "ResourceNotFoundException"),
        ("batch_get_builds", {"ids": []}, "InvalidInputException"),
    ],
)
def test_mistakes_are_answered_as_by_aws(
    workshop: Workshop, operation: str, params: dict[str, Any] | None, code: str
) -> None:
    """By their codes, also where boto3 itself does not look."""
    with pytest.raises(ClientError) as raised:
        getattr(workshop.codebuild, operation)(**(workshop.request() if params is None else params))
    assert raised.value.response["Error"]["Code"] == code


def test_a_reset_kills_builds_and_forgets_them(workshop: Workshop, local_cloud: LocalCloud, tmp_path: Path) -> None:
    """Nothing of the machine's goes on running for a cloud that knows nothing of it."""
    pid = tmp_path / "pid"
    workshop.start(f"echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 600")
    wait_until(pid.exists, "the build's command")
    local_cloud.reset()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert Workshop(local_cloud).codebuild.list_builds_for_project(projectName="works")["ids"] == []


def test_a_cloud_within_a_process_runs_no_builds(in_process_cloud: InProcessCloud) -> None:
    """Their commands could not reach it, and would look for AWS itself."""
    workshop = Workshop(in_process_cloud)
    assert failure(workshop.run("true"))[:2] == ("PROVISIONING", "INTERNAL_ERROR")
