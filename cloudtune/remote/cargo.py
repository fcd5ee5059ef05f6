"""Which files travel with a tuner, and under which names. See :mod:`cloudtune.remote.shipment` for the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cloudtune.aws.source_files import (
    IGNORE_FILES,
    BundleError,
    SourceFile,
    SourceFolder,
    lines_that_keep,
    read_file,
    read_folder,
)

#: The script that the agent runs.
ENTRY_POINT = "cloudtune_tuner.py"
REQUIREMENTS = "requirements.txt"
_SHIPPED = "shipped"
_OURS = (ENTRY_POINT, REQUIREMENTS, _SHIPPED, "cloudtune")


class Cargo:
    """Files on their way into an archive.

    Args:
        stop_at: Folders are looked at until their files make up more than so many bytes.
    """

    def __init__(self, stop_at: int) -> None:
        #: Path on this machine -> where it stands in the archive's folder.
        self.places: dict[Path, str] = {}
        #: Further files, by name.
        self.texts: dict[str, bytes] = {}
        self._stop_at = stop_at
        self._files: dict[str, SourceFile] = {}
        self._secrets: list[str] = []
        self._modules: dict[str, Path] = {}

    @property
    def files(self) -> list[SourceFile]:
        """All that lie on this machine, sorted by name."""
        return [self._files[name] for name in sorted(self._files.keys() - self.texts.keys())]

    def source(self) -> SourceFolder:
        """What to pack."""
        return SourceFolder(self.files, sorted(self._secrets))

    def described(self) -> str:
        """What the files are of, for messages."""
        return ", ".join(str(path) for path in (*self.places, *self._modules.values())) or "the tuner"

    def modules(self) -> set[str]:
        """Names that can be imported there."""
        return {name.removesuffix(".py") for name in self._modules}

    def place_of(self, path: Path) -> str | None:
        """Where in the archive's folder a file below one of the paths stands; None: it does not travel."""
        for former in (path, *path.parents):
            if former in self.places:
                name = "/".join((self.places[former], *path.relative_to(former).parts))
                return name if name in self._files else None
        return None

    def add_path(self, path: Path) -> None:
        """Adds a file or folder that the backend names by its path.

        Raises:
            BundleError: It cannot be packed.
        """
        if path in self.places:
            return
        place = f"{_SHIPPED}/{len(self.places)}/{path.name or 'root'}"
        self.places[path] = place
        if path.is_dir():
            names = self._add_folder(path, place)
            # What has travelled once travels on, from the tuner's job to those of its trials.
            lines = lines_that_keep(name.removeprefix(f"{place}/") for name in names)
            if lines:
                self.texts[f"{place}/{IGNORE_FILES[0]}"] = "".join(f"{line}\n" for line in lines).encode()
        else:
            self._add(read_file(path, place))

    def add_dependency(self, path: Path) -> None:
        """Adds what the user names; it can be imported by its own name.

        Raises:
            BundleError: It cannot be packed, or another thing has its name.
        """
        name = path.resolve().name
        if self._modules.get(name) == path:
            return
        if name in _OURS or name in self._modules:
            raise BundleError(f"The dependency {path} has the name of something else that travels; rename it.")
        self._modules[name] = path
        if path.is_dir():
            self._add_folder(path, name)
        else:
            self._add(read_file(path, name))

    def add_module(self, name: str, paths: Sequence[Path]) -> None:
        """Adds a local module.

        Args:
            name: Without dots.
            paths: Its file, or its folders.

        Raises:
            BundleError: It cannot be packed.
        """
        for path in paths:
            if path.is_dir():
                self._modules.setdefault(name, path)
                self._add_folder(path, name)
            else:
                self._modules.setdefault(path.name, path)
                self._add(read_file(path, path.name))

    def _add_folder(self, path: Path, place: str) -> list[str]:
        found = read_folder(path, f"{place}/", self._stop_at)
        for file in found.files:
            self._add(file)
        self._secrets += found.secrets
        return [file.name for file in found.files]

    def _add(self, file: SourceFile) -> None:
        self._files.setdefault(file.name, file)
