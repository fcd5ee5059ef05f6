"""The recipe of the image for remote tuners: its packages and its tag."""

from __future__ import annotations

import io
import sys
import zipfile
from importlib import metadata, resources
from pathlib import Path

import pytest

from cloudtune.aws.image_recipe import NoRecipe, Recipe, container_folder, installed_requirements, recipe, tag_prefix
from cloudtune.aws.images import python_of_image

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = "3.12" if HERE != "3.12" else "3.13"


class Installed:
    """Packages that a test says are installed: name -> version and what it requires."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **packages: tuple[str, list[str]]) -> None:
        core: dict[str, tuple[str, list[str]]] = dict.fromkeys(
            ("boto3", "click", "dill", "numpy", "pandas", "rich"), ("1", [])
        )
        self._packages = {**core, **packages}
        monkeypatch.setattr(metadata, "distribution", self.distribution)
        monkeypatch.setattr(metadata, "requires", lambda name: self.distribution(name).requires)

    def distribution(self, name: str) -> metadata.Distribution:
        if name not in self._packages:
            raise metadata.PackageNotFoundError(name)
        version, requires = self._packages[name]
        found = metadata.PathDistribution(Path("/nowhere"))
        text = f"Name: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)
        found.read_text = {"METADATA": text}.get  # type: ignore[assignment, method-assign]
        return found


def pins(text: str) -> dict[str, str]:
    return dict(line.split("==") for line in text.splitlines() if "==" in line)


def test_the_packages_are_those_that_are_installed_here() -> None:
    """In their versions, with all that they need in turn, and nothing of what else is installed."""
    found = pins(installed_requirements())
    assert {name: metadata.version(name) for name in found} == found
    assert {"boto3", "botocore", "numpy", "pandas", "python-dateutil", "rich"} <= set(found)
    assert not {"moto", "pytest", "cloudtune"} & set(found)


def test_an_extra_adds_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that stands for another; PyTorch comes as the build without CUDA, where there is none here either."""
    Installed(
        monkeypatch,
        cloudtune=("1", ['botorch>=0.1; extra == "bo"', 'cloudtune[bo]; extra == "gpsearchers"']),
        botorch=("0.9", ["torch>=1", "PyRo_ppl>=1", 'pytest; extra == "dev"', 'gone; sys_platform == "win32"']),
        torch=("2.9.0", []),
        pytest=("9", []),
        **{"pyro-ppl": ("1.9+local", [])},
    )
    for extra in ("bo", "gpsearchers"):
        text = installed_requirements([extra])
        found = pins(text)
        assert (found["botorch"], found["pyro-ppl"], found["torch"]) == ("0.9", "1.9", "2.9.0+cpu")
        assert "--extra-index-url https://download.pytorch.org/whl/cpu\n" in text
        assert not {"pytest", "gone", "cloudtune"} & set(found)


def test_pytorch_with_cuda_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has its libraries installed gets them in the image too."""
    Installed(
        monkeypatch,
        cloudtune=("1", ['torch; extra == "bo"']),
        torch=("2.9.0+cu128", ["nvidia-cudnn-cu12"]),
        **{"nvidia-cudnn-cu12": ("9.1", [])},
    )
    assert pins(installed_requirements(["bo"]))["torch"] == "2.9.0"
    assert "--extra-index-url" not in installed_requirements(["bo"])


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of an extra, and an extra that there is not."""
    Installed(monkeypatch, cloudtune=("1", ['botorch; extra == "bo"']))
    with pytest.raises(NoRecipe, match="botorch is not installed here; install it"):
        installed_requirements(["bo"])
    with pytest.raises(NoRecipe, match="no extra 'boo'"):
        installed_requirements(["boo"])


def test_the_tag_tells_the_python_and_changes_with_the_content() -> None:
    """Equal content has equal tags, on any machine; each part of it counts."""
    made = recipe()
    again = Recipe(made.python, made.extras, made.base, made.requirements, made.folder)
    assert made.tag == again.tag
    assert made.tag.startswith(tag_prefix(HERE))
    assert python_of_image(f"here/cloudtune-tuner:{made.tag}") == HERE
    others = [
        Recipe(OTHER, "", "", made.requirements, made.folder),
        Recipe(HERE, "bo", "", made.requirements, made.folder),
        Recipe(HERE, "", "mine:1", made.requirements, made.folder),
        Recipe(HERE, "", "", made.requirements + "more==1\n", made.folder),
    ]
    assert len({one.tag for one in [made, *others]}) == 5


def test_the_dockerfile_is_part_of_the_tag(tmp_path: Path) -> None:
    """A cloudtune with another recipe makes another image."""
    made = recipe()
    made.write(tmp_path)
    (tmp_path / "Dockerfile").write_text(made.dockerfile + "# changed\n", encoding="utf-8")
    assert Recipe(made.python, "", "", made.requirements, tmp_path).tag != made.tag


def test_for_another_python_the_packages_are_the_pinned_ones() -> None:
    """What is installed here is for this Python; the shipped lists have hashes."""
    made = recipe(OTHER)
    assert made.requirements.count("--hash=sha256:") == made.requirements.count("==")
    assert made.list_name == f"requirements/{OTHER}.txt"


@pytest.mark.parametrize(
    ("python", "extras", "words"),
    [("3.7", (), "no base image with Python 3.7"), (OTHER, ("bo",), f"no list of packages for Python {OTHER} with bo")],
)
def test_what_there_is_no_recipe_for_is_said(python: str, extras: tuple[str, ...], words: str) -> None:
    """With what to do instead."""
    with pytest.raises(NoRecipe, match=words):
        recipe(python, extras)


def test_a_base_of_ones_own_may_have_any_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stage need not stand in the Dockerfile; the build itself compares the Pythons."""
    monkeypatch.setattr(sys, "version_info", (3, 15, 0, "final", 0))
    with pytest.raises(NoRecipe, match=r"3\.15"):
        recipe()
    assert recipe(base="mine:1").tag.startswith("py315-")


def test_the_context_holds_what_the_build_needs_and_no_more() -> None:
    """As an archive it is the same each time; the script may be run."""
    made = recipe()
    assert made.archive() == made.archive()
    with zipfile.ZipFile(io.BytesIO(made.archive())) as archive:
        names = archive.namelist()
        assert names == ["Dockerfile", "build_and_push.sh", "lifecycle.json", made.list_name]
        assert archive.getinfo("build_and_push.sh").external_attr >> 16 == 0o100755
        assert archive.read(made.list_name).decode() == made.requirements


def test_within_an_archive_there_is_no_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A remote tuner has the modules only; it makes no image."""
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("cloudtune/__init__.py", "")
    monkeypatch.setattr(resources, "files", lambda _: zipfile.Path(tmp_path / "bundle.zip", "cloudtune/"))
    assert container_folder() is None
    with pytest.raises(NoRecipe, match="does not come with this cloudtune"):
        recipe()


def test_the_recipe_is_found_in_an_installed_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the wheel has put it, within the package; in a checkout it lies beside it."""
    package = tmp_path / "site-packages" / "cloudtune"
    monkeypatch.setattr(resources, "files", lambda _: package)
    assert container_folder() is None
    (package / "container").mkdir(parents=True)
    (package / "container" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    assert container_folder() == package / "container"
