"""The tutorial's study by its scripts alone, small: launched on the local cloud, gathered from S3, drawn."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cloudtune.experiments import load_experiment, load_experiments_df
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.launchers.scripts import run

TAG = "--experiment_tag tmlr-10 --benchmark transformer_wikitext2 --random_seed 2938702734 --num_seeds 1 "
LAUNCH = TAG + "--scale_max_wallclock_time 1 --method RS --n_workers {workers} --max_num_trials_started 1 --wait"
HERE = TAG + "--method ASHA --n_workers 1 --max_num_trials_started 1 --no-plot"
PLOT = "--experiment_tag tmlr-10 --benchmark transformer_wikitext2 --num_runs 1 --file_name figure.svg"


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once."""
    return CloudSettings(start_delay=0.0)


@pytest.mark.timeout(600)
def test_from_the_command_lines_to_the_figure(
    local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two launches under one tag, of tuners whose trials are jobs, and one experiment here: all are drawn."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_DATA", str(tmp_path))
    text = tmp_path / "wikitext-2"
    text.mkdir()
    for part in ("train", "valid", "test"):
        (text / f"{part}.txt").write_text("the cat sees the old dog .\n" * 25)
    for workers in (2, 1):
        done = run("launch_remote.py", *shlex.split(LAUNCH.format(workers=workers)), folder=tmp_path)
        assert done.returncode == 0, done.stderr
    here = run("hpo_main.py", *shlex.split(HERE), folder=tmp_path)
    assert here.returncode == 0, here.stderr

    drawn = run("plot_results.py", *shlex.split(PLOT), folder=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    figure = (tmp_path / "figure.svg").read_text()
    for told in ("RS", "ASHA", "1 workers", "2 workers"):
        assert f"<!-- {told} -->" in figure
    gathered = load_experiments_df("tmlr-10")
    # The only trial of ASHA is paused at the first rung.
    epochs = {"RS-w2": 40, "RS-w1": 40, "ASHA-w1": 1}
    assert gathered.groupby("experiment_name")["epoch"].max().to_dict() == {
        f"tmlr-10-transformer-wikitext2-{cell}-0": last for cell, last in epochs.items()
    }
    assert gathered["val_loss"].notna().all()
    remote = load_experiment("tmlr-10-transformer-wikitext2-RS-w2-0")
    assert remote.place.startswith("s3://")
    # One seed: whatever the number of workers, or where it ran, the first configuration is the same.
    assert gathered["config_lr"].nunique() == 1
