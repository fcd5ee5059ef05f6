"""``launchers/launch_remote.py``: the seed's own command line, and a study from its launch to its results."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path

import dill
import pytest

from cloudtune.experiments import load_experiments
from cloudtune.localcloud import LocalCloud
from cloudtune.remote.tuner_job import PICKLE
from cloudtune.tuner import Tuner
from tests.launchers.scripts import run, start

#: As the tutorial has it, with 2, 4 and 8 workers.
SEED = (
    "--experiment_tag tmlr-10 --benchmark transformer_wikitext2 --random_seed 2938702734 --scale_max_wallclock_time 1 "
    "--num_seeds 5 --n_workers {workers}"
)
BUCKET = "sagemaker-us-east-1-123456789012"


@pytest.mark.timeout(600)
def test_the_command_lines_of_the_tutorial(
    local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As written: methods x 5 seeds for each number of workers, under one tag; the same again launches nothing.

    Two workers tune twice as long as four, eight as long as four.
    """
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_DATA", str(tmp_path))
    (tmp_path / "wikitext-2").mkdir()
    for part in ("train", "valid", "test"):
        (tmp_path / "wikitext-2" / f"{part}.txt").write_text("once upon a time\n")
    local_cloud.faults.add("slow_start", job="*", seconds=3600.0)  # that it is launched is all that is to be seen
    hours = {}
    for number, workers in enumerate((2, 4, 8), start=1):
        done = run("launch_remote.py", *shlex.split(SEED.format(workers=workers)), folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "20 experiments: 20 launched" in done.stdout
        assert len(local_cloud.jobs()) == 20 * number
        tuner = _tuner(local_cloud, f"tmlr-10-transformer-wikitext2-MOBSTER-w{workers}-4")
        hours[workers] = (tuner.stop_criterion.longest() or 0) / 3600
        assert tuner.n_workers == workers
    assert hours == {2: 10, 4: 5, 8: 5}
    again = run("launch_remote.py", *shlex.split(SEED.format(workers=8)), "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["launched"] == []
    assert len(told["running"]) == 20
    assert len(local_cloud.jobs()) == 60


@pytest.mark.timeout(600)
def test_a_cloud_for_the_time_of_the_script(tmp_path: Path) -> None:
    """It waits for the experiments, fetches their results, and says where they are; then nothing of it is left."""
    words = "--experiment_tag own --benchmark digits_mlp --method RS --n_workers 2 --max_num_trials_started 2"
    done = run("launch_remote.py", *words.split(), "--local_cloud", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["finished"] == ["own-digits-mlp-RS-w2-0"]
    assert Path(told["place"]).is_dir()
    (experiment,) = load_experiments("own")
    assert experiment.results["trial_id"].nunique() == 2
    assert experiment.metadata["method"] == "RS"


@pytest.mark.timeout(600)
def test_the_four_methods_over_recorded_curves(tmp_path: Path) -> None:
    """Tuners as training jobs whose trials are simulated: each method of the tutorial ends its experiment."""
    words = "--experiment_tag four --benchmark digits_mlp --method RS BO ASHA MOBSTER --backend simulator "
    words += "--n_workers 4 --max_num_trials_started 9"
    done = run("launch_remote.py", *words.split(), "--local_cloud", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [f"four-digits-mlp-{method}-w4-0" for method in ("RS", "BO", "ASHA", "MOBSTER")]
    assert sorted(json.loads(done.stdout)["finished"]) == sorted(names)
    for experiment in load_experiments("four"):
        assert experiment.results["trial_id"].nunique() == 9
        assert experiment.results["validation_error"].min() < 0.1


@pytest.mark.timeout(600)
def test_ctrl_c_while_a_cloud_of_its_own_runs(tmp_path: Path) -> None:
    """What there is of the results is fetched, and it is said that nothing goes on; the exit code is that of Ctrl-C."""
    words = "--experiment_tag cut --benchmark digits_mlp --method RS --n_workers 1 --max_wallclock_time 3000"
    process = start("launch_remote.py", *words.split(), "--local_cloud", folder=tmp_path)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "1 running" in line:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 130, "".join(said) + errors
    assert output == ""
    assert "experiments that have not ended end with the local cloud" in errors
    assert "results: " in errors


@pytest.mark.timeout(600)
def test_ctrl_c_while_others_go_on(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """Only the script ends. The same command goes on with what is there, and waits for it."""
    words = ["--experiment_tag", "on", "--benchmark", "digits_mlp", "--method", "RS", "--n_workers", "1"]
    words += ["--max_num_trials_started", "1"]
    fault = local_cloud.faults.add("slow_start", job="*", seconds=3600.0)
    process = start("launch_remote.py", *words, "--local_cloud", "--wait", folder=tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if "launched on-digits-mlp" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 130
    assert "what was launched goes on; the same command launches the rest" in errors
    local_cloud.faults.remove(fault)
    (job,) = local_cloud.jobs()
    assert job["status"] == "InProgress"
    again = run("launch_remote.py", *words, "--local_cloud", "--json", folder=tmp_path)
    assert json.loads(again.stdout)["running"] == ["on-digits-mlp-RS-w1-0"]


def _tuner(cloud: LocalCloud, name: str) -> Tuner:
    """What was shipped of an experiment."""
    s3 = cloud.client("s3")
    rows = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"cloudtune/tmlr-10/{name}/")["Contents"]
    (key,) = (row["Key"] for row in rows if row["Key"].endswith(f"/{PICKLE}"))
    tuner = dill.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert isinstance(tuner, Tuner)
    return tuner
