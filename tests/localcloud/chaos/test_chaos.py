"""Jobs under all faults at once: each is accounted for, and nothing is left."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from botocore.config import Config

from cloudtune.localcloud import CloudSettings, Fault, LocalCloud
from cloudtune.localcloud.fault_plan import Fired
from cloudtune.localcloud.settings import AWS_RATES
from tests.localcloud.chaos import accounts
from tests.localcloud.chaos.driver import Driver
from tests.localcloud.chaos.plan import KINDS, OF_CALLS, OF_JOBS, STOPPED_BY_OWNER, JobPlan, draw

TIME_SCALE = 20.0
#: Strike calls of everyone, beside the troubles that each job has of its own.
EVERYWHERE = (
    Fault("throttle", "sagemaker:*", probability=0.02),
    Fault("internal_error", "sagemaker:*", probability=0.02),
    Fault("slow_down", "s3:*", probability=0.01),
    Fault("answer_lost", "s3:PutObject", probability=0.01),
    Fault("request_lost", "s3:*", probability=0.01),
    Fault("stale_search", "sagemaker:Search", seconds=20.0, probability=0.5),
)

#: Of the run that is to be repeated. Tests themselves see no such variables of the machine.
SEED = os.environ.get("CLOUDTUNE_CHAOS_SEED")


def _seed() -> int:
    """From the environment, to repeat a run, or a new one."""
    return int(SEED or random.SystemRandom().randrange(10**6))


def marked_processes(cloud_id: str) -> list[str]:
    """Living processes, other than this one, with the cloud's id in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("CLOUDTUNE_LOCALCLOUD") == cloud_id
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def settings(tmp_path: Path) -> CloudSettings:
    """A cloud whose minutes pass in seconds, with AWS's rates, few slots, and faults for everyone."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    return CloudSettings(
        folder=str(folder),
        time_scale=TIME_SCALE,
        start_delay=4.0,
        warm_start_delay=1.0,
        spot_restart_delay=4.0,
        sync_interval=0.2,
        # Jobs are created at AWS's rate in the cloud's time; who looks is limited to AWS's rates in real time.
        rates={
            name: rate if "Create" in name or "Stop" in name else rate / TIME_SCALE for name, rate in AWS_RATES.items()
        },
        max_running_jobs=16,
        faults=EVERYWHERE,
    )


def chaos(seed: int, jobs: int, settings: CloudSettings, patience: float) -> None:
    """Runs so many jobs, accounts for each, and looks for what is left."""
    plans = draw(seed, jobs)
    with LocalCloud(settings) as cloud:
        config = Config(retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=20)
        clients = {name: cloud.client(name, config=config) for name in ("sagemaker", "s3", "logs")}
        server = psutil.Process(cloud.pid)
        driver = Driver(clients, patience)
        places = driver.upload(plans)
        before = _resources(server)
        for fault in (fault for plan in plans for fault in plan.faults):
            cloud.faults.add(fault)
        with ThreadPoolExecutor(12) as pool:
            running = pool.submit(driver.run, plans)
            lookers = [
                pool.submit(driver.again_and_again, ask, plans, running.done)
                for ask in (driver.look, driver.read_log, driver.read_log)
            ]
            list(pool.map(lambda plan: driver.create(plan, places), plans))
            running.result()
            answers = [looker.result() for looker in lookers]
            assert all(answers), (answers, cloud.call_counts())
            fired = cloud.faults.fired()
            _check_that_all_happened(cloud, fired)
            cloud.faults.clear()
            cloud.set_rates({})
            problems = [
                line for found in pool.map(lambda plan: _problems(plan, driver, fired), plans) for line in found
            ]
        assert not problems, f"seed {seed}, {len(problems)} problems:\n" + "\n".join(problems)
        _check_search(driver)
        assert sorted(driver.listing()) == sorted(plan.name for plan in plans)
        stopped = [plan for plan in plans if STOPPED_BY_OWNER & set(plan.kinds)]
        assert len(cloud.calls(operation="sagemaker:StopTrainingJob")) >= len(stopped) / 2
        created = cloud.calls(operation="sagemaker:CreateTrainingJob")
        assert sum(call.status == 200 for call in created) <= len(plans)
        assert _eventually(lambda: not _left(settings)), f"left of jobs: {_left(settings)}"
        for what, count in before.items():
            assert _eventually(partial(_is_down_to, server, what, count + 2)), f"{what} are left"
        cloud_id, pid = cloud.id, cloud.pid
    assert _eventually(lambda: not marked_processes(cloud_id)), marked_processes(cloud_id)
    assert not psutil.pid_exists(pid)
    assert not os.listdir(str(settings.folder)), "a folder is left"


def _left(settings: CloudSettings) -> list[str]:
    """What lies in the cloud's own folder, where each running job has one."""
    return [str(path) for path in Path(str(settings.folder)).glob("*/*")]


