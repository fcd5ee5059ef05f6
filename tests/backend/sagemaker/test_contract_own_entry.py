"""SageMakerBackend keeps most of the contract where the image's own entry starts the script: there is no agent.

What it cannot keep, as the guide says: garbage in a report file does no harm, because there is no such file.
"""

from __future__ import annotations

import functools
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cloudtune.aws.job_template import JobTemplate, template_of
from cloudtune.backend.sagemaker_backend import log_reader
from cloudtune.backend.sagemaker_backend.log_attempt import Patience
from cloudtune.backend.sagemaker_backend.log_channel import LogChannel
from cloudtune.backend.trial_backend import LeftRunning, TrialBackend
from cloudtune.trial import Outcome, Trial
from tests.backend.sagemaker.harness import BUCKET, PROGRAM, SageMakerContract, make_backend, training_job
from tests.contracts.backend_driver import Driver

LAUNCHER = Path(__file__).with_name("own_entry_launcher.py")
SOURCE = Path(__file__).with_name("own_entry")


def own_entry_job() -> JobTemplate:
    """A job whose image, if it were one, had the launcher as its entry point."""
    launch = "exec python3 ${SAGEMAKER_BASE_DIR:-/opt/ml}/input/data/launcher/launch.py"
    template = template_of(
        training_job(
            Path("train.py"),
            source_dir=SOURCE,
            dependencies=[PROGRAM],
            keep_own_entry=True,
            inputs={"launcher": f"s3://{BUCKET}/launcher/"},
        )
    )
    algorithm = {**template.request["AlgorithmSpecification"], "ContainerEntrypoint": ["/bin/sh", "-c", launch]}
    return replace(template, request={**template.request, "AlgorithmSpecification": algorithm})


class TestOwnEntry(SageMakerContract):
    """The contract, by way of the script's own lines in CloudWatch and SageMaker's own checkpoints."""

    saves_generations = False
    killed_by = ""
    job_members: ClassVar[dict[str, Any]] = {}

    # There is no report file beside the log that something else could write to.
    test_lines_that_are_no_reports = None  # type: ignore[assignment]
    test_reports_that_woke_nobody = None  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def _with_a_launcher(self, _on_the_cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key="launcher/launch.py", Body=LAUNCHER.read_bytes())
        # Nothing tells how many reports there are: how long late lines are waited for is another test's matter.
        patience = Patience(settle=1.0, longest=5.0, gap=60.0)
        monkeypatch.setattr(log_reader, "LogChannel", functools.partial(LogChannel, patience=patience))

    def make_backend(self, **options: Any) -> TrialBackend:
        return make_backend(own_entry_job(), **options)

    @pytest.mark.parametrize(
        ("config", "code", "words"),
        [
            ({"exit_code": 3, "echo_error": "out of luck"}, 3, "out of luck"),
            ({"raises": "boom"}, 1, "RuntimeError: boom"),
            ({"hard_exit": 7, "echo": "only on stdout"}, 7, "only on stdout"),
            ({"by_signal": int(signal.SIGSEGV)}, 139, ""),
            ({"by_signal": int(signal.SIGKILL), "reports": 2}, 137, ""),
        ],
    )
    def test_failure_says_why(self, driver: Driver, config: dict[str, Any], code: int, words: str) -> None:
        """As SageMaker tells it: the exit code, into which the image's entry turns a signal, and the last words."""
        driver.start(1, **config)
        end = driver.end_of(1)
        assert (end.outcome, end.exit_code) == (Outcome.failed, code)
        assert f"exit code: {code}" in end.reason
        assert words in end.reason
        assert "tune-metric" not in end.reason
        assert len(driver.reports(1)) == config.get("reports", 0)

    @pytest.mark.parametrize("own_entry_first", [True, False])
    def test_jobs_of_a_backend_with_another_entry(self, driver: Driver, own_entry_first: bool) -> None:
        """A tuner whose jobs have the agent hears and ends one without it that was left to it; and vice versa."""
        backends = [make_backend(own_entry_job()), make_backend()]
        driver.backend.close(stop_running=False)
        driver.backend = backends[not own_entry_first]
        driver.open()
        driver.start(0, reports=3, hold=True)
        driver.wait_for_reports(0, 3)
        driver.backend.close(stop_running=False)
        driver.backend = backends[own_entry_first]
        driver.open([LeftRunning(Trial(0), {0: 2})])
        driver.wait_for_reports(0, 4)
        assert [report.number for report in driver.reports(0)] == [0, 1, 2, 2]
        driver.backend.stop_trial(0)
        assert driver.end_of(0).outcome is Outcome.stopped
