"""Where a module comes from: the standard library, an installed distribution, or files of the user's own."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_SITE_FOLDERS = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Distribution:
    """What ``pip`` knows by a name.

    Args:
        name: As its metadata spells it.
        version: Without what a builder adds for a machine (``+cu126``): an index has it under the rest.
    """

    name: str
    version: str


@dataclass(frozen=True)
class LocalModule:
    """A module that no index has.

    Args:
        name: Of the module, without dots.
        paths: The file of a module, or the folders of a package.
    """

    name: str
    paths: tuple[Path, ...]


def is_standard(module: str) -> bool:
    """Whether every Python has the module."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in sys.builtin_module_names or top == "__main__"


def origin(module: str) -> Distribution | LocalModule | None:
    """Where a module comes from that is not standard; None: there is no such module, or it has no file.

    Args:
        module: Full name; only modules that this process has imported are looked for below the first dot.
    """
    top = module.partition(".")[0]
    spec = _spec(top)
    if spec is None:
        return None
    paths = tuple(Path(one) for one in spec.submodule_search_locations or ((spec.origin,) if spec.origin else ()))
    if not paths or not all(one.exists() for one in paths):  # built in, made by hand, or in an archive
        return None
    named = Path(_file(sys.modules.get(module)) or spec.origin or paths[0])
    inside = _inside_site_folder(named)
    if inside is not None:
        found = _distribution(top, inside)
        if found is not None:
            return found
    return LocalModule(top, paths)


def _spec(top: str) -> ModuleSpec | None:
    module = sys.modules.get(top)
    spec: ModuleSpec | None = getattr(module, "__spec__", None)
    if spec is not None:
        return spec
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # ValueError: it was made by hand, and has no spec
        return None


def _file(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def _inside_site_folder(path: Path) -> str | None:
    """The path below the folder that pip installs into, as its lists of files have it; None if it is not there."""
    for folder in path.parents:
        # pip may be told to install into any folder.
        if folder.name in _SITE_FOLDERS or (str(folder) in sys.path and any(folder.glob("*.dist-info"))):
            return path.relative_to(folder).as_posix()
    return None


@functools.lru_cache(maxsize=4096)
def _distribution(top: str, inside: str) -> Distribution | None:
    for candidate in _candidates(top):
        files = candidate.read_text("RECORD") or candidate.read_text("installed-files.txt")
        if files is not None:
            has_it = files.startswith(f"{inside},") or f"\n{inside}," in files
        else:  # the systems' own packages have no lists
            name = normalised(candidate.metadata["Name"]).replace("-", "_")
            has_it = top in (candidate.read_text("top_level.txt") or name).split()
        if has_it:
            return None if _is_from_folder(candidate) else _named(candidate)
    return None


def _candidates(top: str) -> Iterator[metadata.Distribution]:
    """All that is installed; first what is called as the module is, as most are."""
    for name in dict.fromkeys((top, top.replace("_", "-"))):
        try:
            yield metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    yield from metadata.distributions()


def _is_from_folder(distribution: metadata.Distribution) -> bool:
    """Whether it was installed from a folder or a repository, see https://packaging.python.org/en/latest/specifications/direct-url/."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return False
    try:
        told = json.loads(text)
    except ValueError:
        return False
    return isinstance(told, dict) and ("dir_info" in told or "vcs_info" in told)


def _named(distribution: metadata.Distribution) -> Distribution:
    return Distribution(str(distribution.metadata["Name"]), public_version(distribution.version))


def public_version(version: str) -> str:
    """A version as an index has it: ``2.8.0`` for ``2.8.0+cu126``."""
    return version.partition("+")[0]


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(distribution: str) -> str | None:
    """Version that is installed; None: it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def python_files(path: Path) -> Iterator[Path]:
    """The modules of a local module: itself, or what is in its folder."""
    if path.is_dir():
        yield from sorted(path.rglob("*.py"))
    elif path.suffix == ".py":
        yield path
