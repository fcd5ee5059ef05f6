"""Where a study's own objects lie."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.s3 import Bucket
from cloudtune.store.places import validate_name
from cloudtune.store.study_place import STUDY_FOLDER, StudyPlace


@pytest.mark.parametrize("prefix", ["", "team/a"])
def test_its_objects_lie_beside_its_experiments(prefix: str) -> None:
    """All is below the tag's folder, and the place of an experiment leads back to its study."""
    place = StudyPlace(Bucket(Aws("us-east-1"), "bucket"), prefix, "tmlr-10")
    experiment = place.experiment("tmlr-10-a-RS-w2-0")
    assert experiment == f"{place.root}tmlr-10-a-RS-w2-0/"
    assert StudyPlace.of_experiment(place.bucket, experiment) == place
    assert place.root == (f"{prefix}/" if prefix else "") + "cloudtune/tmlr-10/"
    for part in (place.cell("x"), place.status_of("x"), place.results, place.plans, place.budget):
        assert part.startswith(f"{place.root}{STUDY_FOLDER}/")


def test_no_experiment_can_be_called_like_its_folder() -> None:
    """The folder's name is none that an experiment may have."""
    with pytest.raises(ValueError, match="_study"):
        validate_name(STUDY_FOLDER)


@pytest.mark.parametrize("tag", ["..", "a/b", ""])
def test_a_tag_does_not_lead_elsewhere(tag: str) -> None:
    """A tag is one part of a path."""
    with pytest.raises(InvalidRequest):
        StudyPlace(Bucket(Aws("us-east-1"), "bucket"), "", tag)
