"""A study of a user's own: benchmark, method and flags from a catalogue in the user's folder, to its results."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.experiments import load_experiments

CATALOGUE = """
from pathlib import Path

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.extra_arguments import ExtraArgument


class Mine(RandomSearch):
    def __init__(self, *args, flavour="none", **options):
        super().__init__(*args, **options)
        self.flavour = flavour

    def metadata(self):
        return {**super().metadata(), "told_by_method": self.flavour}


def mine(arguments):
    return Mine(**arguments.common())


def tiny():
    return BenchmarkDefinition(
        name="tiny",
        script=Path(__file__).with_name("train.py"),
        config_space={"x": uniform(0, 1), "epochs": 2},
        metric="error",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="epochs",
        max_wallclock_time=250,
        n_workers=2,
    )


CATALOGUE = Catalogue({"tiny": tiny}, {"MINE": mine}, extra_arguments=[ExtraArgument("flavour", str)])
"""
TRAIN = """
import argparse

from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--epochs", type=int)
arguments, _ = parser.parse_known_args()
report = Reporter()
for epoch in range(1, arguments.epochs + 1):
    report(epoch=epoch, error=arguments.x / epoch)
"""


@pytest.mark.timeout(600)
def test_a_study_of_ones_own(tmp_path: Path) -> None:
    """The method's class travels to the tuner's job; its argument reaches its constructor there, and the metadata."""
    (tmp_path / "launchers").mkdir()
    (tmp_path / "launchers" / "catalogue.py").write_text(CATALOGUE)
    (tmp_path / "launchers" / "train.py").write_text(TRAIN)
    words = "launch --experiment_tag own --benchmark tiny --flavour sweet --max_num_trials_started 3 --local_cloud"
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune.cli", *words.split()],
        cwd=tmp_path,
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 experiment: 1 launched, 1 finished; results: ")
    (experiment,) = load_experiments("own")
    assert experiment.name == "own-tiny-MINE-w2-0"
    assert (experiment.metadata["flavour"], experiment.metadata["told_by_method"]) == ("sweet", "sweet")
    assert experiment.results["trial_id"].nunique() == 3