def _is_down_to(server: psutil.Process, what: str, count: int) -> bool:
    return _resources(server)[what] <= count


def _resources(server: psutil.Process) -> dict[str, int]:
    """Descriptors and threads, without those of the connections that clients keep open: one of each."""
    connections = sum(one.status == psutil.CONN_ESTABLISHED for one in server.net_connections("tcp"))
    return {"descriptors": server.num_fds() - connections, "threads": server.num_threads() - connections}


def _problems(plan: JobPlan, driver: Driver, all_fired: list[Fired]) -> list[str]:
    fired = [one for one in all_fired if plan.name in (one.case.job, one.case.who.removeprefix("job:"))]
    objects = driver.objects(f"checkpoints/{plan.name}/")
    remains = accounts.Remains(
        plan=plan,
        described=driver.describe(plan.name),
        streams=driver.log_streams(plan.name),
        inbox=driver.objects(f"inbox/{plan.name}/"),
        checkpoint=objects.get(f"checkpoints/{plan.name}/state.json"),
        output=driver.objects(f"out/{plan.name}/"),
        fired=fired,
    )
    try:
        accounts.check(remains)
    except AssertionError as error:
        state = f"{remains.described['TrainingJobStatus']} {remains.described.get('FailureReason', '')}"
        return [f"{plan}: {error}\n    {state}\n    {remains.streams}\n    {[one.kind for one in fired]}"]
    return []


def _check_search(driver: Driver) -> None:
    """When the faults are over, Search agrees with the list."""
    found = {name: (job["TrainingJobStatus"], job["SecondaryStatus"]) for name, job in driver.search().items()}
    assert found == driver.listing()


def _check_that_all_happened(cloud: LocalCloud, fired: list[Fired]) -> None:
    """Every kind of fault has struck, and every limit has refused a call."""
    wanted = {*OF_JOBS, *OF_CALLS, "stale_search"}
    assert wanted <= {one.kind for one in fired}, f"never struck: {wanted - {one.kind for one in fired}}"
    for operation in ("sagemaker:CreateTrainingJob", "sagemaker:ListTrainingJobs", "logs:FilterLogEvents"):
        refused = [call for call in cloud.calls(operation=operation) if "Throttling" in call.error and not call.fault]
        assert refused, f"{operation} was never called too often"


@pytest.mark.timeout(300)
def test_jobs_under_all_faults_at_once_are_accounted_for(settings: CloudSettings) -> None:
    """200 of the pairs of troubles: outcome, logs, reports, checkpoint and bill agree; nothing is left."""
    seed = _seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    chaos(seed, 200, settings, patience=270)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_pair_of_troubles_in_one_job_each_is_accounted_for(settings: CloudSettings) -> None:
    """All pairs of troubles, a job each."""
    seed = _seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    chaos(seed, len(KINDS) * (len(KINDS) - 1) // 2, settings, patience=1500)
