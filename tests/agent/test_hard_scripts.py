"""Scripts that misbehave: the agent keeps its order, and the container ends."""

from __future__ import annotations

import pytest

from tests.agent.agent_job import BUCKET, AgentJobs, channel
from tests.localcloud.conftest import wait_until

REPORT = "from cloudtune import Reporter; Reporter()(epoch=1)\n"


def test_a_script_that_closes_its_output_still_reports(jobs: AgentJobs) -> None:
    """Daemons do so: the end of the output is not the end of the script."""
    script = """
import os, time
from cloudtune import Reporter
os.close(1)
os.close(2)
time.sleep(0.3)
Reporter()(epoch=1)
os._exit(4)
"""
    jobs.create("one", script)
    end = jobs.end("one")
    assert (end["outcome"], end["exit_code"]) == ("failed", 4)
    assert jobs.values() == [1]


DAEMON = """
import os, signal, sys, time
from cloudtune import Reporter
path = os.path.join(sys.argv[sys.argv.index("--st_checkpoint_dir") + 1], "state")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("daemon", flush=True)
        with open(path, "ab", buffering=0) as file:
            while True:
                file.write(b"x" * 100)
    os._exit(0)
os.wait()
while not os.path.exists(path):
    time.sleep(0.01)
Reporter()(epoch=1)
"""


def test_a_daemon_that_the_script_leaves_is_killed_before_the_checkpoint_is_saved(jobs: AgentJobs) -> None:
    """It has its own session, ignores SIGTERM, holds the output open and writes without end: it does not survive."""
    jobs.create("one", DAEMON, checkpoint_interval=1000.0)
    end = jobs.end("one")
    assert end["outcome"] == "completed"
    assert "daemon" in end["output"]
    assert jobs.head()["checkpoint"] is not None, jobs.lines("one")


def test_orphans_are_reaped(jobs: AgentJobs) -> None:
    """The first process of a container is the parent of orphans: they do not stay as zombies."""
    script = """
import os, time
def zombies():
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += open("/proc/%s/stat" % name).read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            pass
    return found
for _ in range(20):
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        os._exit(0)
    os.wait()
for _ in range(500):
    if not zombies():
        break
    time.sleep(0.01)
print("zombies", zombies())
"""
    jobs.create("one", script)
    assert jobs.end("one")["output"] == "zombies 0"


def test_much_output_passes_through_whole(jobs: AgentJobs) -> None:
    """Twenty megabytes: nothing is lost, the order stays, the last lines are kept."""
    script = """
import sys
for number in range(20):
    sys.stdout.write(("%07d " % number) * 130_000 + "\\n")
print("last", flush=True)
print("problem", file=sys.stderr, flush=True)
"""
    jobs.create("one", script)
    end = jobs.end("one")
    assert end["outcome"] == "completed"
    assert len(end["output"].encode()) <= 2048
    assert "last" in end["output"]
    lines = jobs.lines("one")
    assert sum(map(len, lines)) >= 20 * 130_000 * 8
    assert "problem" in lines
    assert "last" in lines


def test_lines_of_stdout_and_stderr_are_seen_while_the_script_runs(jobs: AgentJobs) -> None:
    """Output without an end of line yet passes as well, as a progress bar needs."""
    jobs.create(
        "one", "import signal, sys; print('first', flush=True); print('bar...', end='', flush=True); signal.pause()"
    )
    wait_until(lambda: "first" in jobs.lines("one"), "the first line")
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["output"] == "first\nbar..."


def test_garbage_in_the_report_file_is_skipped(jobs: AgentJobs) -> None:
    """Lines that are no reports do not count, and are told of once."""
    script = """
import os
path = os.environ["CLOUDTUNE_REPORT_FILE"]
with open(path, "ab") as file:
    file.write(b"garbage\\n[1]\\n\\xff\\xfe\\n\\n{\\n" + b'{"a":' * 99 + b"1" + b"}" * 99 + b"\\n")
    file.write(b"x" * 3_000_000 + b"\\n")
from cloudtune import Reporter
Reporter()(epoch=1)
with open(path, "ab") as file:
    file.write(b'{"torn": 1')
"""
    jobs.create("one", script)
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == [1]
    assert sum("skipped a line that is not a report" in line for line in jobs.lines("one")) == 1


def test_a_pipe_in_place_of_the_report_file_does_not_hold_the_agent(jobs: AgentJobs) -> None:
    """Whatever the script puts there: nothing is reported, and the run ends."""
    script = 'import os; path = os.environ["CLOUDTUNE_REPORT_FILE"]; os.unlink(path); os.mkfifo(path)'
    jobs.create("one", script)
    assert jobs.end("one")["outcome"] == "completed"


def test_a_broken_archive_fails_the_trial_with_a_sentence(jobs: AgentJobs) -> None:
    """A path that leads out of the source folder is refused; nothing of it is written, and the end mark says so."""
    jobs.create("one", REPORT, source={"../../../evil": "x"})
    end = jobs.end("one")
    assert end["outcome"] == "failed"
    assert "evil" in end["reason"]
    assert jobs.describe("one")["TrainingJobStatus"] == "Failed"


def test_a_task_of_another_version_fails_the_job(jobs: AgentJobs) -> None:
    """There is no end mark, for nobody knows where it would go; the FailureReason says what to do."""
    jobs.create("one", REPORT, format=99)
    jobs.cloud.wait_for_job("one")
    assert "start the experiment's tuner again" in jobs.describe("one")["FailureReason"]


#: What breaks the agent -> a thread of it, and its main thread.
SABOTAGE = {
    "a thread": """
import os, select
if os.getpid() == 1:
    real = select.select
    def broken(*arguments):
        if os.path.exists("/opt/ml/code/now"):
            raise RuntimeError("sabotage")
        return real(*arguments)
    select.select = broken
""",
    "the main thread": """
import os
if os.getpid() == 1:
    real = os.waitpid
    def broken(*arguments):
        if os.path.exists("/opt/ml/code/now"):
            os.unlink("/opt/ml/code/now")
            raise RuntimeError("sabotage")
        return real(*arguments)
    os.waitpid = broken
""",
}


@pytest.mark.parametrize("what", SABOTAGE)
def test_a_failing_agent_ends_the_script_and_says_so(jobs: AgentJobs, what: str) -> None:
    """An error in the agent itself: the script is ended, the end mark says failed, the container ends."""
    script = """
import signal
from cloudtune import Reporter
Reporter()(epoch=1)
open("now", "w").close()
signal.pause()
"""
    jobs.s3.put_object(Bucket=BUCKET, Key="sabotage/sitecustomize.py", Body=SABOTAGE[what].encode())
    channels = [
        channel("cloudtune", "cloudtune/code/one/"),
        channel("cloudtune-task", jobs.keys.task_folder(7, 2)),
        channel("sabotage", "sabotage/"),
    ]
    environment = {"PYTHONPATH": "/opt/ml/input/data/sabotage"}
    jobs.create("one", script, request={"InputDataConfig": channels, "Environment": environment})
    end = jobs.end("one")
    assert end["outcome"] == "failed"
    assert "sabotage" in end["reason"]
    assert jobs.values() == [1]
    assert jobs.describe("one")["TrainingJobStatus"] == "Failed"
