"""What IAM's simulation of policies says of a role and of the caller, in the forms in which it may say it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.errors import InvalidRequest, NotFound
from cloudtune.aws.role_checks import check_caller_rights, check_role_rights, check_tuner_rights

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
        self.context: dict[str, list[str]] = {}
        self.apart: set[str] = set()

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "get_role":
            if params["RoleName"] == "gone":
                raise NotFound("no")
            reserved = "aws-reserved/sso.amazonaws.com" if "SSO" in params["RoleName"] else "path"
            return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{reserved}/{params['RoleName']}"}}
        assert operation == "simulate_principal_policy"
        self.asked.append(params["PolicySourceArn"])
        for entry in params["ContextEntries"]:
            self.context[entry["ContextKeyName"]] = entry["ContextKeyValues"]
        if self.apart & set(params["ActionNames"]) and len(params["ActionNames"]) > 1:
            raise InvalidRequest("iam said: [a] and [b] require different authorization information.")
        results = []
        for action in params["ActionNames"]:
            resources = params.get("ResourceArns", ["*"])
            said = {
                resource: "allowed" if (action, resource) in self.allowed else "implicitDeny" for resource in resources
            }
            if self.nested:
                specific = [{"EvalResourceName": name, "EvalResourceDecision": what} for name, what in said.items()]
                whole = "allowed" if set(said.values()) == {"allowed"} else "implicitDeny"
                results.append(
                    {
                        "EvalActionName": action,
                        "EvalResourceName": resources[0],
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


def role_rights(iam: Iam) -> Finding:
    return next(iter(check_role_rights(iam, ROLE, "data")))  # type: ignore[arg-type] # all that is asked


@pytest.mark.parametrize("page", [1, 3, 100])
@pytest.mark.parametrize("nested", [False, True])
def test_every_action_is_judged_on_its_own_resource(page: int, nested: bool) -> None:
    """Objects and the bucket are different resources; IAM answers for each pair, on several pages, in two forms."""
    found = role_rights(Iam(FULL, page, nested))
    assert found.state == OK
    for lacking in sorted(FULL):
        swapped = (lacking[0], BUCKET if lacking[1] == OBJECTS else OBJECTS)
        iam = Iam(FULL - {lacking} | {swapped}, page, nested)
        found = role_rights(iam)
        assert found.state != OK
        assert f"({lacking[0]})" in found.text


JOB = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/cloudtune-doctor"
ENOUGH = {
    *((f"sagemaker:{verb}TrainingJob", JOB) for verb in ("Create", "Describe", "Stop")),
    ("sagemaker:AddTags", JOB),
    ("sagemaker:ListTrainingJobs", "*"),
    ("iam:PassRole", ROLE),
    *FULL,
}


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
    assert set(iam.asked) == ({principal} - {None})
    assert bool(found) == bool(iam.asked)


def caller_rights(iam: Iam, role: str | None, bucket: str | None) -> Finding:
    every = check_caller_rights(iam, f"arn:aws:iam::{ACCOUNT}:user/me", role, bucket)  # type: ignore[arg-type] # ditto
    (found,) = (one for one in every if one.what == "your rights")
    return found


def test_the_caller_needs_rights_on_jobs_role_and_bucket() -> None:
    """One by one they are missed, by the names that a policy has for them; what is not there is not asked about."""
    assert caller_rights(Iam(ENOUGH), ROLE, "data").state == OK
    for lacking in sorted(ENOUGH):
        found = caller_rights(Iam(ENOUGH - {lacking}), ROLE, "data")
        assert found.state == PROBLEM
        assert found.text == f"the caller may not {lacking[0]}: no trial can run"
        assert ROLE in found.fix
        assert '"arn:aws:s3:::data/cloudtune/*"' in found.fix
    assert caller_rights(Iam(ENOUGH - FULL - {("iam:PassRole", ROLE)}), None, None).state == OK


def test_actions_that_iam_judges_apart_are_asked_about_apart() -> None:
    """IAM does not say which those are: where it refuses a call, fewer are asked about, down to one."""
    iam = Iam(ENOUGH)
    iam.apart = {"sagemaker:AddTags", "s3:DeleteObject"}
    assert caller_rights(iam, ROLE, "data").state == OK
    iam.allowed = ENOUGH - {("sagemaker:AddTags", JOB)}
    assert caller_rights(iam, ROLE, "data").text == "the caller may not sagemaker:AddTags: no trial can run"


def test_iam_is_told_what_conditions_ask_about() -> None:
    """AWS's own policies let a role be passed to SageMaker only: not told to whom, IAM would deny it."""
    iam = Iam(ENOUGH)
    caller_rights(iam, ROLE, "data")
    assert iam.context["iam:PassedToService"] == ["sagemaker.amazonaws.com"]
    assert iam.context["aws:RequestedRegion"] == ["us-east-1"]
    assert iam.context["aws:ResourceAccount"] == [ACCOUNT]


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (
            f"arn:aws:iam::{ACCOUNT}:user/team/me",
            "aws iam put-user-policy --user-name me --policy-name cloudtune-trials",
        ),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/me", "aws iam put-role-policy --role-name Admin --policy-name"),
        (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_ML_0a1b/me",
            "to the permission set of AWSReservedSSO_ML_0a1b in IAM Identity Center: {",
        ),
    ],
)
def test_the_fix_is_for_the_kind_of_caller(caller: str, words: str) -> None:
    """Users and roles get a policy of IAM; roles of the Identity Center can be changed there alone."""
    first = next(iter(check_caller_rights(Iam(set()), caller, ROLE, "data")))  # type: ignore[arg-type] # ditto
    assert words in first.fix
    assert '{"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}' in first.fix


