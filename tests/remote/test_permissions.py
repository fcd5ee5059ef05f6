"""The least IAM policies against what tuning really calls: they forbid no call, and allow nothing for nothing.

Each scenario says which rights it shows to be needed; together with those that cannot be seen on a local cloud they are
all that the policies have.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune import StoppingCriterion
from cloudtune.aws.clients import aws_for
from cloudtune.aws.images import tuning_image
from cloudtune.aws.policies import DOCUMENTS, policy
from cloudtune.aws.quotas import training_quota
from cloudtune.aws.roles import get_execution_role
from tests.backend.sagemaker.harness import BUCKET, ROLE
from tests.remote import stepwise
from tests.remote.permissions import SITE, TUNER_ROLE, Need, actions_of
from tests.remote.remote_experiment import NAME, ROOT, wait_until
from tests.remote.watched import NOT_SHOWN, SHOWN, Watched

pytestmark = pytest.mark.timeout(900)

#: What AWS lets nobody limit to single things (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "sagemaker:ListTrainingJobs",
    "sagemaker:Search",
    "servicequotas:ListServiceQuotas",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "iam:ListRoles",
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
}


def test_launching_and_commanding_a_remote_tuner(watched: Watched) -> None:
    """Launch, status, ps, logs, stop, resume, and an end: what a user, a tuner and its trials do on most days."""
    tuner = watched.tuner(True, {"epochs": 6, "hold": 3}, trials=2)
    tuner.trial_backend = watched.backend(keep_alive_period=600)
    watched.launch(tuner)
    watched.wait_for_reports(6)
    watched.command("status", NAME)
    watched.command("ps")
    watched.command("logs", NAME)
    watched.command("stop", NAME)
    watched.release(0, 1)
    watched.command("resume", NAME)
    assert watched.wait_for_end(watched.tuner_jobs()[-1]["name"])["status"] == "Completed"
    watched.check("commands")


def test_a_tuner_that_hands_over(watched: Watched) -> None:
    """It passes its own role on to its successor, and the trials' role to their jobs."""
    tuner = watched.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    tuner.trial_backend = watched.backend()
    watched.launch(tuner, max_run=80)
    wait_until(lambda: len(watched.tuner_jobs()) == 2, "the successor")
    watched.release(0, 1)
    assert watched.wait_for_end(watched.tuner_jobs()[1]["name"])["status"] == "Completed"
    roles = {call.about for call in watched.cloud.calls("sagemaker:CreateTrainingJob", who="job:*")}
    assert roles == {TUNER_ROLE, ROLE}
    watched.check("successor")


def test_trials_without_network(watched: Watched) -> None:
    """Their reports and last words come from the log, and they are stopped by SageMaker."""
    tuner = watched.tuner(True, {"epochs": 3, "hold": 2}, trials=2, max_failures=2)
    tuner.trial_backend = watched.backend(enable_network_isolation=True)
    watched.launch(tuner)
    watched.wait_for_reports(4)
    # A machine that fails takes the agent's last words with it: why, only the log can tell.
    watched.cloud.faults.add("job_internal_error", job=watched.trial_jobs()[0]["name"], count=1)
    wait_until(lambda: watched.entries("end"), "the end of the trial whose machine fails")
    watched.command("stop", NAME)
    watched.check("no network")


def test_checkpoints_one_after_the_other(watched: Watched) -> None:
    """A trial's job deletes those that are no longer needed."""
    tuner = watched.tuner(True, {"epochs": 4}, trials=1, workers=1)
    tuner.trial_backend = watched.backend(entry_point=Path(stepwise.__file__))
    launched = watched.launch(tuner)
    seen: set[str] = set()

    def has_saved() -> bool:
        keys = {one.key for one in watched.bucket.list(ROOT) if "/checkpoints/0/manifests/" in one.key}
        has_new = not keys <= seen
        seen.update(keys)
        return has_new

    for epoch in range(1, 5):
        if epoch < 4:
            wait_until(has_saved, f"the checkpoint of epoch {epoch}")
        watched.release_epoch(0, epoch)
    assert watched.wait_for_end(launched.job_name)["status"] == "Completed"
    watched.check("checkpoints")


def test_a_tuner_on_this_machine(watched: Watched) -> None:
    """Whoever tunes from a laptop drives the trials' jobs with the same rights."""
    tuner = watched.tuner(
        True,
        {"epochs": 3, "hold": 2},
        trials=2,
        stop_criterion=StoppingCriterion(max_num_evaluations=5),
    )
    watched.release(0)
    tuner.trial_backend = watched.backend(enable_network_isolation=True, keep_alive_period=600)
    tuner.run()
    watched.check("local tuner")


def test_looking_around(watched: Watched) -> None:
    """With just these policies doctor finds all in order, and the roles and the image of tuners are found."""
    said = watched.command("doctor", "--role", ROLE, "--tuner-role", TUNER_ROLE, "--bucket", BUCKET, "--json")
    rights = {one["what"]: one["state"] for one in json.loads(said)["checks"]}
    assert {rights[what] for what in ("role's rights", "your rights", "tuner's role", "tuner's rights")} == {"ok"}
    assert [what for what in rights if what.startswith(("you:", "role:", "tuner:"))] == []
    aws = aws_for(None, None)
    get_execution_role(None, aws)
    tuning_image(aws.region, aws=aws)
    watched.check("looking")


def test_a_machine_that_the_accounts_own_list_lacks(watched: Watched) -> None:
    """AWS's list of defaults is asked for it."""
    assert training_quota(aws_for(None, None), "ml.new.large") is None
    watched.check("unknown machine")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_right_is_for_nothing(document: str) -> None:
    """Each was seen to be needed by a scenario, or is one of the few that none can show, with the reason."""
    shown = set().union(*(scenario[document] for scenario in SHOWN.values()))
    assert actions_of(document) == shown | NOT_SHOWN[document]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_star_is_too_many(document: str) -> None:
    """No action is a pattern, and on everything is only what AWS knows on nothing else; roles go to SageMaker only."""
    for statement in policy(document, SITE)["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        resources = statement["Resource"]
        if "*" in (resources if isinstance(resources, list) else [resources]):
            assert set(statement["Action"]) <= WITHOUT_RESOURCE
            assert "HaveNoResource" in statement["Sid"] or "HasNoResource" in statement["Sid"]


@pytest.mark.parametrize(
    "need",
    [
        Need("iam:PassRole", TUNER_ROLE, (("iam:PassedToService", "ec2.amazonaws.com"),)),
        Need(
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/admin",
            (("iam:PassedToService", "sagemaker.amazonaws.com"),),
        ),
        Need("s3:GetObject", f"arn:aws:s3:::{BUCKET}/secrets"),
        Need("s3:GetObject", "arn:aws:s3:::other/cloudtune/x"),
        Need("s3:ListBucket", f"arn:aws:s3:::{BUCKET}", (("s3:prefix", "secrets/"),)),
        Need("s3:DeleteBucket", f"arn:aws:s3:::{BUCKET}"),
        Need("sagemaker:CreateEndpoint", "*"),
    ],
    ids=lambda need: f"{need.action} {need.arn[-12:]}",
)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_lies_beside_is_forbidden(document: str, need: Need) -> None:
    """Other roles, other services, other folders and buckets."""
    assert not need.is_allowed(document)


def test_trials_may_not_make_jobs() -> None:
    """A training script that goes astray costs one job at most."""
    assert not {action for action in actions_of("trials") if action.startswith(("sagemaker:", "iam:"))}
