"""The recipe of the image for remote tuners: its Dockerfile, its packages, and the tag that tells one from another.

An image is known by what is in it: the tag has the Python and a digest of Dockerfile, packages and base. Who asks for
an image that exists needs not build it, whoever has built it.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from cloudtune.errors import CloudtuneError

#: Of the account's own registry.
REPOSITORY = "cloudtune-tuner"
#: Files of the context beside the list of packages.
DOCKERFILE = "Dockerfile"
SCRIPT = "build_and_push.sh"
LIFECYCLE = "lifecycle.json"

#: What cloudtune's core imports. It stands here, and not only in the package's metadata, for checkouts without any.
_CORE = ("boto3", "click", "dill", "numpy", "pandas", "rich")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
#: PyTorch's own index, of builds that need no GPU: a tuner has none, and those with CUDA weigh gigabytes.
_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
_DATE = (1980, 1, 1, 0, 0, 0)


class NoRecipe(CloudtuneError):
    """There is no recipe for the image that is asked for; the message says what to do."""


@dataclass(frozen=True)
class Recipe:
    """What an image is made of.

    Args:
        python: ``3.12``.
        extras: Of cloudtune, such as ``bo``; joined by dashes.
        base: Image to build on, in place of the Dockerfile's own; "" for that.
        requirements: Text of the list of packages.
        folder: Holds Dockerfile, script and lifecycle policy.
    """

    python: str
    extras: str
    base: str
    requirements: str
    folder: Path

    @property
    def list_name(self) -> str:
        """Name of the list of packages in the context."""
        return f"requirements/{self.python}{'-' if self.extras else ''}{self.extras}.txt"

    @property
    def tag(self) -> str:
        """``py312-0123456789ab``; ``build_and_push.sh`` computes the same."""
        lines = [
            f"{_sha256(self.dockerfile.encode())}  {DOCKERFILE}",
            f"{_sha256(self.requirements.encode())}  {self.list_name}",
            f"base={self.base}",
        ]
        digest = _sha256("".join(f"{line}\n" for line in lines).encode())
        return f"{tag_prefix(self.python, self.extras)}{digest[:12]}"

    @property
    def dockerfile(self) -> str:
        """Text of the Dockerfile."""
        return (self.folder / DOCKERFILE).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """The build context: name -> content."""
        shipped = {name: (self.folder / name).read_bytes() for name in (DOCKERFILE, SCRIPT, LIFECYCLE)}
        return {**shipped, self.list_name: self.requirements.encode()}

    def write(self, folder: Path) -> None:
        """Writes the build context into a folder."""
        for name, content in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def archive(self) -> bytes:
        """The build context as a ZIP archive; equal contexts make equal archives."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(self.files().items()):
                entry = zipfile.ZipInfo(name, _DATE)
                entry.create_system = 3  # Unix: the permission bits count
                entry.external_attr = (0o100755 if name == SCRIPT else 0o100644) << 16
                archive.writestr(entry, content)
        return buffer.getvalue()


def tag_prefix(python: str, extras: str = "") -> str:
    """How the tags of all images with that Python and these extras begin: ``py312-``, ``py312-bo-``."""
    return f"py{python.replace('.', '')}-" + (f"{extras}-" if extras else "")


def recipe(python: str | None = None, extras: Sequence[str] = (), base: str = "") -> Recipe:
    """The recipe of the image that fits this machine, or another Python.

    For the Python of this program the packages are those installed here, in their versions: what is pickled here can
    be loaded there, and nothing has to be installed when the tuner starts. For another Python they are the pinned ones
    that come with cloudtune.

    Args:
        python: ``3.12``; by default that of this program.
        extras: Of cloudtune, such as ``bo``.
        base: Image to build on; by default the official one of Python, in a slim form.

    Raises:
        NoRecipe: There is none for that Python or these extras, or the files of the recipe are not there.
    """
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wanted = python or here
    folder = container_folder()
    if folder is None:
        raise NoRecipe(
            f"the recipe of the image, {DOCKERFILE}, does not come with this cloudtune; install it with pip, or check "
            "it out"
        )
    if not base and f" AS python{wanted}\n" not in (folder / DOCKERFILE).read_text(encoding="utf-8"):
        raise NoRecipe(
            f"the Dockerfile has no base image with Python {wanted}; name one with --base, or choose another Python"
        )
    named = "-".join(sorted(set(extras)))
    if wanted == here:
        return Recipe(wanted, named, base, installed_requirements(extras), folder)
    path = folder / "requirements" / f"{wanted}{'-' if named else ''}{named}.txt"
    if not path.is_file():
        raise NoRecipe(
            f"cloudtune has no list of packages for Python {wanted}{' with ' + named if named else ''}; run "
            f"`cloudtune image build` under Python {wanted}, which takes the packages that are installed there"
        )
    return Recipe(wanted, named, base, path.read_text(encoding="utf-8"), folder)


def container_folder() -> Path | None:
    """The folder with Dockerfile and script: in the installed package, or in a checkout; None: in neither."""
    package = resources.files("cloudtune")
    if not isinstance(package, Path):  # within an archive, as in a remote tuner
        return None
    for folder in (package / "container", package.parent / "container"):
        if (folder / DOCKERFILE).is_file():
            return folder
    return None


def installed_requirements(extras: Sequence[str] = ()) -> str:
    """All that cloudtune needs, with what that needs in turn, in the versions that are installed here.

    Args:
        extras: Of cloudtune, whose packages are wanted too.

    Raises:
        NoRecipe: A package of an extra is not installed, or cloudtune has no such extra.
    """
    roots = [*_CORE]
    for extra in extras:
        roots += _of_extra(extra)
    versions: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = _normal(waiting.pop())
        if name in versions or name == "cloudtune":
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in map(_normal, roots):
                raise NoRecipe(
                    f"{name} is not installed here; install it, so that the image gets its version"
                ) from None
            continue  # for another platform or Python than this
        versions[name] = distribution.version
        waiting += _required(distribution)
    return _as_text(versions)


def _as_text(versions: dict[str, str]) -> str:
    text = "# The packages of the machine that the image was made for.\n"
    if "torch" in versions and not any(name.startswith("nvidia-") for name in versions):
        text += f"--extra-index-url {_TORCH_INDEX}\n"
        versions["torch"] = versions["torch"].partition("+")[0] + "+cpu"
    for name, version in sorted(versions.items()):
        # A local build (+...) is on no index; what it was built from is.
        pin = version if version.endswith("+cpu") else version.partition("+")[0]
        text += f"{name}=={pin}\n"
    return text


def _of_extra(extra: str) -> list[str]:
    try:
        wanted = metadata.requires("cloudtune") or []
    except metadata.PackageNotFoundError:
        wanted = []
    found = [line for line in wanted if extra in _EXTRA.findall(line)]
    if not found:
        raise NoRecipe(f"cloudtune has no extra {extra!r}, or is not installed with pip here")
    names: list[str] = []
    for line in found:
        nested = re.match(r"cloudtune\[([\w,-]+)\]", line)
        names += [name for one in nested[1].split(",") for name in _of_extra(one)] if nested else _names(line)
    return names


def _required(distribution: metadata.Distribution) -> Iterator[str]:
    """Names of what a package needs without its extras.

    Other markers than extras need no judging: what they exclude is not installed, or does no harm.
    """
    for line in distribution.requires or []:
        if not _EXTRA.search(line):
            yield from _names(line)


def _names(line: str) -> Iterator[str]:
    found = _NAME.match(line)
    if found is not None:
        yield found[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
