"""``cloudtune status``, ``logs``, ``stop`` and ``resume``: for experiments on this machine, and what they refuse.

What they do with remote experiments stands in tests/remote/test_from_any_machine.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.store.places import experiment_path
from tests.aws.conftest import wait_until
from tests.cli.conftest import Workplace
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, opened_in_s3, recorded_in_s3
from tests.experiments.recorded import THREE_TRIALS, record, recorded, row, trial

__all__ = ["account"]

FAILED = {
    "event": "end",
    "trial": 0,
    "attempt": 0,
    "outcome": "failed",
    "reason": "exit code 1\nboom",
    "exit_code": 1,
    "time": 6.0,
    "status": "Failed",
}


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, [*arguments])


@pytest.mark.parametrize("command", ["status", "logs", "stop", "resume"])
def test_the_commands_explain_themselves(command: str) -> None:
    """``--help`` shows how the command is typed, and needs nothing that is slow to import."""
    program = (
        f"import sys; from cloudtune.cli import main; main(['{command}', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore', 'dill'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"cloudtune {command} " in done.stdout.partition("Example:")[2]


@pytest.mark.parametrize("command", [["status"], ["logs"], ["stop"], ["resume"]])
def test_an_experiment_that_is_nowhere(command: list[str]) -> None:
    """One line says where it was looked for, and why not in S3."""
    done = run(*command, "nothing")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: there is no experiment 'nothing' in ")
    assert "nor can one be read from S3 (No AWS region is set" in line


def test_status_of_an_experiment_on_this_machine() -> None:
    """While a tuner drives it, and afterwards; the same facts for people and for programs."""
    store = record("demo", header("demo"), *THREE_TRIALS, st_limits={"seconds": 600, "dollars": 5, "unheard of": 1})
    told = json.loads(run("status", "demo", "--json").stdout)
    assert (told["name"], told["place"], told["state"]) == ("demo", str(experiment_path("demo")), "running")
    assert told["driven_by"].startswith("pid ")
    assert told["trials"] == {"InProgress": 1, "Stopping": 2}
    assert told["best"] == {"metric": "loss", "value": 0.4, "trial": 1, "config": {"lr": 0.2, "width": 64}}
    assert told["limits"] == [
        {"name": "seconds", "limit": 600, "so_far": 4.5},
        {"name": "dollars", "limit": 5, "so_far": 0.0},
    ]
    store.append([FAILED])
    store.close()
    told = json.loads(run("status", "demo", "--json").stdout)
    assert (told["state"], told["driven_by"], told["tuner"]) == ("unfinished", "", None)
    assert told["last_error"] == "trial 0: exit code 1"
    lines = dict(line.split("  ", 1) for line in run("status", "demo").stdout.splitlines())
    shown = {label: text.strip() for label, text in lines.items()}
    assert shown["experiment"] == "demo: unfinished"
    assert shown["trials"] == "1 running, 1 stopping, 1 failed; 6 reports"
    assert shown["best"] == "loss=0.4 by trial 1 (lr=0.2, width=64)"
    assert shown["last error"] == "trial 0: exit code 1"


def test_status_of_an_experiment_in_s3(account: LocalCloud) -> None:
    """One that was never in a training job: the lease tells whether it runs. A tag may stand before the name."""
    store = opened_in_s3("demo", header("demo"), trial(0, lr=0.1), row(0, 1.0, loss=0.5, epoch=1), tag="study")
    told = json.loads(run("status", "demo", "--json").stdout)
    assert (told["state"], told["tuner"], told["epoch"]) == ("running", None, 1)
    assert told["driven_by"].startswith("pid ")
    assert told["last_sign"] < 60
    store.close()
    told = json.loads(run("status", "study/demo", "--json").stdout)
    assert (told["state"], told["driven_by"], told["reports"]) == ("unfinished", "", 1)
    assert told["place"] == f"s3://{DEFAULT_BUCKET}/cloudtune/study/demo/"


def test_this_machine_comes_first_unless_a_place_is_given(account: LocalCloud) -> None:
    """``--s3-path`` says that S3 is meant."""
    recorded("demo", header("demo"), trial(0, lr=0.1))
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS)
    assert json.loads(run("status", "demo", "--json").stdout)["reports"] == 0
    told = run("status", "demo", "--json", "--s3-path", f"s3://{DEFAULT_BUCKET}")
    assert json.loads(told.stdout)["reports"] == 6


def test_the_output_of_trials_on_this_machine(workplace: Workplace) -> None:
    """What a trial wrote is in the experiment's folder; what the tuner wrote was on its terminal."""
    options = ["--name", "demo", "--no-suffix", "--max-num-trials-started", "1", "--method", "random"]
    done = workplace.run(*workplace.tune, *options)
    assert done.returncode == 0, done.stderr
    told = workplace.run("logs", "demo", "0")
    assert told.returncode == 0
    assert told.stdout.count("[tune-metric]: ") == 4
    followed = workplace.run("logs", "demo", "0", "--follow")
    assert (followed.returncode, followed.stdout) == (0, told.stdout)
    refused = workplace.run("logs", "demo", "7")
    assert refused.returncode == 1
    assert "has no trial 7; they are numbered from 0 to 0" in refused.stderr
    refused = workplace.run("logs", "demo")
    assert refused.returncode == 1
    assert "name a trial, as `cloudtune logs demo 0`" in refused.stderr


