"""The owner of the chaos jobs: creates, stops and watches them with boto3 alone, through all faults."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError

from tests.localcloud.chaos.plan import STOPPED_BY_OWNER, JobPlan

HERE = Path(__file__).parent
BUCKET = "chaos-bucket"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
TERMINAL = ("Completed", "Failed", "Stopped")


class Driver:
    """Args: the clients (with retries), and how long in real seconds everything may take."""

    def __init__(self, clients: Mapping[str, Any], patience: float) -> None:
        self._sagemaker, self._s3, self._logs = clients["sagemaker"], clients["s3"], clients["logs"]
        self._deadline = time.monotonic() + patience

    def upload(self, plans: list[JobPlan]) -> dict[str, str]:
        """Puts agent, source and configs into the bucket; where they are."""
        self._s3.create_bucket(Bucket=BUCKET)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.add(HERE / "train.py", arcname="train.py")
        self._put("code/agent/agent_like.py", (HERE / "agent_like.py").read_bytes())
        self._put("code/source/source.tar.gz", buffer.getvalue())
        self._put("code/broken/source.tar.gz", buffer.getvalue()[:100])
        for plan in plans:
            self._put(f"configs/{plan.name}/config.json", json.dumps(plan.config(BUCKET)).encode())
        where = f"s3://{BUCKET}"
        return {
            "agent": f"{where}/code/agent/",
            "source": f"{where}/code/source/",
            "broken": f"{where}/code/broken/",
            "config": f"{where}/configs",
        }

    def _put(self, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def create(self, plan: JobPlan, places: Mapping[str, str]) -> None:
        """Creates the job; quotas, lost answers and errors that pass are overcome. A name is used only once."""
        request = plan.request(BUCKET, places)

        def once() -> bool:
            try:
                self._sagemaker.create_training_job(**request)
            except ClientError as error:
                # A lost answer: the job is there, as asked for.
                return bool(error.response["Error"]["Code"] == "ResourceInUse")
            return True

        self._insist(once)

    def run(self, plans: list[JobPlan]) -> None:
        """Until all jobs have ended. Those that their owner stops are stopped once they train."""
        to_stop = {plan.name for plan in plans if STOPPED_BY_OWNER & set(plan.kinds)}
        names = {plan.name for plan in plans}
        open_names = set(names)
        while open_names:
            self._check_time(f"{len(open_names)} jobs have not ended: {sorted(open_names)[:10]}")
            states = self._insist(self.listing)
            open_names = {name for name in names if states.get(name, ("", ""))[0] not in TERMINAL}
            for name in to_stop & open_names:
                if states.get(name, ("", ""))[1] == "Training":
                    self.stop(name)
                    to_stop = to_stop - {name}
            time.sleep(0.25)

    def look(self, plan: JobPlan) -> None:
        """Asks of a job what dashboards ask: Search may be of a while ago, never of the future."""
        found = self.search()
        assert all(job["TrainingJobName"] == name for name, job in found.items())
        if plan.name in found:
            described = self._sagemaker.describe_training_job(TrainingJobName=plan.name)
            assert found[plan.name]["LastModifiedTime"] <= described["LastModifiedTime"]

    def read_log(self, plan: JobPlan) -> None:
        """Asks for a job's newest lines: those of other jobs never come with them."""
        beginning = f"{plan.name}/"
        answer = self._logs.filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix=beginning, limit=50)
        assert all(event["logStreamName"].startswith(beginning) for event in answer["events"])

    def again_and_again(self, ask: Callable[[JobPlan], None], plans: list[JobPlan], over: Callable[[], bool]) -> int:
        """Asks of one job after another until it is ``over``; how often there was an answer."""
        answers = 0
        for plan in itertools.cycle(plans):
            if over():
                break
            try:
                ask(plan)
                answers += 1
            except HTTPClientError:
                continue
            except ClientError as error:
                # The log group is there with the first line of the first job.
                if error.response["Error"]["Code"] not in (*PASSING, "ResourceNotFoundException"):
                    raise
        return answers

    def search(self) -> dict[str, dict[str, Any]]:
        """What Search says of all chaos jobs, by name."""
        of_chaos = {"Filters": [{"Name": "Tags.cloudtune:experiment", "Operator": "Equals", "Value": "chaos"}]}
        pages = self._sagemaker.get_paginator("search").paginate(
            Resource="TrainingJob", SearchExpression=of_chaos, PaginationConfig={"PageSize": 100}
        )
        return {row["TrainingJob"]["TrainingJobName"]: row["TrainingJob"] for page in pages for row in page["Results"]}

    def stop(self, name: str) -> None:
        """Stops a job; one that has ended meanwhile is fine."""

        def once() -> bool:
            try:
                self._sagemaker.stop_training_job(TrainingJobName=name)
            except ClientError as error:
                return bool(error.response["Error"]["Code"] == "ValidationException")
            return True

        self._insist(once)

    def listing(self) -> dict[str, tuple[str, str]]:
        """Status and secondary status of all chaos jobs, by pages of 100."""
        found: dict[str, tuple[str, str]] = {}
        pages = self._sagemaker.get_paginator("list_training_jobs")
        for page in pages.paginate(NameContains="chaos-", PaginationConfig={"PageSize": 100}):
            for summary in page["TrainingJobSummaries"]:
                found[summary["TrainingJobName"]] = (summary["TrainingJobStatus"], summary["SecondaryStatus"])
        return found

    def describe(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._insist(lambda: self._sagemaker.describe_training_job(TrainingJobName=name))
        return answer

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Key -> content of all objects below a prefix."""
        found = {}
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            for entry in page.get("Contents", ()):
                found[entry["Key"]] = self._s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        return found

    def log_streams(self, name: str) -> dict[str, list[str]]:
        """Lines by stream, oldest stream first, each read to its end by its forward token, in the order of their times.

        Lines of the same millisecond stay in the order in which they could be read.
        """
        found: dict[str, list[str]] = {}
        try:
            answer = self._logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return {}
            raise
        for stream in sorted(answer["logStreams"], key=lambda row: (row["creationTime"], row["logStreamName"])):
            found[stream["logStreamName"]] = self._tail(stream["logStreamName"])
        return found

    def _tail(self, stream: str) -> list[str]:
        events: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            more = {"nextToken": token} if token else {}
            page = self._logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, limit=100, **more
            )
            events += page["events"]
            if page["nextForwardToken"] == token:
                return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]
            token = page["nextForwardToken"]

    def _insist(self, once: Callable[[], Any]) -> Any:
        while True:
            self._check_time("a call does not succeed")
            try:
                answer = once()
            except HTTPClientError:
                answer = None  # the connection broke, more often than boto3 retries
            except ClientError as error:
                if error.response["Error"]["Code"] not in PASSING:
                    raise
                answer = None
            if answer is not None and answer is not False:
                return answer
            time.sleep(0.2)

    def _check_time(self, what: str) -> None:
        assert time.monotonic() < self._deadline, what


#: Errors that pass when the call is repeated.
PASSING = ("ThrottlingException", "InternalServerError", "ResourceLimitExceeded", "InternalFailure", "SlowDown")
