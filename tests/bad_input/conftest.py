"""A folder that already has an experiment, so that every test sees that its reports stay."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bad_input.place import EARLIER, EARLIER_REPORTS, GOOD, PREAMBLE, Place


@pytest.fixture(scope="session")
def _earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one trial has trained to its end."""
    place = Place(tmp_path_factory.mktemp("earlier"))
    place.write("train.py", PREAMBLE + GOOD)
    place.write_space(x="uniform(0, 1)", max_epochs=4)
    done = place.run(place.tuning("--max-num-trials-started", "1"))
    assert done.returncode == 0, done.stderr
    place.check_kept(EARLIER_REPORTS, EARLIER)
    return place.folder


@pytest.fixture
def place(_earlier: Path, tmp_path: Path) -> Iterator[Place]:
    """The test's own copy of that folder. Its train.py is good until the test replaces it."""
    folder = tmp_path / "place"
    shutil.copytree(_earlier, folder)
    own = Place(folder)
    yield own
    own.end_what_was_started()
