"""What IAM's simulation of policies says of a role and of the caller, in the forms in which it may say it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.checks import OK, PROBLEM, Finding
from cloudtune.aws.errors import NotFound
from cloudtune.aws.role_checks import check_caller_rights, check_role_rights

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/trainer"
OBJECTS = "arn:aws:s3:::data/cloudtune/doctor"
BUCKET = "arn:aws:s3:::data"


class Iam:
    """IAM that allows what it is told to, and answers in pages and forms of the test's choice."""

    account, region, partition = ACCOUNT, "us-east-1", "aws"

    def __init__(self, allowed: set[tuple[str, str]], page: int = 100, nested: bool = False) -> None:
        self.allowed = allowed
        self.page = page
        self.nested = nested
        self.asked: list[str] = []

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "get_role":
            if params["RoleName"] == "gone":
                raise NotFound("no")
            return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/path/{params['RoleName']}"}}
        assert operation == "simulate_principal_policy"
        self.asked.append(params["PolicySourceArn"])
        results = []
        for action in params["ActionNames"]:
            said = {
                resource: "allowed" if (action, resource) in self.allowed else "implicitDeny"
                for resource in params["ResourceArns"]
            }
            if self.nested:
                specific = [{"EvalResourceName": name, "EvalResourceDecision": what} for name, what in said.items()]
                whole = "allowed" if set(said.values()) == {"allowed"} else "implicitDeny"
                results.append(
                    {
                        "EvalActionName": action,
                        "EvalResourceName": params["ResourceArns"][0],
                        "EvalDecision": whole,
                        "ResourceSpecificResults": specific,
                    }
                )
            else:
                results += [
                    {"EvalActionName": action, "EvalResourceName": name, "EvalDecision": what}
                    for name, what in said.items()
                ]
        begin = int(params.get("Marker", 0))
        end = begin + self.page
        more = {"IsTruncated": True, "Marker": str(end)} if end < len(results) else {"IsTruncated": False}
        return {"EvaluationResults": results[begin:end], **more}


FULL = {(f"s3:{verb}Object", OBJECTS) for verb in ("Get", "Put", "Delete")} | {("s3:ListBucket", BUCKET)}


@pytest.mark.parametrize("page", [1, 3, 100])
@pytest.mark.parametrize("nested", [False, True])
def test_every_action_is_judged_on_its_own_resource(page: int, nested: bool) -> None:
    """Objects and the bucket are different resources; IAM answers for each pair, on several pages, in two forms."""
    found = check_role_rights(Iam(FULL, page, nested), ROLE, "data")  # type: ignore[arg-type] # all that is asked
    assert found.state == OK
    for lacking in sorted(FULL):
        swapped = (lacking[0], BUCKET if lacking[1] == OBJECTS else OBJECTS)
        iam = Iam(FULL - {lacking} | {swapped}, page, nested)
        found = check_role_rights(iam, ROLE, "data")  # type: ignore[arg-type] # as above
        assert found.state != OK
        assert f"({lacking[0]})" in found.text


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/team/me", f"arn:aws:iam::{ACCOUNT}:user/team/me"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/me@example.com", f"arn:aws:iam::{ACCOUNT}:role/path/Admin"),
        (f"arn:aws:iam::{ACCOUNT}:root", None),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/me", None),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/gone/me", None),
    ],
)
def test_the_caller_is_judged_by_the_policies_of_its_user_or_role(caller: str, principal: str | None) -> None:
    """A session has its role's; an account's root may do all, and of others nothing is known: then nothing is said."""
    iam = Iam(set())
    found = list(check_caller_rights(iam, caller, ROLE, "data"))  # type: ignore[arg-type] # all that is asked
    assert iam.asked == ([] if principal is None else [principal])
    assert len(found) == len(iam.asked)


def caller_rights(iam: Iam, role: str | None, bucket: str | None) -> Finding:
    (found,) = check_caller_rights(iam, f"arn:aws:iam::{ACCOUNT}:user/me", role, bucket)  # type: ignore[arg-type] # ditto
    return found


def test_the_caller_needs_rights_on_jobs_role_and_bucket() -> None:
    """One by one they are missed, by the names that a policy has for them; what is not there is not asked about."""
    job = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/cloudtune-doctor"
    jobs = {(f"sagemaker:{verb}TrainingJob", job) for verb in ("Create", "Describe", "Stop")}
    enough = jobs | {("sagemaker:AddTags", job), ("sagemaker:ListTrainingJobs", "*"), ("iam:PassRole", ROLE)} | FULL
    assert caller_rights(Iam(enough), ROLE, "data").state == OK
    for lacking in sorted(enough):
        found = caller_rights(Iam(enough - {lacking}), ROLE, "data")
        assert found.state == PROBLEM
        assert found.text == f"the caller may not {lacking[0]}"
        assert ROLE in found.fix
        assert "s3://data" in found.fix
    assert caller_rights(Iam(enough - FULL - {("iam:PassRole", ROLE)}), None, None).state == OK
