"""A script in a job of its own: what it gets, and what of it arrives."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from tests.agent.agent_job import BUCKET, AgentJobs, channel

REPORTS = """
from cloudtune import Reporter
report = Reporter()
for epoch in range(5):
    report(epoch=epoch)
print("done", flush=True)
"""
SHOW = """
import json, os, sys
print("SHOWN " + json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "environ": dict(os.environ)}), flush=True)
"""


def shown(jobs: AgentJobs, name: str) -> dict[str, object]:
    line = next(line for line in jobs.lines(name) if line.startswith("SHOWN "))
    found: dict[str, object] = json.loads(line.partition(" ")[2])
    return found


def test_reports_and_the_end_of_a_script_arrive(jobs: AgentJobs) -> None:
    """All reports, in order, the end mark after them, and the script's output in the job's log."""
    jobs.create("one", REPORTS)
    end = jobs.end("one")
    assert end == {"outcome": "completed", "exit_code": 0, "signal": None, "reason": "", "output": "done"}
    assert jobs.values() == [0, 1, 2, 3, 4]
    head = jobs.head()
    assert (head["trial"], head["attempt"], head["run"], head["host"], head["job"]) == (7, 2, 0, "algo-1", "one")
    assert jobs.describe("one")["TrainingJobStatus"] == "Completed"
    assert "done" in jobs.lines("one")


@pytest.mark.defect("E4")
def test_a_job_downloads_nothing_and_calls_little(jobs: AgentJobs) -> None:
    """A short trial costs a dozen S3 calls: source and task came by the job's channels, nothing is uploaded."""
    jobs.create("one", REPORTS, put_interval=1.0, watch_interval=5.0)
    jobs.end("one")
    calls = jobs.cloud.calls(who="job:one")
    assert {call.operation for call in calls} <= {"GetObject", "PutObject", "ListObjectsV2"}
    assert len(calls) <= 12, [(call.operation, call.resource) for call in calls]


