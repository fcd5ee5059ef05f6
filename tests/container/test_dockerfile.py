"""The Dockerfile: what its rules are, and its recipe carried out as far as that goes without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cloudtune.aws.image_recipe import recipe
from cloudtune.aws.packaging import build_program_bundle
from cloudtune.aws.source_files import SourceFolder

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "container"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


class Instruction(NamedTuple):
    """A line of the Dockerfile, its continuations joined."""

    name: str
    text: str


def instructions() -> Iterator[Instruction]:
    text = "\n".join(
        line for line in (CONTAINER / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    )
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield Instruction(name, rest.strip())


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for one in instructions():
        if one.name == "FROM":
            found.append([])
        if found:
            found[-1].append(one)
    return found


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles, with all its rules."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(CONTAINER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_finds_nothing() -> None:
    """The linter of shell scripts, as POSIX has the shell."""
    shellcheck = Path(sys.executable).with_name("shellcheck")
    script = str(CONTAINER / "build_and_push.sh")
    done = subprocess.run(
        [str(shellcheck), "--shell", "sh", "--severity", "style", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_supported_python_has_a_base_pinned_by_its_version() -> None:
    """One stage for each Python of the package's classifiers, by a full version and a release of Debian."""
    supported = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    bases = {
        match[1]: match[0]
        for one in instructions()
        if one.name == "FROM" and (match := re.fullmatch(r"\S+/python:(\S+)-slim-bookworm AS python(3\.\d+)", one.text))
        and (match := re.fullmatch(r"\S+/python:(3\.\d+)\.\d+-slim-bookworm AS python\1", one.text))
    }  # fmt: skip
    assert sorted(bases) == sorted(supported) == sorted(PYTHONS)


def test_the_last_stage_only_copies() -> None:
    """No compiler, no package manager's cache, no source: what was installed comes from the stage before."""
    last = stages()[-1]
    assert last[0].text == "${BASE}"
    assert [one.text for one in last if one.name == "COPY"] == ["--from=packages /opt/cloudtune /opt/cloudtune"]
    ran = [one.text for one in last if one.name == "RUN"]
    assert ran == ["useradd --create-home --uid 1000 tuner"]
    assert not [one for one in instructions() if "apt-get" in one.text or one.name == "ADD"]


def test_no_entry_point_stands_in_the_agents_way() -> None:
    """The job's request names the entry point, which finds python3 on the PATH; logs come line by line."""
    last = stages()[-1]
    assert not [one for one in last if one.name == "ENTRYPOINT"]
    variables = next(one.text for one in last if one.name == "ENV")
    assert "PATH=/opt/cloudtune/bin:${PATH}" in variables
    assert "PYTHONUNBUFFERED=1" in variables


def test_nothing_secret_can_get_in() -> None:
    """Only the lists of packages are copied from the context, and no argument or variable takes a secret."""
    copied = [one.text for one in instructions() if one.name in ("COPY", "ADD")]
    assert copied == ["requirements/ /requirements/", "--from=packages /opt/cloudtune /opt/cloudtune"]
    names = " ".join(one.text for one in instructions() if one.name in ("ARG", "ENV")).lower()
    assert not re.search(r"secret|token|password|credential|aws_", names)


def test_who_a_container_is_can_be_chosen() -> None:
    """By default root, as SageMaker's training expects; the reason stands beside it."""
    last = stages()[-1]
    assert Instruction("ARG", "RUN_AS=root") in last
    assert Instruction("USER", "${RUN_AS}") in last


def test_labels_tell_what_the_image_is() -> None:
    """In the names that the OCI has given them, and in ours for the Python."""
    labels = next(one.text for one in stages()[-1] if one.name == "LABEL")
    for name in ("title", "description", "licenses", "version"):
        assert f"org.opencontainers.image.{name}=" in labels
    assert 'cloudtune.python="${PYTHON}"' in labels


