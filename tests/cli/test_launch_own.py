"""A study of a user's own: benchmark, method and flags from a catalogue in the user's folder, to its results."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.experiments import load_experiments
from tests.launchers.own_study import launch, write_study

CATALOGUE = """

class Mine(RandomSearch):
    def __init__(self, *args, flavour="none", **options):
        super().__init__(*args, **options)
        self.flavour = flavour

    def metadata(self):
        return {**super().metadata(), "told_by_method": self.flavour}


def mine(arguments):
    return Mine(**arguments.common())


CATALOGUE = Catalogue({"tiny": tiny}, {"MINE": mine}, extra_arguments=[ExtraArgument("flavour", str)])
"""
WORDS = "--experiment_tag own --benchmark tiny --flavour sweet --max_num_trials_started 3 --local_cloud"


@pytest.mark.timeout(600)
def test_a_study_of_ones_own(tmp_path: Path) -> None:
    """The method's class travels to the tuner's job; its argument reaches its constructor there, and the metadata."""
    write_study(tmp_path, CATALOGUE)
    done = launch(tmp_path, WORDS)
    assert done.stdout.startswith("1 experiment: 1 launched, 1 finished; results: ")
    (experiment,) = load_experiments("own")
    assert experiment.name == "own-tiny-MINE-w2-0"
    assert (experiment.metadata["flavour"], experiment.metadata["told_by_method"]) == ("sweet", "sweet")
    assert experiment.results["trial_id"].nunique() == 3
