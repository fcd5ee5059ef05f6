"""Backends say which files they need, and can be told that these are elsewhere."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.job_template import JobTemplate, TrainingJob
from cloudtune.backend import LocalBackend, PythonBackend, SageMakerBackend
from cloudtune.backend.trial_backend import moved_path

parts = st.lists(st.sampled_from("abc"), max_size=4)
paths = parts.map(lambda names: Path("/", *names))


@given(path=paths, moved=st.dictionaries(paths, paths.map(lambda path: Path("/new") / path.relative_to("/"))))
def test_the_nearest_folder_decides_where_a_path_is_now(path: Path, moved: dict[Path, Path]) -> None:
    """A longer prefix wins over a shorter one; what lies below keeps its way; the rest stays where it was."""
    above = [former for former in moved if PurePosixPath(path).is_relative_to(former)]
    if not above:
        assert moved_path(path, moved) == path
        return
    nearest = max(above, key=lambda former: len(former.parts))
    assert moved_path(path, moved) == moved[nearest].joinpath(*path.parts[len(nearest.parts) :])


@given(path=paths, below=parts, target=paths)
def test_what_moves_together_stays_together(path: Path, below: list[str], target: Path) -> None:
    """A file's way from its folder is the same in both places, and back again leads to where it was."""
    file = path.joinpath(*below)
    there = moved_path(file, {path: target})
    assert there == target.joinpath(*below)
    assert moved_path(there, {target: path}) == file


def script_in(folder: Path, name: str = "train.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("pass\n")
    return folder / name


def test_a_local_script_needs_its_folder(tmp_path: Path) -> None:
    """What stands beside it may be imported; the script is run from where it is now."""
    backend = LocalBackend(script_in(tmp_path / "a"))
    assert backend.source_paths() == (tmp_path / "a",)
    assert backend.local_scripts() == (tmp_path / "a" / "train.py",)
    backend.relocate({tmp_path / "a": Path("/there")})
    assert backend.entry_point == Path("/there/train.py")
    assert backend.default_name == "train"


def function(x: float) -> None:
    """A trial."""


def test_a_function_needs_no_files() -> None:
    """It travels by value."""
    backend = PythonBackend(function)
    assert list(backend.source_paths()) == list(backend.local_scripts()) == []
    backend.relocate({Path("/"): Path("/there")})
    assert backend.tune_function is function


def test_a_training_job_needs_what_travels_to_the_trials(tmp_path: Path) -> None:
    """Its source folder and its dependencies; the entry point stays relative to the folder."""
    script_in(tmp_path / "source")
    extra = script_in(tmp_path / "extra", "more.py")
    backend = SageMakerBackend(TrainingJob("train.py", source_dir=tmp_path / "source", dependencies=[extra]))
    assert backend.source_paths() == (tmp_path / "source", extra)
    assert list(backend.local_scripts()) == []
    backend.relocate({tmp_path / "source": Path("/one"), extra: Path("/two/more.py")})
    template = backend.template
    assert (template.source_dir, template.entry_point) == ("/one", "train.py")
    assert template.dependencies == ("/two/more.py",)


def test_a_script_without_a_source_folder_moves_alone(tmp_path: Path) -> None:
    """Its absolute path is the only one there is."""
    script = script_in(tmp_path)
    backend = SageMakerBackend(TrainingJob(script))
    assert backend.source_paths() == (script,)
    backend.relocate({script: Path("/there/train.py")})
    assert backend.template.entry_point == "/there/train.py"
    assert backend.template.source_dir is None


@pytest.mark.parametrize("template", [JobTemplate("image", {}), JobTemplate("sdk", {}, "train.py", is_uploaded=True)])
def test_a_job_without_source_here_needs_nothing(template: JobTemplate) -> None:
    """The image has the script, or an SDK has uploaded it."""
    assert template.source_paths() == ()
    assert template.relocated(lambda path: Path("/there")) == template
