"""Following an experiment: what the display is told while its log is written elsewhere, and how it ends.

The job runs no tuner here but waits for the test, which writes the log itself, step by step, as the display hears of
the step before.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.remote import following
from cloudtune.remote.following import Pace, RemoteTunerFailed, follow
from cloudtune.remote.standing import standing_in_s3
from cloudtune.remote.stopping import Stopping
from cloudtune.remote.tuner_job import Settings, TunerPlace
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_store import S3Store
from cloudtune.trial import Trial, TrialStatus
from tests.aws.conftest import training_request
from tests.callbacks.screen import Screen, run_in_terminal
from tests.experiments.in_s3 import header
from tests.experiments.recorded import row, trial

NAME, ROOT = "digits", "cloudtune/digits/digits/"
#: A job that ends, well or not, when the file says so.
WAITER = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
gate = pathlib.Path(os.environ["GATE"])
while not gate.exists():
    time.sleep(0.02)
word = gate.read_text()
if word:
    failure = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml") + "/output/failure"
    open(failure, "w").write("exit code 1\\nTraceback\\n" + word)
    sys.exit(1)
"""
SOON = Pace(log=0.1, quiet_log=0.3, job=0.2, quiet_job=0.3)
END = {"event": "end", "trial": 0, "attempt": 0, "outcome": "completed", "reason": "", "exit_code": 0, "time": 2.0}


def finish(state: str) -> dict[str, Any]:
    """The entry with which a tuner ends."""
    return {"event": "finish", "why": "enough is enough", "time": 3.0, "state": state}


class Scripted(ProgressCallback):
    """A display that notes what it is told, and does the next step when it has heard of what the step waits for."""

    def __init__(self, *steps: tuple[str, Callable[[], object]]) -> None:
        super().__init__(live=False)
        self.heard: list[str] = []
        self._steps = list(steps)

    @property
    def told(self) -> list[str]:
        """What was heard, without the states of the job, of which a slow machine lets one see more than a quick one."""
        return [text for text in self.heard if "which runs the tuner: " not in text]

    def _hear(self, text: str) -> None:
        if text and (not self.heard or self.heard[-1] != text):
            self.heard.append(text)
        if self._steps and self._steps[0][0] in text:
            self._steps.pop(0)[1]()

    def note(self, text: str) -> None:
        super().note(text)
        self._hear(text)

    def on_start_trial(self, trial: Trial) -> None:
        self._hear(f"start {trial.trial_id}")

    def on_resume_trial(self, trial: Trial) -> None:
        self._hear(f"resume {trial.trial_id} {trial.attempt}")

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        super().on_trial_result(trial, status, result, decision)
        self._hear(f"report {trial.trial_id} {result['loss']}")

    def on_trial_end(self, trial: Trial, status: TrialStatus, result: dict[str, Any], reason: str) -> None:
        super().on_trial_end(trial, status, result, reason)
        self._hear(f"end {trial.trial_id} {status.value}")


