"""The script that builds and pushes the image: what it calls, in which order, and how it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.aws.image_recipe import Recipe, recipe
from tests.container.fake_tools import ADDRESS, PASSWORD, FakeTools

CONTAINER = Path(__file__).parents[2] / "container"
SCRIPT = CONTAINER / "build_and_push.sh"
#: A Python other than ours: its recipe is the one that comes with cloudtune, as the script takes it.
OTHER = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"


@pytest.fixture
def tools(tmp_path: Path) -> FakeTools:
    return FakeTools.create(tmp_path / "tools", "docker", "podman", "finch", "aws")


def run(
    tools: FakeTools, *arguments: str, script: Path = SCRIPT, shell: str = "sh"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which(shell)), str(script), *arguments],
        env=tools.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def steps(tools: FakeTools) -> list[str]:
    """The calls without their arguments."""
    words = [line.split() for line in tools.calls()]
    return [" ".join(line[: 3 if line[0] == "aws" or "buildx" in line else 2]) for line in words]


def shipped(python: str = OTHER) -> Recipe:
    return recipe(python)


def test_an_image_is_built_and_pushed_under_the_tag_of_its_content(tools: FakeTools) -> None:
    """The repository comes first, then the look whether the image is there; standard output has the URI alone."""
    done = run(tools, "-p", OTHER)
    uri = f"{ADDRESS}/cloudtune-tuner:{shipped().tag}"
    assert (done.returncode, done.stdout) == (0, f"{uri}\n"), done.stderr
    assert steps(tools) == [
        "docker info",
        "aws ecr describe-repositories",
        "aws ecr create-repository",
        "aws ecr put-lifecycle-policy",
        "aws ecr describe-images",
        "docker buildx version",
        "docker buildx build",
        "aws ecr get-login-password",
        "docker login",
        "docker push",
    ]
    calls = tools.calls()
    assert "--image-tag-mutability IMMUTABLE" in calls[2]
    assert "scanOnPush=true" in calls[2]
    assert f"file://{CONTAINER}/lifecycle.json" in calls[3]
    assert "--provenance=false --output type=docker --platform linux/amd64" in calls[6]
    assert f"--build-arg PYTHON={OTHER} " in calls[6]
    assert calls[6].endswith(f"--file {CONTAINER}/Dockerfile --tag {uri} {CONTAINER}")
    assert calls[-1] == f"docker push {uri}"


def test_the_password_is_on_no_command_line(tools: FakeTools) -> None:
    """It passes through a pipe, and is printed nowhere."""
    done = run(tools, "-p", OTHER)
    login = next(line for line in tools.calls() if " login " in line)
    assert login == f"docker login --username AWS --password-stdin {ADDRESS} < {PASSWORD}\n"
    assert not [line for line in tools.calls() if PASSWORD in line.partition("<")[0]]
    assert PASSWORD not in done.stdout + done.stderr


def test_what_is_there_is_not_built_again(tools: FakeTools) -> None:
    """Neither repository nor image: the second run asks two questions and says the same."""
    first = run(tools, "-p", OTHER)
    tools.forget()
    second = run(tools, "-p", OTHER)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert steps(tools) == ["docker info", "aws ecr describe-repositories", "aws ecr describe-images"]


@pytest.mark.parametrize(
    ("there", "named", "expected"),
    [
        (["docker", "podman", "finch"], None, "docker"),
        (["podman", "finch"], None, "podman"),
        (["finch"], None, "finch"),
        (["docker", "podman"], "podman", "podman"),
    ],
)
def test_the_first_tool_that_works_is_taken(tmp_path: Path, there: list[str], named: str | None, expected: str) -> None:
    """Or the one that is named. Each is told in its own way to write Docker's format, which SageMaker reads."""
    tools = FakeTools.create(tmp_path, "aws", *there)
    done = run(tools, "-p", OTHER, *(["-t", named] if named else []))
    assert done.returncode == 0, done.stderr
    build = next(line for line in tools.calls() if line.startswith(expected) and " build " in line)
    wanted = {
        "podman": "podman build --format docker ",
        "finch": "finch build --provenance=false --output type=docker ",
    }
    assert build.startswith(wanted.get(expected, "docker buildx build --provenance=false --output type=docker "))
    assert f"{expected} push" in steps(tools)


def test_a_tool_that_does_not_run_is_passed_over(tools: FakeTools) -> None:
    """docker may be installed without an engine; where it was named, that is said instead."""
    tools.fail("docker info")
    assert run(tools, "-p", OTHER).returncode == 0
    assert "podman push" in steps(tools)
    done = run(tools, "-p", OTHER, "-t", "docker")
    assert done.returncode == 1
    assert "docker is not installed, or does not run here" in done.stderr


