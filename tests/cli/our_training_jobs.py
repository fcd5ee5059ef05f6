"""Training jobs that look as if a tuner had made them, and the commands that find and end them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from cloudtune.aws.trial_request import tag_value
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from tests.aws.conftest import training_request, wait_until

#: Ends when it is told to.
SLEEPER = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
#: What the agent does with the wish for all attempts: it ends.
LISTENER = """
import boto3, json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
bucket, _, prefix = os.environ["CLOUDTUNE_PLACE"][5:].partition("/")
s3 = boto3.client("s3")
print("listening", flush=True)
while not json.loads(s3.get_object(Bucket=bucket, Key=prefix + "life.json")["Body"].read())["stop_all"]:
    time.sleep(0.02)
"""
#: Where the bundle lies: by this a job with the agent is known.
BUNDLE = "/opt/ml/input/data/cloudtune/bundle.zip"


@dataclass
class Account:
    """An account with experiments, in the local cloud."""

    cloud: LocalCloud
    #: What stands between the bucket and cloudtune's own folders.
    within: str = ""

    def __post_init__(self) -> None:
        self.sagemaker = self.cloud.client("sagemaker")
        self.s3 = self.cloud.client("s3")
        self.s3.create_bucket(Bucket="data")

    def place(self, experiment: str) -> str:
        return f"s3://data/{self.within}cloudtune/study/{experiment}/abc123/"

    def start(
        self,
        experiment: str,
        trial: int = 0,
        script: str = SLEEPER,
        agent: bool = False,
        keep_alive: int = 0,
        environment: bool = True,
        **more: Any,
    ) -> str:
        """Starts a job of an experiment; its name."""
        name = f"{experiment}-abc123-{trial}-0"
        tags = {"experiment": experiment, "tag": "study", "trial": str(trial), "place": self.place(experiment)}
        request = training_request(
            name,
            script,
            Tags=[{"Key": f"cloudtune:{key}", "Value": tag_value(value)} for key, value in tags.items()],
            **more,
        )
        if environment:
            variables = {"CLOUDTUNE_JOB_ID": f"abc123-{trial}-0", "CLOUDTUNE_PLACE": self.place(experiment)}
            request["Environment"] = {**variables, "SCRIPT": script}
        if agent:
            entry_point = ["python", "-c", "import os; exec(os.environ['SCRIPT'])", BUNDLE]
            request["AlgorithmSpecification"]["ContainerEntrypoint"] = entry_point
        if keep_alive:
            request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = keep_alive
        self.sagemaker.create_training_job(**request)
        return name

    def wait_until_training(self, *names: str) -> None:
        """Returns once the containers of the jobs run."""
        for name in names:
            wait_until(lambda name=name: self.describe(name)["SecondaryStatus"] == "Training", f"training of {name}")  # type: ignore[misc]

    def describe(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return answer

    def status(self, name: str) -> str:
        return str(self.describe(name)["TrainingJobStatus"])

    def live(self, experiment: str, nonce: str = "tuner", **more: Any) -> None:
        """A sign of life of the experiment's tuner."""
        life = {"format": 1, "nonce": nonce, "beat": 1, "stop_all": None, "wishes": {}, "unix": 0.0, **more}
        self.s3.put_object(Bucket="data", Key=self.life_key(experiment), Body=json.dumps(life).encode())

    def life(self, experiment: str) -> dict[str, Any]:
        answer = self.s3.get_object(Bucket="data", Key=self.life_key(experiment))
        life: dict[str, Any] = json.loads(answer["Body"].read())
        return life

    def life_key(self, experiment: str) -> str:
        return self.place(experiment).removeprefix("s3://data/") + "life.json"

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        """Runs a command of ``cloudtune``."""
        return CliRunner().invoke(main, [*arguments], input=answer)

    def listed(self) -> list[dict[str, Any]]:
        """What ``cloudtune ps`` finds."""
        done = self.run("ps", "--json")
        assert done.exit_code == 0, done.output
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def wait_for_age(self) -> None:
        """Returns once the signs of life of all that runs are a second old at least."""
        wait_until(lambda: all(row["tuner"]["age"] != 0.0 for row in self.listed()), "a second")