class Remote:
    """An experiment, its log and its jobs."""

    def __init__(self, cloud: LocalCloud, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        self.aws: Aws = aws_for(None, None)
        for bucket in ("experiments", "data"):
            self.aws.call("s3", "create_bucket", Bucket=bucket)
        self.place = TunerPlace(Bucket(self.aws, "experiments"), ROOT)
        self.uri = f"s3://experiments/{ROOT}"
        self.store = S3Store(self.place.bucket, ROOT)
        self._folder = folder
        self._monkeypatch = monkeypatch

    def launch(self, launch: int = 0, last_trials: float = 0.0, **more: Any) -> str:
        """Creates a job as that of a launch; its name. What else its request has is to be named."""
        name = self.place.job_name(NAME, launch)
        self.place.write_task(launch, Settings(NAME, "", ROOT, 3600, last_trials=last_trials), {})
        environment = {protocol.ENV_PLACE: self.place.uri, "GATE": str(self._folder / name)}
        script = "import os; exec(os.environ['SCRIPT'])"
        request = training_request(name, script, Environment={**environment, "SCRIPT": WAITER}, **more)
        task = {"S3DataType": "S3Prefix", "S3Uri": self.place.bucket.uri(self.place.keys.task_folder(0, launch))}
        channel = {"ChannelName": protocol.CHANNEL_TASK, "DataSource": {"S3DataSource": task}}
        request["InputDataConfig"] = [channel]
        self.cloud.client("sagemaker").create_training_job(**request)
        return name

    def end(self, launch: int = 0, failure: str = "") -> None:
        """Has the job of a launch end."""
        gate = self._folder / self.place.job_name(NAME, launch)
        gate.with_suffix(".new").write_text(failure)
        gate.with_suffix(".new").rename(gate)

    def open(self, *entries: dict[str, Any], launch: int | None = 0) -> None:
        """A tuner takes the experiment, in the job of a launch or elsewhere."""
        if launch is None:
            self._monkeypatch.delenv("TRAINING_JOB_NAME", raising=False)
        else:
            self._monkeypatch.setenv("TRAINING_JOB_NAME", self.place.job_name(NAME, launch))
        self.store.open()
        self.write(*entries)

    def write(self, *entries: dict[str, Any]) -> None:
        """It writes entries."""
        self.store.append([*entries])
        self.store.flush()

    def close(self, *entries: dict[str, Any]) -> None:
        """It writes its last entries and goes."""
        self.write(*entries)
        self.store.close()

    def follow(self, display: ProgressCallback, job: str | None = None, told: list[str] | None = None) -> bool:
        """Follows the experiment, soon."""
        tell = None if told is None else told.append
        return follow(self.aws, self.uri, job, pace=SOON, progress=display, tell=tell)


@pytest.fixture
def remote(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://experiments")
    remote = Remote(local_cloud, tmp_path, monkeypatch)
    yield remote
    remote.store.close()  # its lease would be renewed on in the next test's cloud


def test_from_the_jobs_start_to_its_end(remote: Remote, faults: CloudFaults, caplog: pytest.LogCaptureFixture) -> None:
    """What happens is told in its order, first of the job, then of the trials; the table comes last."""
    caplog.set_level(logging.INFO, "cloudtune")
    faults.add("slow_start", seconds=2)
    job = remote.launch()
    display = Scripted(
        ("the tuner begins", lambda: remote.open(header(NAME), trial(0, lr=0.1))),
        ("start 0", lambda: remote.write(row(0, 1.0, loss=0.5, epoch=1))),
        ("report 0", lambda: remote.close({**END, "status": "Completed"}, finish("finished"))),
        ("not yet", remote.end),
    )
    assert remote.follow(display, job)
    assert display.heard[0] not in display.told
    assert display.told == [
        f"training job {job} runs, the tuner begins",
        "start 0",
        "report 0 0.5",
        "end 0 Completed",
        f"the tuner has ended, training job {job} not yet",
    ]
    assert (
        "Tuning ended (enough is enough), results of trials can be found on s3://experiments/cloudtune" in caplog.text
    )


def test_ctrl_c_leaves_it_alone(remote: Remote) -> None:
    """What was there before is not told again; how to go on is; the job runs on."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1), row(0, 1.0, loss=0.5, epoch=1))
    display = Scripted(
        ("", lambda: remote.write(row(0, 2.0, loss=0.25, epoch=2))),
        ("report", lambda: os.kill(os.getpid(), signal.SIGINT)),
    )
    told: list[str] = []
    assert not remote.follow(display, job, told)
    assert [text for text in display.heard if "job" not in text] == ["report 0 0.25"]
    (text,) = told
    assert "`cloudtune status digits --follow`" in text
    assert "`cloudtune stop digits`" in text
    assert remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == (
        "InProgress"
    )
    remote.close()


class Impatient(Scripted):
    """Ctrl-C is pressed again while the display is taken away."""

    def leave(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        super().leave()


def test_ctrl_c_twice(remote: Remote) -> None:
    """All the same it is told that the experiment goes on, and how it is stopped."""
    remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))
    told: list[str] = []
    assert not remote.follow(Impatient(("", lambda: os.kill(os.getpid(), signal.SIGINT))), told=told)
    assert "`cloudtune stop digits`" in told[0]
    remote.close()


def test_what_ended_before_is_not_the_end(remote: Remote) -> None:
    """It is launched again; until its tuner begins it is starting, and a job that fails before that has failed."""
    first = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))
    remote.close(finish("finished"))
    remote.end()
    remote.cloud.wait_for_job(first)
    experiment = find_in_s3(NAME, aws=remote.aws)
    assert standing_in_s3(experiment).state == "finished"
    second = remote.launch(1)
    assert standing_in_s3(experiment).state == "starting"
    display = Scripted(("the tuner begins", lambda: remote.end(1, failure="the image has another Python")))
    with pytest.raises(RemoteTunerFailed, match=f"{second}, failed: the image has another Python"):
        remote.follow(display)
    assert not any("the tuner has ended" in text for text in display.heard)
    third = remote.launch(2)
    remote.cloud.stop_job(third)
    with pytest.raises(RemoteTunerFailed, match=f"{third}, was stopped before the tuner had begun"):
        remote.follow(Scripted())


def test_a_successor_is_followed(remote: Remote) -> None:
    """The first job ends in order and hands over; without naming it, the newest one is found."""
    first = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))

    def hand_over() -> None:
        remote.close({**END, "status": "Interrupted", "outcome": "interrupted"}, finish("interrupted"))
        remote.launch(1)
        remote.end(0)

    def carry_on() -> None:
        remote.open({"event": "retry", "trial": 0, "attempt": 1, "time": 3.0}, launch=1)

    display = Scripted(
        ("", hand_over),
        ("carries on", carry_on),
        ("resume 0 1", lambda: remote.close(finish("finished"))),
        ("not yet", lambda: remote.end(1)),
    )
    assert remote.follow(display, first)
    second = remote.place.job_name(NAME, 1)
    assert f"training job {second} carries on" in display.heard
    assert display.told[-1] == f"the tuner has ended, training job {second} not yet"
    again = Scripted()
    assert remote.follow(again)


def test_a_job_that_fails(remote: Remote) -> None:
    """Its own last words are told, and what one can do."""
    job = remote.launch()
    display = Scripted(("the tuner begins", lambda: remote.end(failure="RuntimeError: the disk is on fire")))
    with pytest.raises(RemoteTunerFailed) as error:
        remote.follow(display, job)
    assert f"training job {job}, failed: RuntimeError: the disk is on fire; `cloudtune logs digits`" in str(error.value)
    assert "`cloudtune resume digits` continues" in str(error.value)


def test_a_job_that_is_stopped_before_it_begins(remote: Remote, faults: CloudFaults) -> None:
    """It writes nothing, and nobody waits for it."""
    faults.add("slow_start", seconds=1000)
    job = remote.launch()
    stop = remote.cloud.client("sagemaker").stop_training_job
    with pytest.raises(RemoteTunerFailed, match="was stopped before the tuner had begun"):
        remote.follow(Scripted(("which runs the tuner", lambda: stop(TrainingJobName=job))), job)


def test_an_interrupted_experiment(remote: Remote) -> None:
    """It is no failure; how to continue is told."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))

    def interrupt() -> None:
        remote.close(finish("interrupted"))
        remote.end()

    told: list[str] = []
    assert remote.follow(Scripted(("", interrupt)), job, told)
    assert told == ["the tuner has ended before the experiment; `cloudtune resume digits` continues it"]


def test_a_tuner_that_runs_in_no_job(remote: Remote) -> None:
    """Whoever holds the lease drives the experiment; its end is the end."""
    remote.open(header(NAME), trial(0, lr=0.1), launch=None)
    display = Scripted(
        ("driven by pid", lambda: remote.write(row(0, 1.0, loss=0.5, epoch=1))),
        ("report", lambda: remote.close(finish("finished"))),
    )
    assert remote.follow(display)
    assert display.told[-1] == "report 0 0.5"


def test_with_no_rights_but_on_the_bucket(
    remote: Remote, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may only read what lies there follows the experiment by its log and lease; a warning says what is hidden."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))
    faults.add("access_denied", operation="sagemaker:*")
    standing = standing_in_s3(find_in_s3(NAME, aws=remote.aws))
    assert (standing.state, standing.tuner, standing.trials) == ("running", None, {"InProgress": 1})
    assert "the tuner's training job is not shown: sagemaker:DescribeTrainingJob" in caplog.text
    display = Scripted(
        (f"driven by training job {job}", lambda: remote.write(row(0, 1.0, loss=0.5, epoch=1))),
        ("report", lambda: remote.close(finish("finished"))),
    )
    assert remote.follow(display)
    assert display.told[-1] == "report 0 0.5"
    assert caplog.text.count("the tuner's training job is not looked at") == 1


def test_nobody_has_to_be_there(remote: Remote) -> None:
    """Following what nobody drives any more tells how it ended, at once."""
    remote.open(header(NAME), trial(0, lr=0.1), launch=None)
    remote.close(finish("finished"))
    display = Scripted()
    told: list[str] = []
    assert remote.follow(display, told=told)
    assert display.heard == told == []


def test_nobody_is_there_in_the_middle(remote: Remote) -> None:
    """Its tuner is gone without a word: that is told, and how it goes on."""
    remote.open(header(NAME), trial(0, lr=0.1), launch=None)
    remote.store.close()
    told: list[str] = []
    assert remote.follow(Scripted(), told=told)
    assert told == ["nobody drives 'digits' any more; `cloudtune resume digits` continues it"]


def test_a_tuner_of_this_machine_was_killed(remote: Remote) -> None:
    """It could not give the lease back; that it is dead is seen here, and nobody waits until the lease is stale."""
    code = (
        "import os\n"
        "from cloudtune.aws.clients import Aws\n"
        "from cloudtune.aws.s3 import Bucket\n"
        "from cloudtune.store.s3_store import S3Store\n"
        "from tests.experiments.in_s3 import header\n"
        f"store = S3Store(Bucket(Aws(), 'experiments'), {ROOT!r})\n"
        "store.open()\n"
        f"store.append([header({NAME!r})])\n"
        "store.flush()\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd=Path(__file__).parents[2])
    experiment = find_in_s3(NAME, aws=remote.aws)
    lease = read_lease(experiment.bucket, experiment.root)
    assert lease is not None
    assert lease.is_alive
    standing = standing_in_s3(experiment)
    assert (standing.state, standing.driven_by) == ("unfinished", "")
    told: list[str] = []
    assert remote.follow(Scripted(), told=told)
    assert told == ["nobody drives 'digits' any more; `cloudtune resume digits` continues it"]
    assert Stopping(experiment, leave_trials=False, grace=0.0, tell=told.append).run().job is None


def test_aws_does_not_answer_for_a_while(remote: Remote, faults: CloudFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told, and nothing is missed."""
    monkeypatch.setattr(following, "_PATIENCE", 0.0)
    remote.open(header(NAME), trial(0, lr=0.1), launch=None)

    def fail() -> None:
        faults.add("internal_error", operation="s3:ListObjectsV2", count=1)
        remote.write(row(0, 1.0, loss=0.5, epoch=1))

    display = Scripted(("driven by", fail), ("report", lambda: remote.close(finish("finished"))))
    assert remote.follow(display)
    assert [text for text in display.heard if text.endswith("Trying again")]
    assert "report 0 0.5" in display.heard


def test_the_live_display_in_a_terminal(remote: Remote, tmp_path: Path) -> None:
    """It looks as that of a local run, limits included; Ctrl-C takes it away, and what can be done stands there."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1), row(0, 1.0, loss=0.5, epoch=1))
    remote.store.write_metadata({"st_limits": {"seconds": 600}})
    frames: list[list[str]] = []
    pressed: list[str] = []

    def watch(screen: Screen) -> str:
        frames.append(screen.lines)
        seen = "\n".join(screen.lines)
        if not pressed and "loss=0.5" in seen and "lr=0.1" in seen and "of 600" in seen:
            pressed.append("\x03")
            return "\x03"
        return ""

    program = "from cloudtune.cli import main\nmain(['status', 'digits', '--follow'], prog_name='cloudtune')\n"
    code, screen = run_in_terminal(program, tmp_path, watch)
    assert (code, pressed) == (0, ["\x03"]), screen.lines
    assert any("1 trials running" in line for frame in frames for line in frame)
    text = " ".join(screen.lines)
    assert "'digits' goes on; follow it again with `cloudtune status digits --follow`" in text
    assert "last report" not in text
    assert not screen.cursor_hidden
    described = remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert described["TrainingJobStatus"] == "InProgress"
    remote.close()
