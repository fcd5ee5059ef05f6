"""What methods say when a library is not installed, and that nobody else pays for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Large, and needed by some methods only.
LIBRARIES = ["torch", "botorch", "gpytorch", "sklearn", "optuna", "ray"]

BEGINNING = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from cloudtune.config_space import choice, randint, uniform
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.optimizer.schedulers.hyperband import HyperbandScheduler
from cloudtune.trial import Trial
space = {{"x": uniform(0, 1), "n": randint(1, 9), "epochs": 9}}
"""


def python(program: str, absent: list[str]) -> str:
    """What a program prints in an interpreter where some libraries are not installed."""
    whole = BEGINNING.format(absent=absent) + program
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("absent", "call", "extra"),
    [
        ("sklearn", "FIFOScheduler(space, 'bore', metric='loss')", "bore"),
        ("botorch", "FIFOScheduler(space, 'bayesopt', metric='loss')", "bo"),
        ("optuna", "FIFOScheduler(space, 'optuna', metric='loss')", "optuna"),
        ("cmaes", "FIFOScheduler(space, 'optuna', metric='loss', search_options={'sampler': 'cmaes'})", "optuna"),
        ("torch", "FIFOScheduler(space, 'optuna', metric='loss', search_options={'sampler': 'gp'})", "bo"),
        ("ray", "RayTuneScheduler(space, 'asha', metric='loss', resource_attr='epoch')", "ray"),
    ],
)
def test_a_missing_library_gives_the_line_to_type(absent: str, call: str, extra: str) -> None:
    """Whoever asks for a method learns at once, in one sentence, how to install what it needs."""
    program = f"""
from cloudtune.optimizer.schedulers.raytune import RayTuneScheduler
from cloudtune.errors import CloudtuneError
try:
    {call}
except CloudtuneError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    said = python(program, [absent]).strip()
    assert said.endswith(f"needs {absent}, which is not installed: pip install 'cloudtune[{extra}]'")
    assert "\n" not in said


def test_methods_that_need_no_library_load_none() -> None:
    """Everything else is imported, made and used where none of the libraries is installed."""
    program = f"""
import cloudtune
import cloudtune.optimizer.baselines
import cloudtune.optimizer.schedulers
import cloudtune.optimizer.searchers
import cloudtune.optimizer.schedulers.raytune
from cloudtune.optimizer.baselines import ASHA, GridSearch, MedianStopping, PASHA, RandomSearch, SyncHyperband
shared = dict(metric="loss", random_seed=1)
for scheduler in (
    RandomSearch(space, **shared),
    GridSearch(space, **shared),
    MedianStopping(space, **shared),
    ASHA(space, max_resource_attr="epochs", **shared),
    PASHA(space, max_resource_attr="epochs", **shared),
    SyncHyperband(space, max_resource_attr="epochs", **shared),
):
    for number in range(9):
        suggestion = scheduler.suggest()
        if suggestion is None or suggestion.trial_id is not None:
            break
        trial = Trial(number, suggestion.config)
        scheduler.on_trial_add(trial)
        scheduler.on_trial_result(trial, {{"epoch": 1, "loss": number}})
        scheduler.on_trial_remove(trial)
print([name for name in sys.modules if name.partition(".")[0] in {LIBRARIES!r}])
"""
    assert python(program, LIBRARIES).strip() == "[]"


def test_importing_loads_no_large_library() -> None:
    """Where the libraries are installed, importing methods, tuner or command line does not import them."""
    program = f"""
import cloudtune, cloudtune.optimizer.baselines, cloudtune.optimizer.searchers, cloudtune.optimizer.schedulers.raytune
import cloudtune.tuner, cloudtune.cli
print([name for name in sys.modules if name.partition(".")[0] in {LIBRARIES!r}])
"""
    assert python(program, []).strip() == "[]"