TUNER = f"arn:aws:iam::{ACCOUNT}:role/tuner"
QUOTAS = {(f"servicequotas:List{kind}ServiceQuotas", "*") for kind in ("", "AWSDefault")}
LOG = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:log-stream:cloudtune-doctor"
OF_TUNERS = {
    *ENOUGH,
    *QUOTAS,
    ("iam:PassRole", TUNER),
    ("sagemaker:ListTags", JOB),
    ("sagemaker:UpdateTrainingJob", JOB),
    *((f"logs:{verb}", LOG) for verb in ("FilterLogEvents", "GetLogEvents", "DescribeLogStreams")),
}


def tuner_rights(iam: Iam, trial_role: str | None = ROLE) -> dict[str, Finding]:
    caller = f"arn:aws:iam::{ACCOUNT}:user/me"
    every = check_tuner_rights(iam, caller, TUNER, trial_role, "data")  # type: ignore[arg-type] # all that is asked
    return {one.what: one for one in every}


def test_a_tuner_in_the_cloud_that_may_do_all() -> None:
    """Its user may hand it the role; with that role it may run trials, and create its successor."""
    assert {what: one.state for what, one in tuner_rights(Iam(OF_TUNERS)).items()} == {
        "launching": OK,
        "tuner's rights": OK,
    }


def test_passing_the_trials_role_is_not_passing_the_tuners() -> None:
    """A tuner needs both; what it lacks is named, and granted by a command that names that role and no other."""
    found = tuner_rights(Iam(OF_TUNERS - {("iam:PassRole", ROLE)}))
    assert found["launching"].state == OK
    assert found["tuner's rights"].state == PROBLEM
    assert found["tuner's rights"].text.startswith("tuners may not iam:PassRole: ")
    assert found["tuner's rights"].fix.startswith(
        "aws iam put-role-policy --role-name tuner --policy-name cloudtune-tuner-trials-jobs --policy-document '{"
    )
    assert ROLE in found["tuner's rights"].fix
    assert TUNER not in found["tuner's rights"].fix
    found = tuner_rights(Iam(OF_TUNERS - {("iam:PassRole", TUNER)}))
    assert found["launching"].state == PROBLEM
    assert "aws iam put-user-policy --user-name me --policy-name cloudtune-launch-tuner" in found["launching"].fix
    assert TUNER in found["launching"].fix
    assert found["tuner's rights"].state == OK
    assert found["tuner: successor"].state == WARNING


@pytest.mark.parametrize("lacking", sorted(OF_TUNERS - FULL - {("s3:ListBucket", BUCKET)}))
def test_every_right_of_a_tuner_is_missed(lacking: tuple[str, str]) -> None:
    """One by one, with a fix."""
    found = [one for one in tuner_rights(Iam(OF_TUNERS - {lacking})).values() if one.state != OK]
    assert found
    assert all(lacking[0] in one.text and lacking[0] in one.fix for one in found)


def test_all_that_a_tuner_lacks_is_told_of_once() -> None:
    """Each under a name of its own, be it needed or not."""
    caller = f"arn:aws:iam::{ACCOUNT}:user/me"
    every = list(check_tuner_rights(Iam(set()), caller, TUNER, ROLE, "data"))  # type: ignore[arg-type] # as above
    names = [one.what for one in every]
    assert len(set(names)) == len(names)
    assert {one.what for one in every if one.state == PROBLEM} == {
        "launching",
        "tuner's rights",
        "tuner: reading",
        "tuner: writing",
    }


def test_where_the_trials_role_is_not_known_it_is_not_asked_about() -> None:
    """Trials beside the loop need none."""
    assert tuner_rights(Iam(OF_TUNERS - {("iam:PassRole", ROLE)}), None)["tuner's rights"].state == OK
