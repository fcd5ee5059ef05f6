"""What a pickled tuner needs on the other machine: which distributions, in which versions, and whose local modules."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.remote import installed
from cloudtune.remote.code_imports import imports_of_source
from cloudtune.remote.installed import Distribution, LocalModule
from cloudtune.remote.pickle_needs import modules_of_pickle
from cloudtune.remote.pickling import CannotShip

#: What cloudtune itself needs to run a tuner; reading results and the command line need more.
OWN_REQUIREMENTS = ("boto3", "dill", "numpy", "rich")
_OWN = "cloudtune"
# A name, extras, and then a version or an address.
_REQUIREMENT = re.compile(r"^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*(?:\[[^]\n]*\])?[ \t]*[<>=!~@(]", re.MULTILINE)


@dataclass
class Needs:
    """What a tuner needs.

    Args:
        distributions: Name of each installed distribution -> its version here.
        local: Name of each module that no index has -> the files and folders that it consists of.
    """

    distributions: dict[str, str] = field(default_factory=dict)
    local: dict[str, tuple[Path, ...]] = field(default_factory=dict)


def needs_of(
    pickles: Iterable[bytes], imports: Collection[str] = (), scripts: Sequence[Path] = (), given: Collection[str] = ()
) -> Needs:
    """Finds what pickles need, without unpickling them, and what the local modules that they need import in turn.

    Args:
        pickles: The tuners'.
        imports: Further modules: those that functions sent by value import when they run.
        scripts: Scripts that run where the tuner runs: what they import is needed too.
        given: Names of modules that travel anyway.

    Raises:
        CannotShip: A module that a pickle names cannot be found.
    """
    search = _Search({_OWN, *given})
    for module in sorted({module for pickle in pickles for module in modules_of_pickle(pickle)}):
        if not search.take(module):
            raise CannotShip(
                f"the tuner needs the module {module!r}, of which no file was found; pass the file or folder that has "
                "it in dependencies=[...]"
            )
    for module in sorted(imports):
        search.take(module)
    for script in scripts:
        search.read_script(script)
    return search.found


def requirements(needs: Needs, listed: Mapping[str, str] | None = None) -> list[str]:
    """Lines of a requirements file: what cloudtune itself needs to run a tuner, and what the pickle needs, pinned.

    Args:
        needs: See :func:`needs_of`.
        listed: Further requirements files: where they will stand -> what is in them. What they say of a
            distribution's version counts.
    """
    pins = {installed.normalised(name): f"{name}=={version}" for name, version in needs.distributions.items()}
    for name in OWN_REQUIREMENTS:
        version = installed.version_of(name)
        if version is not None:
            pins.setdefault(name, f"{name}=={installed.public_version(version)}")
    for text in (listed or {}).values():
        for name in _names_with_versions(text):
            pins.pop(name, None)
    return [pins[name] for name in sorted(pins)] + [f"-r {place}" for place in listed or ()]


def _names_with_versions(text: str) -> set[str]:
    """Normalised names of the distributions whose versions a requirements file determines."""
    return {installed.normalised(name) for name in _REQUIREMENT.findall(text)}


class _Search:
    """Follows imports from module to module."""

    def __init__(self, known: Collection[str]) -> None:
        self.found = Needs()
        self._known = set(known)
        self._read: set[Path] = set()

    def take(self, module: str) -> bool:
        """Adds a module and what it imports; False if it cannot be found."""
        top = module.partition(".")[0]
        if top in self._known or top in self.found.local or installed.is_standard(module):
            return True
        origin = installed.origin(module)
        if isinstance(origin, Distribution):
            self.found.distributions[origin.name] = origin.version
        elif isinstance(origin, LocalModule):
            self.found.local[origin.name] = origin.paths
            for path in _files_to_read(origin):
                self._read_file(path)
        return origin is not None

    def read_script(self, path: Path) -> None:
        """Adds what a script and its neighbours import. The neighbours themselves travel with it."""
        if path in self._read or path.suffix != ".py":
            return
        for module in self._read_file(path, follow=False):
            beside = path.parent.joinpath(*module.split("."))
            neighbours = [one for one in (beside.with_suffix(".py"), beside / "__init__.py") if one.is_file()]
            if neighbours:
                self.read_script(neighbours[0])
            elif not (path.parent / module.partition(".")[0]).is_dir():
                self.take(module)

    def _read_file(self, path: Path, follow: bool = True) -> list[str]:
        if path in self._read:
            return []
        self._read.add(path)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it is packed too, where this is told
            return []
        modules = sorted(imports_of_source(text))
        if follow:
            for module in modules:
                self.take(module)
        return modules


def _files_to_read(module: LocalModule) -> Iterator[Path]:
    """Of a package that this process has imported, only the modules that were imported: not its tests, say."""
    prefix = f"{module.name}."
    loaded = [
        file
        for name, one in list(sys.modules.items())
        if name == module.name or name.startswith(prefix)
        if isinstance(file := getattr(one, "__file__", None), str) and file.endswith(".py")
    ]
    if loaded:
        yield from map(Path, sorted(loaded))
    else:
        for path in module.paths:
            yield from installed.python_files(path)
