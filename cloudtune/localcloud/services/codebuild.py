"""CodeBuild: projects, and builds of them that really run. moto's builds have succeeded as soon as one looks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.validate import ParamValidator
from moto.codebuild.models import CodeBuild, codebuild_backends

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.jobs.builds import Build
from cloudtune.localcloud.services.operation import Operation

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform

_MEMBERS = (
    "description",
    "source",
    "artifacts",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "logsConfig",
    "tags",
)


def create_project(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Makes a project, which moto keeps."""
    projects = _projects(caller)
    name = params["name"]
    if name in projects:
        raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {_arn(caller, name)}")
    project = CodeBuild(
        caller.account,
        caller.region,
        project_name=name,
        description=params.get("description"),
        project_source=params["source"],
        artifacts=params["artifacts"],
        environment=_environment(params["environment"]),
        serviceRole=params["serviceRole"],
    )
    projects[name] = project
    _change(platform, project, params)
    return {"project": project.project_metadata}


def update_project(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Changes what is named of a project."""
    project = _project(caller, params["name"])
    _change(platform, project, params)
    return {"project": project.project_metadata}


def batch_get_projects(_platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Those that exist of the named ones."""
    projects = _projects(caller)
    names = [name.rpartition("/")[2] for name in params["names"]]
    return {
        "projects": [projects[name].project_metadata for name in names if name in projects],
        "projectsNotFound": [name for name in names if name not in projects],
    }


def start_build(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Starts a build with the project as it is now, and with what the request puts in its place."""
    project = copy.deepcopy(_project(caller, params["projectName"]).project_metadata)
    source, environment = project["source"], project["environment"]
    for member, override in (
        ("type", "sourceTypeOverride"),
        ("location", "sourceLocationOverride"),
        ("buildspec", "buildspecOverride"),
    ):
        source[member] = params.get(override, source.get(member))
    variables = {entry["name"]: entry for entry in environment["environmentVariables"]}
    variables.update({entry["name"]: entry for entry in params.get("environmentVariablesOverride", [])})
    environment["environmentVariables"] = list(variables.values())
    environment["computeType"] = params.get("computeTypeOverride", environment["computeType"])
    build = Build(caller.account, caller.region, project, platform.clock.time())
    platform.builds.start(build)
    return {"build": build.describe()}


def batch_get_builds(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Those that exist of the named ones."""
    builds = {build.id: build for build in platform.builds.of(caller.account, caller.region)}
    ids = [name.rpartition("/")[2] for name in params["ids"]]
    return {
        "builds": [builds[name].describe() for name in ids if name in builds],
        "buildsNotFound": [name for name in ids if name not in builds],
    }


def list_builds_for_project(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Ids of the newest hundred builds, newest first."""
    name = params["projectName"]
    _project(caller, name)
    builds = platform.builds.of(caller.account, caller.region)
    return {"ids": [build.id for build in builds if build.project["name"] == name][:100]}


def _projects(caller: Caller) -> dict[str, CodeBuild]:
    projects: dict[str, CodeBuild] = codebuild_backends[caller.account][caller.region].codebuild_projects
    return projects


def _project(caller: Caller, name: str) -> CodeBuild:
    project = _projects(caller).get(name)
    if project is None:
        raise AwsError("ResourceNotFoundException", f"Project cannot be found: {_arn(caller, name)}")
    return project


def _arn(caller: Caller, name: str) -> str:
    return f"arn:aws:codebuild:{caller.region}:{caller.account}:project/{name}"


def _environment(given: Mapping[str, Any]) -> dict[str, Any]:
    """With what CodeBuild adds."""
    return {"environmentVariables": [], "privilegedMode": False, "imagePullCredentialsType": "CODEBUILD", **given}


def _change(platform: Platform, project: CodeBuild, params: Mapping[str, Any]) -> None:
    described = project.project_metadata
    described.update({name: copy.deepcopy(params[name]) for name in _MEMBERS if name in params})
    described["environment"] = _environment(described["environment"])
    described["lastModified"] = platform.clock.time()
    described.pop("lastModifiedDate", None)


def _checked(name: str, operation: Operation, platform: Platform, caller: Caller, params: Any) -> dict[str, Any]:
    """Refuses what AWS's model of the operation does not allow."""
    model = botocore.session.get_session().get_service_model("codebuild")
    report = ParamValidator().validate(params, model.operation_model(name).input_shape)
    if report.has_errors():
        raise AwsError("InvalidInputException", report.generate_report())
    return operation(platform, caller, params)


#: Name of the operation -> what answers it. All others are moto's.
OPERATIONS: Mapping[str, Operation] = {
    name: partial(_checked, name, operation)
    for name, operation in {
        "CreateProject": create_project,
        "UpdateProject": update_project,
        "BatchGetProjects": batch_get_projects,
        "StartBuild": start_build,
        "BatchGetBuilds": batch_get_builds,
        "ListBuildsForProject": list_builds_for_project,
    }.items()
}
