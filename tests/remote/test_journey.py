"""A tuner goes from one machine to another, in processes of their own, and works there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.remote.journey import ROOT, send

TRAIN = """
import argparse
import helper
from cloudtune import Reporter

arguments = argparse.ArgumentParser()
arguments.add_argument("--x", type=float)
arguments.add_argument("--st_checkpoint_dir")
Reporter()(loss=helper.halved(arguments.parse_args().x))
"""
HELPER = "def halved(x):\n    return x / 2\n"


def test_a_local_tuner_runs_where_its_folders_are_not(tmp_path: Path) -> None:
    """The script and what stands beside it travel, the backend finds them, and cloudtune comes along, with tables."""
    launch = 'tuner = tuner_of(LocalBackend("project/train.py"))'
    sent = send(tmp_path, {"launch.py": launch, "train.py": TRAIN, "helper.py": HELPER, "data/list.txt": "1"})
    assert {f"shipped/0/project/{name}" for name in ("train.py", "helper.py", "data/list.txt")} <= sent.names()
    (tmp_path / "project").rename(tmp_path / "gone")
    program = """
import cloudtune
from cloudtune.aws.images import default_image
assert default_image("ml.m5.large", "us-east-1")
tuner.run()
print(json.dumps([cloudtune.__file__, str(tuner.trial_backend.entry_point), len(tuner.status.records)]))
"""
    package, entry_point, trials = json.loads(sent.arrive(program))
    assert package == str(sent.folder / "package" / "cloudtune" / "__init__.py")
    assert entry_point == str(sent.code / "shipped" / "0" / "project" / "train.py")
    assert trials >= 2
    assert list((sent.folder / "runs" / "journey").glob("results.csv.zip"))


def test_functions_and_classes_of_the_script_travel(tmp_path: Path) -> None:
    """Lambdas, closures and classes in criterion, callbacks and scheduler, and the function of a PythonBackend."""
    launch = """
import functools
import helper
import numpy as np
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.optimizer.baselines import RandomSearch

LIMIT = 2

class Counting(TunerCallback):
    def __init__(self, weigh):
        super().__init__()
        self.weigh = weigh
        self.seen = []

    def on_trial_result(self, trial, status, result, decision):
        self.seen.append(self.weigh(result["loss"]))

class Seeded(RandomSearch):
    def __init__(self, space):
        super().__init__(space, metric="loss", random_seed=7)
        self.rule = lambda value: value + LIMIT

def objective(x):
    import late
    from cloudtune import Reporter

    Reporter()(loss=helper.halved(x) * late.ONE + np.float64(0))

def weighing(factor):
    return lambda value: helper.halved(value) * factor

tuner = tuner_of(
    PythonBackend(objective, SPACE),
    stop=lambda status: status.num_trials_finished >= LIMIT,
    scheduler=Seeded(SPACE),
    callbacks=[Counting(weighing(100)), ProgressCallback(30)],
)
"""
    files = {"launch.py": launch, "helper.py": "import second\n" + HELPER, "late.py": "ONE = 1", "second.py": "TWO = 2"}
    sent = send(tmp_path, files | {"unused.py": "", "second_test.py": "import pytest"})
    assert sent.names() == {"cloudtune_tuner.py", "requirements.txt", "helper.py", "late.py", "second.py"}
    (tmp_path / "project").rename(tmp_path / "gone")
    program = """
tuner.run()
best = tuner.best_config("loss")[1]
print(json.dumps([tuner.callbacks[0].seen, best, tuner.scheduler.rule(1), helper_file()]))
"""
    (seen, best, ruled, file) = json.loads(
        sent.arrive('helper_file = lambda: __import__("helper").__file__\n' + program)
    )
    assert len(seen) >= 2
    assert min(seen) == pytest.approx(best["x"] / 2 / 2 * 100)
    assert ruled == 3
    assert file == str(sent.code / "helper.py")


def test_cloudtune_travels_from_an_archive_as_well(tmp_path: Path) -> None:
    """A tuner in the cloud runs cloudtune from where the agent has put it, and can ship a tuner in its turn."""
    launch = 'tuner = tuner_of(LocalBackend("project/train.py"))'
    sent = send(tmp_path, {"launch.py": launch, "train.py": TRAIN, "helper.py": HELPER})
    again = """
import os, subprocess
program = (
    "import json, sys; from cloudtune.remote.shipment import pack; import dill, cloudtune\\n"
    "tuner = dill.loads(open(sys.argv[1], 'rb').read())\\n"
    "print(json.dumps([cloudtune.__file__, pack(tuner).bundle.digest]))"
)
(sent / "tuner2.dill").write_bytes(dill_of(tuner))
environment = {**os.environ, "PYTHONPATH": str(sent / "bundle.zip")}
print(subprocess.run([sys.executable, "-c", program, sent / "tuner2.dill"], env=environment, check=True,
      capture_output=True, text=True, cwd=sent).stdout)
"""
    # The same tuner, still with the paths of the first machine, whose folders are there.
    same = "import dill\ndill_of = lambda _: (sent / 'tuner.dill').read_bytes()\n"
    place, digest = json.loads(sent.arrive(same + again))
    assert place.startswith(str(sent.folder / "bundle.zip") + os.sep)
    assert digest == sent.manifest["archive"]


@pytest.mark.defect("R9")
def test_cloudtune_travels_as_it_is_and_nothing_is_written(tmp_path: Path) -> None:
    """A checkout goes with its uncommitted changes; packing writes neither to it nor to the user's folders."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "cloudtune", checkout / "cloudtune", ignore=shutil.ignore_patterns("__pycache__"))
    with open(checkout / "cloudtune" / "tuner.py", "a", encoding="utf-8") as module:
        module.write("\nCHANGED = True\n")
    (checkout / "cloudtune" / "brand_new.py").write_text("NEW = 1\n")
    before = {path: path.stat().st_mtime_ns for path in checkout.rglob("*")}
    launch = 'tuner = tuner_of(LocalBackend("project/train.py"))'
    files = {"launch.py": "sys.dont_write_bytecode = True\n" + launch, "train.py": TRAIN, "helper.py": HELPER}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        sent = send(tmp_path, files, installed=checkout)
    assert {path: path.stat().st_mtime_ns for path in checkout.rglob("*")} == before
    assert {path.name for path in (tmp_path / "project").rglob("*")} == set(files)
    assert {path.name for path in tmp_path.iterdir()} == {"checkout", "project", "sent"}
    program = "import cloudtune.tuner, cloudtune.brand_new; print(cloudtune.tuner.CHANGED, cloudtune.brand_new.NEW)"
    assert sent.arrive(program).split() == ["True", "1"]


def test_the_same_source_has_the_same_archive_for_every_experiment(tmp_path: Path) -> None:
    """Twenty experiments over one source share one upload, whatever their seeds, names and dates are."""
    launch = 'tuner = tuner_of(LocalBackend("project/train.py"), metadata={"run": sys.argv[-1]})'
    files = {"launch.py": launch, "train.py": TRAIN, "helper.py": HELPER}
    one, other = send(tmp_path, files, "one"), send(tmp_path, files, "other")
    assert one.manifest["archive"] == other.manifest["archive"]
    assert one.manifest["tuner"] != other.manifest["tuner"]