def test_following_a_trial_that_goes_on(workplace: Workplace, tmp_path: Path) -> None:
    """Lines come as they are written, until the trial has ended."""
    gate = tmp_path / "gate"
    workplace.write_space(x="uniform(0, 1)", max_epochs=4, hold=2)
    environment = {**workplace.environment, "GATE": str(gate)}
    options = ["--name", "demo", "--no-suffix", "--max-num-trials-started", "1", "--method", "random"]
    tune = workplace.command([*workplace.tune, *options])
    with subprocess.Popen(tune, cwd=workplace.folder, env=environment, stderr=subprocess.DEVNULL) as tuner:
        output = experiment_path("demo") / "trials" / "0" / "std.out"
        wait_until(output.exists, "the trial's output")
        follower = workplace.start("logs", "demo", "0", "-f")
        assert follower.stdout is not None
        first = [follower.stdout.readline() for _ in range(2)]
        assert all("[tune-metric]: " in line for line in first)
        gate.touch()
        rest = follower.communicate(timeout=100)[0]
        assert rest.count("[tune-metric]: ") == 2
        assert follower.returncode == 0
        assert tuner.wait(timeout=100) == 0


def test_what_cannot_be_shown_of_an_experiment_in_s3(account: LocalCloud) -> None:
    """No job ran its tuner, and what its trials wrote was not kept: both are said."""
    recorded_in_s3("demo", header("demo"), *THREE_TRIALS, backend="LocalBackend")
    done = run("logs", "demo")
    assert (done.exit_code, "has no training job of a tuner" in done.stderr) == (1, True)
    done = run("logs", "demo", "1")
    assert (done.exit_code, "store_logs_localbackend=True" in done.stderr) == (1, True)
    done = run("logs", "demo", "9")
    assert (done.exit_code, "numbered from 0 to 2" in done.stderr) == (1, True)


def test_stop_leaves_tuners_of_machines_to_their_machines(account: LocalCloud) -> None:
    """It names who drives the experiment, here or in S3; where nobody does and nothing runs there is nothing to do."""
    local = record("here", header("here"))
    done = run("stop", "here")
    assert done.exit_code == 1
    assert "is driven on this machine by pid " in done.stderr
    local.close()
    done = run("stop", "here")
    assert (done.exit_code, "no tuner of here runs on this machine" in done.stderr) == (1, True)
    assert "--s3-path says where one of that name lies in S3" in done.stderr
    store = opened_in_s3("there", header("there"))
    done = run("stop", "there")
    assert done.exit_code == 1
    assert "which is no training job: end it there with Ctrl-C" in done.stderr
    store.close()
    done = run("stop", "there", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "ok": True,
        "job": None,
        "job_status": "",
        "ended": [],
        "running": [],
        "failed": {},
    }


def test_options_that_do_not_fit(account: LocalCloud) -> None:
    """Each is refused with its reason."""
    recorded("here", header("here"))
    recorded_in_s3("there", header("there"))
    for arguments, reason in (
        (["status", "here", "--follow"], "only remote experiments can be followed"),
        (["status", "there", "--follow", "--json"], "give --follow or --json"),
        (["resume", "here", "--here"], "--here and --follow are for remote experiments"),
        (["resume", "there", "--takeover"], "--takeover needs --here"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert reason in done.stderr
    done = run("resume", "there")
    assert (done.exit_code, "launch it again by its script" in done.stderr) == (1, True)
    done = run("resume", "there", "--here")
    assert (done.exit_code, "was not launched by a RemoteLauncher" in done.stderr) == (1, True)