def test_arguments_folders_and_variables_reach_the_script(jobs: AgentJobs) -> None:
    """The command line is the tuner's; SM_* and CLOUDTUNE_* say where everything is; our channels are hidden."""
    jobs.s3.put_object(Bucket=BUCKET, Key="data/train.csv", Body=b"1,2\n")
    request = {"HyperParameters": {"momentum": "0.5", "sagemaker_program": '"x.py"', "text": "plain"}}
    jobs.create(
        "one",
        source={"src/deep.py": SHOW},
        entry_point="src/deep.py",
        config={"lr": 0.1, "flag": True, "name": 'it\'s\n"x"'},
        arguments=["--lr", "0.1", "--name", 'it\'s\n"x"'],
        request={
            **request,
            "InputDataConfig": [
                channel("cloudtune", "cloudtune/code/one/"),
                channel("cloudtune-task", jobs.keys.task_folder(7, 2)),
                channel("train", "data/"),
            ],
        },
    )
    assert jobs.end("one")["outcome"] == "completed"
    found = shown(jobs, "one")
    assert found["argv"] == [
        "src/deep.py", "--lr", "0.1", "--name", "it's\n\"x\"", "--st_checkpoint_dir", "/opt/ml/checkpoints",
    ]  # fmt: skip
    assert found["cwd"] == "/opt/ml/code"
    environ = found["environ"]
    assert isinstance(environ, dict)
    assert json.loads(environ["SM_HPS"]) == {
        "lr": 0.1,
        "flag": True,
        "name": 'it\'s\n"x"',
        "momentum": 0.5,
        "text": "plain",
    }
    expected = {
        "SM_CHANNELS": '["train"]',
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": '["algo-1"]',
        "SM_HP_FLAG": "true",
        "SM_HP_LR": "0.1",
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_MODULE_NAME": "deep",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_USER_ENTRY_POINT": "src/deep.py",
        "CLOUDTUNE_TRIAL": "7",
        "PYTHONUNBUFFERED": "1",
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert list(json.loads(environ["SM_INPUT_DATA_CONFIG"])) == ["train"]
    assert json.loads(environ["SM_TRAINING_ENV"])["hyperparameters"]["lr"] == 0.1
    assert "SM_CHANNEL_CLOUDTUNE" not in environ
    assert environ["PYTHONPATH"].split(":")[1] == "/opt/ml/code"


def test_a_config_of_any_size_and_type_arrives_as_a_file(jobs: AgentJobs) -> None:
    """Types survive, and a value far beyond AWS's 2,500 characters and the system's limit of an argument does, too."""
    config = {"layers": [1, 2], "none": None, "long": "x" * 300_000}
    script = """
import argparse, json, os
from cloudtune.config_json import add_config_json_to_argparse, load_config_json
from cloudtune import Reporter
parser = argparse.ArgumentParser()
add_config_json_to_argparse(parser)
parser.add_argument("--st_checkpoint_dir")
config = load_config_json(vars(parser.parse_args()))
Reporter()(layers=config["layers"], is_none=config["none"] is None, length=len(config["long"]))
"""
    jobs.create("one", script, config=config, pass_args_as_json=True)
    assert jobs.end("one")["outcome"] == "completed", jobs.lines("one")
    (report,) = [report for _, _, report in jobs.reports()]
    assert (report["layers"], report["is_none"], report["length"]) == ([1, 2], True, 300_000)


def test_an_argument_that_is_too_long_fails_the_trial_with_the_remedy(jobs: AgentJobs) -> None:
    """The operating system refuses the command line; the reason names what to switch on."""
    jobs.create("one", REPORTS, arguments=["--long", "x" * 300_000])
    end = jobs.end("one")
    assert end["outcome"] == "failed"
    assert "pass_args_as_json=True" in end["reason"]


def test_a_shell_script_and_a_program_may_be_the_entry_point(jobs: AgentJobs) -> None:
    """``.sh`` runs by sh, anything else by itself, executable or not."""
    jobs.create("one", source={"run.sh": "echo shell $1 $3 | cut -c1-9\n"}, entry_point="run.sh", arguments=["a", "b"])
    assert jobs.end("one")["output"] == "shell a -"
    jobs.create("two", source={"run": "#!/bin/sh\necho program $1\n"}, entry_point="run", arguments=["b"], attempt=3)
    jobs.cloud.wait_for_job("two")
    assert "program b" in jobs.lines("two")


def test_permission_bits_of_the_source_survive(jobs: AgentJobs) -> None:
    """A program in the source folder can be started by the script; another file stays what it was."""
    script = "import os, subprocess; print(subprocess.run(['./tool']).returncode, os.access('notes.txt', os.X_OK))"
    jobs.create("one", script, source={"tool": "#!/bin/sh\nexit 5\n", "notes.txt": ""}, executable=("tool",))
    assert jobs.end("one")["output"] == "5 False"


@pytest.mark.parametrize(
    ("script", "code", "number", "says"),
    [
        ("import sys; print('sorry'); sys.exit(3)", 3, None, "train.py ended with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, 9, "out of memory"),
    ],
)
def test_a_script_that_fails_is_told_of_with_code_and_output(
    jobs: AgentJobs, script: str, code: int | None, number: int | None, says: str
) -> None:
    """Exit code or signal, a sentence, the last lines; SageMaker's FailureReason has them, too."""
    jobs.create("one", script)
    end = jobs.end("one")
    assert (end["outcome"], end["exit_code"], end["signal"]) == ("failed", code, number)
    assert says in end["reason"]
    described = jobs.describe("one")
    assert described["TrainingJobStatus"] == "Failed"
    assert says in described["FailureReason"]
    assert f"exit code: {code or 128 + (number or 0)}" in described["FailureReason"].lower()
    if code:
        assert end["output"] == "sorry"
        assert "sorry" in described["FailureReason"]


def test_requirements_are_installed_and_the_source_does_not_hide_pips_modules(jobs: AgentJobs) -> None:
    """A file of the user's that is called like a module of pip's does not break the installer."""
    jobs.create("one", "print('ran')", source={"requirements.txt": "dill\n", "optparse.py": "raise SystemExit(1)\n"})
    assert jobs.end("one")["output"] == "ran"
    assert "installed the requirements in" in "\n".join(jobs.lines("one"))


def test_requirements_that_are_there_start_no_installer(jobs: AgentJobs) -> None:
    """In an image that has all of them in the versions asked for, the script starts without pip."""
    pinned = f"dill=={importlib.metadata.version('dill')}\n"
    jobs.create("one", "print('ran')", source={"requirements.txt": pinned})
    assert jobs.end("one")["output"] == "ran"
    assert "installing the requirements" not in "\n".join(jobs.lines("one"))


def test_a_missing_entry_point_is_named(jobs: AgentJobs) -> None:
    """A misspelt name fails the trial at once, and says which name."""
    jobs.create("one", REPORTS, entry_point="trian.py")
    assert "trian.py" in jobs.end("one")["reason"]


def test_requirements_are_installed_first_and_their_failure_fails_the_trial(jobs: AgentJobs) -> None:
    """pip runs before the script; if it fails, the script is not started and pip's last lines are the output."""
    jobs.create("one", REPORTS, source={"requirements.txt": "--no-index\nno-such-package-anywhere\n"})
    end = jobs.end("one")
    assert end["outcome"] == "failed"
    assert "requirements" in end["reason"]
    assert "no-such-package-anywhere" in end["output"] or "pip" in end["output"]
    assert jobs.values() == []


def test_ten_thousand_reports_arrive_in_order_at_little_cost(jobs: AgentJobs) -> None:
    """Old reports move to chunks, so that heads stay small; every report is there once."""
    script = """
from cloudtune import Reporter
report = Reporter()
for epoch in range(10_000):
    report(epoch=epoch)
"""
    jobs.create("one", script, put_interval=0.2)
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == list(range(10_000))
    head = jobs.head()
    assert sum(count for _, _, count in head["chunks"]) >= 9_000
    assert len(head["reports"]) <= 500
    assert len(jobs.cloud.calls("s3:PutObject", who="job:one")) < 100


def test_a_metric_that_is_no_number_arrives(jobs: AgentJobs) -> None:
    """NaN and infinity are values like others."""
    jobs.create("one", "from cloudtune import Reporter; Reporter()(a=float('nan'), b=float('-inf'))")
    jobs.end("one")
    ((_, _, report),) = jobs.reports()
    assert report["a"] != report["a"]
    assert report["b"] == float("-inf")


def test_the_first_report_after_silence_arrives_while_the_script_goes_on(jobs: AgentJobs) -> None:
    """A report wakes the agent: it does not wait for the end, nor for the next look at the file."""
    script = """
import os
from cloudtune import Reporter
Reporter()(epoch=1)
import signal; signal.pause()
"""
    jobs.create("one", script, put_interval=30.0)
    jobs.wait_for_reports(1)
    assert jobs.head()["state"] == "running"
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["outcome"] == "stopped"


def test_the_head_is_put_again_as_a_heartbeat(jobs: AgentJobs) -> None:
    """A script that reports nothing is still seen to live."""
    from tests.localcloud.conftest import wait_until

    jobs.create("one", "import signal; signal.pause()", heartbeat=0.1)
    wait_until(lambda: (jobs.read(jobs.keys.head(7, 2)) or {"beat": 0})["beat"] >= 4, "beats")
    jobs.write_life(stop_all="stop")
    assert jobs.end("one")["outcome"] == "stopped"
