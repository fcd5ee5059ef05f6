"""A study on the local cloud: its tuners really run, and end in their own ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.config_space import uniform
from cloudtune.localcloud import LocalCloud
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.launching import launch_study
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings
from tests.studies.launch_world import ACCOUNT
from tests.studies.recorded_study import BUCKET

SCRIPTS = {
    "good": "from cloudtune import Reporter\nReporter()(epoch=1, loss=1.0)\n",
    "bad": "raise SystemExit('it cannot be trained')\n",
}


def _catalogue(folder: Path) -> Catalogue:
    def benchmark(name: str) -> BenchmarkDefinition:
        script = folder / f"{name}.py"
        script.write_text(SCRIPTS[name])
        return BenchmarkDefinition(
            name=name,
            script=script,
            config_space={"x": uniform(0, 1), "epochs": 1},
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_resource_attr="epochs",
            max_wallclock_time=300.0,
            n_workers=1,
        )

    return Catalogue({"good": lambda: benchmark("good"), "bad": lambda: benchmark("bad")})


def test_failed_cells_are_left_as_they_are(
    local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cell finishes, of the other too many trials fail: it has ended as well, and is not launched once more."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    settings = CellSettings(backend="local", max_num_trials_started=2, max_failures=0)
    plan = Plan("real", ("good", "bad"), ("RS",), settings=settings)
    told: list[str] = []
    done = launch_study(_catalogue(tmp_path), plan, ACCOUNT, wait=True, tell=told.append)
    good, bad = (f"real-{name}-RS-w1-0" for name in SCRIPTS)
    assert (done.launched, done.finished, list(done.failed)) == ((good, bad), (good,), [bad])
    assert done.failed[bad] == "too many failed trials"
    assert told[-1] == "real: of 2 experiments 1 finished, 1 failed"
    again = launch_study(_catalogue(tmp_path), plan, ACCOUNT, wait=True)
    assert (again.launched, again.continued, again.finished, list(again.failed)) == ((), (), (good,), [bad])
    assert len(local_cloud.jobs()) == 2
