"""Versions are compared before anything is unpickled: a mismatch is one sentence that names both sides."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import dill
import numpy as np
import pytest

import cloudtune
from cloudtune.remote import versions
from cloudtune.remote.versions import compare, record

THERE = {"python": "3.12", "cloudtune": "0.1.0", "dill": "0.4.1", "numpy": "2.1.3", "torch": "2.8.0+cu126"}


def test_the_record_says_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch and botorch stand in it only where the pickle needs them, as large as they are."""
    here = record()
    assert here == {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "cloudtune": cloudtune.__version__,
        "dill": dill.__version__,
        "numpy": np.__version__,
    }
    installed = {"dill": "1", "numpy": "2", "torch": "3", "botorch": "4", "rich": "5"}
    monkeypatch.setattr(versions, "version_of", installed.get)
    assert "torch" not in record(["rich"])
    assert record(["BoTorch", "rich", "torch"]).items() >= {"botorch": "4", "torch": "3"}.items()
    assert "rich" not in record(["rich"])


def test_the_same_versions_fit() -> None:
    """On one machine, and where only what does not matter differs."""
    assert compare(record()) is None
    assert compare(THERE, {**THERE, "dill": "0.4.9", "numpy": "2.9.0", "torch": "2.8.1"}) is None
    assert compare({**THERE, "numpy": "2.1.3"}, {**THERE, "botorch": "9.9"}) is None


@pytest.mark.defect("R7")
@pytest.mark.parametrize(
    ("here", "says"),
    [
        ({"python": "3.9"}, ["Python 3.12", "Python 3.9", "image_uri or environment with Python 3.12", "PyTorch 2."]),
        ({"cloudtune": "0.2.0"}, ["cloudtune 0.1.0", "0.2.0", "image_uri"]),
        ({"dill": "0.3.8"}, ["dill 0.4.1", "has dill 0.3.8", "image_uri or environment with dill 0.4", "dill==0.4.1"]),
        (
            {"numpy": "1.26.4"},
            ["numpy 2.1.3", "has numpy 1.26.4", "image_uri or environment with numpy 2", "launch with numpy 1"],
        ),
        (
            {"torch": "2.7.1"},
            ["torch 2.8.0", "has torch 2.7.1", "image_uri or environment with torch 2.8", "torch==2.8.0,"],
        ),
    ],
)
def test_a_mismatch_is_one_sentence(here: Mapping[str, str], says: list[str]) -> None:
    """It names what was sent, what is there, and the image to choose."""
    sentence = compare(THERE, {**THERE, **here})
    assert sentence is not None
    for part in says:
        assert part in sentence
    assert ". " not in sentence
    assert not sentence.endswith(".")


def test_what_is_missing_is_told() -> None:
    """An image without a package differs from one with another version."""
    here = {name: version for name, version in THERE.items() if name != "torch"}
    assert "this machine has no torch; choose an image_uri or environment with torch 2.8" in (
        compare(THERE, here) or ""
    )


def test_python_comes_first() -> None:
    """With another Python everything else differs as well, and is of no interest."""
    assert "Python" in (compare(THERE, {"python": "3.9", "cloudtune": "0", "dill": "0"}) or "")


def test_a_python_that_no_image_has_is_told_without_one() -> None:
    """The remedy names no image where there is none."""
    sentence = compare({**THERE, "python": "3.99"}, THERE)
    assert sentence is not None
    assert sentence.endswith("choose an image_uri or environment with Python 3.99, or launch with Python 3.12")