def test_docker_without_buildx_builds_as_it_can(tools: FakeTools) -> None:
    """The old builder knows neither the option nor any other format."""
    tools.fail("docker buildx")
    assert run(tools, "-p", OTHER).returncode == 0
    build = next(line for line in tools.calls() if line.startswith("docker build "))
    assert "--provenance" not in build


@pytest.mark.parametrize(
    ("failing", "words", "last"),
    [
        (["docker info", "podman info", "finch info"], "--codebuild", "finch info"),
        (["aws ecr describe-rep", "aws ecr create-rep"], "can be neither found nor created", "aws ecr describe-repo"),
        (["docker buildx build"], "docker could not build the image", "docker buildx build"),
        (["aws ecr get-login"], "there is no password", "aws ecr get-login-password"),
        (["docker login"], "docker could not log in", "docker login"),
        (["docker push"], "docker could not push", "docker push"),
    ],
)
def test_a_failure_names_its_step_and_ends_there(tools: FakeTools, failing: list[str], words: str, last: str) -> None:
    """Exit code 1, one sentence, no URI, and nothing is done after it."""
    tools.fail(*failing)
    done = run(tools, "-p", OTHER)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[-1]
    assert tools.calls()[-1].startswith(last)


def test_a_repository_that_another_made_meanwhile_is_used(tools: FakeTools) -> None:
    """Creating it fails then, and looking again finds it."""
    (tools.folder / "bin" / "aws").rename(tools.folder / "bin" / "aws.real")
    other = tools.folder / "bin" / "aws"
    state = tools.folder / "state.json"
    # The other program creates it between our look and our wish.
    made = json.dumps({"repositories": ["cloudtune-tuner"], "images": [], "failing": [], "holding": []})
    other.write_text(
        f"""#!{shutil.which("sh")}
if [ "$2" = create-repository ]; then
    printf '%s' '{made}' >{state}
    exit 254
fi
exec {tools.folder}/bin/aws.real "$@"
""",
        encoding="utf-8",
    )
    other.chmod(0o755)
    done = run(tools, "-p", OTHER)
    assert (done.returncode, done.stdout) == (0, f"{ADDRESS}/cloudtune-tuner:{shipped().tag}\n"), done.stderr


def test_without_pushing_nothing_is_asked_of_aws(tools: FakeTools) -> None:
    """An image to try here, under a name without a registry."""
    done = run(tools, "-p", OTHER, "-n")
    assert (done.returncode, done.stdout) == (0, f"cloudtune-tuner:{shipped().tag}\n")
    assert not [line for line in tools.calls() if line.startswith("aws") or "push" in line or "login" in line]


def test_base_and_extras_are_part_of_the_tag(tools: FakeTools, tmp_path: Path) -> None:
    """As the library computes it, so that the image that one of them pushes is found by the other."""
    made = Recipe(OTHER, "bo", "mine@sha256:0123", "botorch==1.0\n", CONTAINER)
    made.write(tmp_path / "context")
    done = run(
        tools, "-p", OTHER, "-e", "bo", "-b", "mine@sha256:0123", "-r", "my/tuner",
        script=tmp_path / "context" / "build_and_push.sh",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{ADDRESS}/my/tuner:{made.tag}\n"), done.stderr
    build = next(line for line in tools.calls() if "buildx build" in line)
    assert f"--build-arg EXTRAS=bo --build-arg TAG={made.tag} --build-arg BASE=mine@sha256:0123 " in build
    assert made.tag.startswith(f"py{OTHER.replace('.', '')}-bo-")
    tags = {made.tag, shipped().tag, Recipe(OTHER, "bo", "", "botorch==1.0\n", CONTAINER).tag}
    assert len(tags) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["-p", "2.7"], "requirements/2.7.txt"), (["-e", "none"], "-none.txt"), (["-x"], "usage")],
)
def test_what_cannot_be_built_is_refused_before_anything_is_done(
    tools: FakeTools, arguments: list[str], words: str
) -> None:
    """A Python or extras without a list of packages, and options that there are not."""
    done = run(tools, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert tools.calls() == []


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_any_shell_runs_it(tools: FakeTools, shell: str) -> None:
    """It keeps to POSIX; the tests use what is there of the two."""
    if shutil.which(shell) is None:  # then /bin/sh is the only one to try, which the other tests do
        return
    assert run(tools, "-p", OTHER, shell=shell).returncode == 0
