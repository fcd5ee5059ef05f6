"""``cloudtune tune`` and ``cloudtune resume``, run as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Any

import pytest

from cloudtune.experiments import load_experiment
from tests.cli.conftest import Workplace


def outcome(output: str) -> dict[str, Any]:
    """The one JSON object that ``--json`` prints."""
    result: dict[str, Any] = json.loads(output)
    return result


def read_until(stream: IO[str] | None, text: str) -> None:
    assert stream is not None
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"the command ended without a line that has {text!r}")


def test_tune_prints_the_best_configuration_and_where_the_results_are(workplace: Workplace) -> None:
    """The defaults (ASHA, four workers) tune a script, and what is printed is what the results say."""
    done = workplace.run(*workplace.tune, "--max-num-trials-started", "6", "--name", "heights", "--seed", "1")
    assert done.returncode == 0, done.stderr
    (folder,) = (workplace.folder / "experiments").iterdir()
    assert folder.name.startswith("heights-")
    best = load_experiment(folder.name).best_config()
    assert f"best error: {best['error']:.6g}, by trial {best['trial_id']} with" in done.stdout
    assert f"x           {best['config_x']}" in done.stdout
    assert f"results: {folder}" in done.stdout
    assert "6 trials" in done.stdout


@pytest.mark.parametrize("method", ["asha", "asha-promotion", "random", "grid", "median"])
def test_every_method_runs_from_the_command_line(workplace: Workplace, method: str) -> None:
    """Each method reaches a best value, told as JSON that agrees with the stored results."""
    limits = ["--max-num-evaluations", "12", "--n-workers", "2"]
    done = workplace.run(*workplace.tune, "--method", method, *limits, "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    told = outcome(done.stdout)
    experiment = load_experiment(told["name"])
    best = experiment.best_config()
    assert told["best"]["metric"] == "error"
    assert told["best"]["value"] == best["error"]
    assert told["best"]["config"]["x"] == best["config_x"]
    assert told["reports"] == len(experiment.results) >= 12
    assert told["trials_started"] >= 2
    assert experiment.metadata["random_seed"] == 3


def test_mode_max_looks_for_the_greatest_value(workplace: Workplace) -> None:
    """``--mode max`` turns the comparison round."""
    done = workplace.run(
        *workplace.tune, "--mode", "max", "--max-num-trials-started", "4", "--method", "random", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = outcome(done.stdout)
    assert told["best"]["value"] == load_experiment(told["name"]).results["error"].max()


def test_pictures_are_drawn_into_the_experiments_folder(workplace: Workplace) -> None:
    """Without being asked the command draws both pictures, as the demo does, and says where each is."""
    done = workplace.run(*workplace.tune_and_plot, "--max-num-trials-started", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = outcome(done.stdout)
    assert told["plots"] == [f"{told['path']}/{name}" for name in ("best-so-far.png", "learning-curves.png")]
    for path in told["plots"]:
        with open(path, "rb") as picture:
            assert picture.read(4) == b"\x89PNG"
    again = workplace.run("resume", told["name"])
    assert again.returncode == 0, again.stderr
    assert [f"plot: {path}" for path in told["plots"]] == again.stdout.splitlines()[-2:]


def test_no_pictures_where_they_are_not_wanted(workplace: Workplace) -> None:
    """``--no-plot`` leaves them out."""
    done = workplace.run(*workplace.tune, "--max-num-trials-started", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = outcome(done.stdout)
    assert told["plots"] == []
    assert not list(Path(told["path"]).glob("*.png"))


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--plot",), 1)])
def test_matplotlib_is_missing(workplace: Workplace, options: tuple[str, ...], code: int) -> None:
    """Where it is not installed nothing is drawn and nothing is said, unless pictures were asked for."""
    absent = "import sys; sys.modules['matplotlib'] = None; from importlib import util; find = util.find_spec; "
    absent += "util.find_spec = lambda name, *more: None if name == 'matplotlib' else find(name, *more)\n"
    (workplace.folder / "sitecustomize.py").write_text(absent, encoding="utf-8")
    done = subprocess.run(
        workplace.command([*workplace.tune_and_plot, "--max-num-trials-started", "1", *options]),
        cwd=workplace.folder,
        env={**workplace.environment, "PYTHONPATH": str(workplace.folder)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("drawing needs matplotlib: pip install" in done.stderr) == bool(code)
    assert "plot: " not in done.stdout


def test_a_picture_that_cannot_be_drawn_costs_a_line_only(workplace: Workplace) -> None:
    """The outcome is told all the same, and the code says that the tuning went well."""
    folder = workplace.folder / "experiments" / "drawn"
    (folder / "best-so-far.png").mkdir(parents=True)
    named = ["--name", "drawn", "--no-suffix", "--max-num-trials-started", "1"]
    done = workplace.run(*workplace.tune_and_plot, *named)
    assert done.returncode == 0, done.stderr
    assert f"the pictures were not drawn: {folder}/best-so-far.png: " in done.stderr
    assert f"results: {folder}" in done.stdout


def test_the_same_command_with_a_fixed_name_continues(workplace: Workplace) -> None:
    """With ``--no-suffix`` a second run goes on where the first ended, with new limits and new trials."""
    fixed = ["--name", "fixed", "--no-suffix", "--method", "random", "--seed", "5", "--json"]
    first = workplace.run(*workplace.tune, *fixed, "--max-num-trials-started", "2")
    assert first.returncode == 0, first.stderr
    before = load_experiment("fixed").results
    second = workplace.run(*workplace.tune, *fixed, "--max-num-trials-started", "5")
    assert second.returncode == 0, second.stderr
    after = load_experiment("fixed").results
    assert outcome(second.stdout)["trials_started"] == 5
    assert sorted(after["trial_id"].unique()) == [0, 1, 2, 3, 4]
    assert after.iloc[: len(before)]["error"].tolist() == before["error"].tolist()
    assert after.groupby("trial_id")["epoch"].apply(list).tolist() == [[1, 2, 3, 4]] * 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_experiment_is_resumed_by_its_name(workplace: Workplace, number: int, code: int) -> None:
    """A signal ends the command with the code a shell expects; resume then finishes every trial, no epoch twice."""
    workplace.write_space(x="uniform(0, 1)", max_epochs=6, seconds=0.3)
    named = [
        "--name",
        "broken-off",
        "--no-suffix",
        "--method",
        "random",
        "--resource-attr",
        "epoch",
        "--n-workers",
        "2",
    ]
    with workplace.start(*workplace.tune, *named, "--max-num-trials-started", "3") as process:
        read_until(process.stderr, "(trial 1) - scheduled config")
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == code
    assert "cloudtune resume broken-off" in rest
    assert "Traceback" not in rest
    resumed = workplace.run("resume", "broken-off", "--json")
    assert resumed.returncode == 0, resumed.stderr
    results = load_experiment("broken-off").results
    assert results.groupby("trial_id")["epoch"].apply(list).to_dict() == {
        trial: [1, 2, 3, 4, 5, 6] for trial in range(3)
    }


def test_resume_takes_new_limits(workplace: Workplace) -> None:
    """A finished experiment goes on when its limits are widened, and by more workers if asked."""
    first = workplace.run(
        *workplace.tune, "--name", "more", "--max-num-trials-started", "2", "--method", "random", "--json"
    )
    assert first.returncode == 0, first.stderr
    name = outcome(first.stdout)["name"]
    again = workplace.run("resume", name, "--max-num-trials-started", "4", "--n-workers", "3", "--json")
    assert again.returncode == 0, again.stderr
    assert outcome(again.stdout)["trials_started"] == 4
    assert sorted(load_experiment(name).results["trial_id"].unique()) == [0, 1, 2, 3]


def test_resume_with_nothing_left_to_do_says_so(workplace: Workplace) -> None:
    """A finished experiment without new limits is told again, with the way to go on."""
    first = workplace.run(
        *workplace.tune, "--name", "done", "--max-num-trials-started", "2", "--method", "random", "--json"
    )
    assert first.returncode == 0, first.stderr
    told = outcome(first.stdout)
    again = workplace.run("resume", told["name"], "--json")
    assert again.returncode == 0, again.stderr
    assert outcome(again.stdout)["best"] == told["best"]
    assert "widen it, as --max-wallclock-time 1200" in again.stderr


def test_a_second_tuner_is_refused_until_it_takes_over(workplace: Workplace) -> None:
    """The same command beside a running one is refused with the way out; with ``--takeover`` the first one gives up."""
    workplace.write_space(x="uniform(0, 1)", max_epochs=10_000, seconds=0.2)
    shared = [
        *workplace.tune,
        "--name",
        "shared",
        "--no-suffix",
        "--method",
        "random",
        "--n-workers",
        "1",
        "--seed",
        "1",
    ]
    with workplace.start(*shared, "--max-num-trials-started", "1") as first:
        read_until(first.stderr, "(trial 0) - scheduled config")
        second = workplace.run(*shared, "--max-num-trials-started", "1")
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].startswith("Error: experiment 'shared' is driven by pid ")
        assert "--takeover" in second.stderr.splitlines()[-1]
        third = workplace.run(*shared, "--max-num-evaluations", "6", "--takeover", "--json")
        assert third.returncode == 0, third.stderr
        _, rest = first.communicate(timeout=60)
    assert first.returncode == 1
    assert rest.splitlines()[-1].startswith("Error: experiment 'shared' was taken over by pid ")
    assert outcome(third.stdout)["reports"] >= 6


def test_a_killed_experiment_is_listed_as_unfinished_and_resumed(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGKILL of the command the list shows what is there, and resume needs the name alone."""
    gate = workplace.folder / "gate"
    monkeypatch.setenv("GATE", str(gate))
    workplace.write_space(x="uniform(0, 1)", max_epochs=6, hold=3)
    named = ["--name", "killed", "--no-suffix", "--method", "random", "--resource-attr", "epoch", "--n-workers", "2"]
    with workplace.start(*workplace.tune, *named, "--max-num-trials-started", "3") as process:
        read_until(process.stderr, "(trial 1) - scheduled config")
        while len(load_experiment("killed").results) < 2:
            time.sleep(0.05)
        process.kill()
    gate.touch()
    (listed,) = json.loads(workplace.run("list", "--json").stdout)
    assert (listed["name"], listed["state"]) == ("killed", "unfinished")
    assert listed["trials"] == 2
    assert listed["reports"] >= 2
    resumed = workplace.run("resume", "killed", "--json")
    assert resumed.returncode == 0, resumed.stderr
    results = load_experiment("killed").results
    assert results.groupby("trial_id")["epoch"].apply(list).to_dict() == {
        trial: [1, 2, 3, 4, 5, 6] for trial in range(3)
    }