@pytest.mark.parametrize("python", PYTHONS)
def test_each_list_pins_all_of_the_core_with_hashes(python: str) -> None:
    """Every package has one version and a hash; what pyproject.toml asks for is in it."""
    text = (CONTAINER / "requirements" / f"{python}.txt").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert len(pinned) == len([line for line in text.splitlines() if "==" in line])
    core = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    assert core is not None
    wanted = set(re.findall(r'"([a-z0-9-]+)', core[1]))
    assert wanted <= {name for name, _ in pinned}


def test_the_lifecycle_policy_keeps_some_images() -> None:
    """It forgets what nobody uses, and never all."""
    rules = json.loads((CONTAINER / "lifecycle.json").read_text())["rules"]
    assert all(rule["action"] == {"type": "expire"} for rule in rules)
    counted = [rule["selection"] for rule in rules if rule["selection"]["tagStatus"] == "any"]
    assert [selection["countNumber"] >= 10 for selection in counted] == [True]


def build_stage_script(python: str, extras: str = "") -> list[str]:
    """The RUN lines of the stage that installs, with the arguments of the build in them."""
    packages = next(stage for stage in stages() if stage[0].text.endswith("AS packages"))
    return [one.text for one in packages if one.name == "RUN"]


@pytest.mark.parametrize(("python", "code"), [("here", 0), ("3.9", 1)])
def test_a_base_with_another_python_is_refused(python: str, code: int) -> None:
    """The first RUN of the recipe, run here: it compares the base's Python with the one asked for."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    check = build_stage_script(here)[0]
    wanted = here if python == "here" else python
    done = subprocess.run(
        ["/bin/sh", "-c", check.replace("python3", sys.executable, 1).replace("${PYTHON}", wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "" if not code else f"the base image has Python {here}, not 3.9\n")


@pytest.mark.long
def test_the_recipe_runs_and_a_remote_tuner_starts_in_what_it_makes(tmp_path: Path) -> None:
    """The second RUN, with folders of its own: the environment holds exactly the list, and cloudtune imports in it."""
    made = recipe()
    made.write(tmp_path / "context")
    home = tmp_path / "opt"
    run = build_stage_script(made.python)[1]
    for before, after in (
        ("/opt/cloudtune", str(home)),
        ("/requirements/", f"{tmp_path}/context/requirements/"),
        ("python3 -m venv", f"{sys.executable} -m venv"),
    ):
        assert before in run
        run = run.replace(before, after)
    environment = {"PATH": str(Path(str(shutil.which("sh"))).parent), "PYTHON": made.python, "EXTRAS": ""}
    inherited = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "http", "SSL"))}
    subprocess.run(["/bin/sh", "-euc", run], check=True, env={**inherited, **environment, "HOME": str(tmp_path)})
    listed = subprocess.run(
        [str(home / "bin" / "python"), "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    there = {row["name"].lower().replace("_", "-"): row["version"] for row in json.loads(listed.stdout)}
    wanted = dict(line.split("==") for line in made.requirements.splitlines() if "==" in line)
    assert {name: there.get(name) for name in wanted} == wanted
    assert set(there) - set(wanted) <= {"pip", "setuptools"}
    checked = subprocess.run(
        [str(home / "bin" / "python"), "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    # As the job does it: cloudtune comes from the archive that is shipped, everything else from the image.
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(build_program_bundle("nothing", SourceFolder(), {}).body)
    program = (
        "import cloudtune.remote.program, cloudtune.backend.sagemaker_backend.backend, cloudtune.optimizer.baselines; "
        "from cloudtune.aws.images import images; print(cloudtune.__file__, bool(images('pytorch')))"
    )
    done = subprocess.run(
        [str(home / "bin" / "python"), "-c", program],
        cwd=tmp_path,
        env={"PATH": f"{home}/bin", "PYTHONPATH": str(archive), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{archive}/cloudtune/__init__.py True\n", done.stderr
