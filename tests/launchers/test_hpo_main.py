"""``launchers/hpo_main.py``: one experiment of a study, with its tuner on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.cli.launch_here import make_launch_here_command
from cloudtune.experiments import load_experiment
from cloudtune.localcloud import LocalCloud
from launchers.catalogue import CATALOGUE
from tests.launchers.scripts import run

CELL = ["--experiment_tag", "here", "--benchmark", "digits_mlp", "--method", "RS"]


def test_trials_beside_the_tuner(tmp_path: Path) -> None:
    """It runs to its end, from any folder, and the same command finds nothing left to do; metadata tell the cell."""
    words = [*CELL, "--n_workers", "2", "--max_num_trials_started", "2", "--max_wallclock_time", "200"]
    words += ["--start_seed", "4", "--no-plot", "--json"]
    first = run("hpo_main.py", *words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    outcome = json.loads(first.stdout)
    assert outcome["name"] == "here-digits-mlp-RS-w2-4"
    assert outcome["trials_started"] == 2
    metadata = load_experiment("here-digits-mlp-RS-w2-4").metadata
    told = {"tag": "here", "benchmark": "digits_mlp", "method": "RS", "n_workers": 2, "seed": 4}
    assert {key: metadata[key] for key in told} == told
    again = run("hpo_main.py", *words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["trials_started"] == 2
    punctuated = run("hpo_main.py", "--experiment_tag", "here_", *words[2:], folder=tmp_path)
    assert punctuated.returncode == 1
    assert "began with tag = 'here', now it is 'here_', and both would be called the same" in punctuated.stderr
    other = run("hpo_main.py", *words, "--random_seed", "7", folder=tmp_path)
    assert other.returncode == 1
    assert f"began with --random_seed {metadata['master_seed']}, now it is 7; " in other.stderr
    assert "points_to_evaluate" not in other.stderr
    assert "restore the old value to continue it, or choose another --experiment_tag to begin a new one" in other.stderr


def test_trials_as_training_jobs(tmp_path: Path, local_cloud: LocalCloud) -> None:
    """With the backend of training jobs, on the local cloud that is up; nothing is asked, as nothing costs."""
    words = [*CELL, "--backend", "sagemaker", "--local_cloud", "--n_workers", "2", "--max_num_trials_started", "2"]
    done = run("hpo_main.py", *words, "--max_wallclock_time", "250", "--no-plot", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [job["status"] for job in local_cloud.jobs()] == ["Completed"] * 2
    assert "best validation_error" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_seeds", "2"], "here one experiment is run, and these are 2; give one --num_seeds"),
        (["--method", "ASHA"], "these are 2; give one --method"),
        (["--n_workers", "2", "4", "--num_seeds", "2"], "these are 4; give one --n_workers and --num_seeds"),
        (
            ["--role", "r"],
            "--role is for trials that are training jobs, and here they run on this machine; leave it out",
        ),
        (["--instance_type", "ml.m5.large"], "--instance_type is for trials that are training jobs"),
        (["--max_cost", "3"], "--max_cost is for trials that are training jobs"),
        (["--local_cloud"], "--local_cloud is for trials that are training jobs"),
        (["--tuner_instance_type", "ml.m5.large"], "No such option"),
        (["--wait"], "No such option"),
        (["--max_parallel_experiments", "2"], "No such option"),
    ],
)
def test_what_it_cannot_do_is_refused(words: list[str], message: str) -> None:
    """Several experiments, and flags of machines that it does not use."""
    done = CliRunner().invoke(make_launch_here_command(CATALOGUE), [*CELL, *words])
    assert done.exit_code == 2
    assert message in done.output
