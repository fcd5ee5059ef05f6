"""IAM's SimulatePrincipalPolicy, which moto lacks; all other operations of IAM are moto's."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.iam.models import Group, IAMBackend, Role, User, iam_backends
from moto.iam.responses import IamResponse
from moto.utilities.utils import get_partition

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.services.policy_evaluation import ALLOWED, EXPLICIT_DENY, Decision, Policy, evaluate

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user|group)/(?:.*/)?([^/]+)")
#: Name that a simulation gives as the source of a denial that a fault in force causes.
FAULT_POLICY = "access_denied"
#: IAM action -> S3's operations that need it where they are called otherwise; faults are matched by operation.
_OPERATIONS_OF = {
    "s3:GetObject": ("s3:GetObject", "s3:HeadObject"),
    "s3:ListBucket": ("s3:ListBucket", "s3:ListObjectsV2", "s3:ListObjects", "s3:HeadBucket"),
    "s3:ListAllMyBuckets": ("s3:ListAllMyBuckets", "s3:ListBuckets"),
}
#: Actions that are done on nothing in particular. IAM refuses to judge them in one call with others where resources are
#: named: "require different authorization information", as users have reported it. AWS does not publish which those
#: are; these are the actions without resource types in the Service Authorization Reference that training meets.
_WITHOUT_RESOURCE = frozenset(
    {
        "cloudwatch:putmetricdata",
        "ecr:getauthorizationtoken",
        "iam:listroles",
        "pricing:getproducts",
        "s3:listallmybuckets",
        "sagemaker:listtrainingjobs",
        "sagemaker:search",
        "servicequotas:listawsdefaultservicequotas",
        "servicequotas:listservicequotas",
        "sts:getcalleridentity",
    }
)


def simulate_principal_policy(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Whether a role, user or group may do what is asked, by its inline and attached policies.

    A principal that moto's IAM does not know may do everything: the cloud asks nobody for roles before they are used.
    One that it knows is judged by its policies, those of a user's groups included, and may do nothing without one, as
    on AWS. ``access_denied`` faults in force that could strike the action at any time are explicit denials for both.
    Conditions are not evaluated (see :func:`~cloudtune.localcloud.services.policy_evaluation.evaluate`); permissions
    boundaries, resource policies and session policies are not looked at.
    """
    arn = str(params.get("PolicySourceArn", ""))
    principal = _PRINCIPAL.fullmatch(arn)
    if principal is None:
        raise AwsError("InvalidInput", f"ARN {arn} is not valid.")
    _refuse_mixed([str(action) for action in params.get("ActionNames") or []], params.get("ResourceArns") or [])
    backend = iam_backends[arn.split(":")[4]][get_partition(caller.region)]
    policies = _policies(backend, principal[1], principal[2])
    if policies is not None:
        extra = params.get("PolicyInputList") or []
        policies += [Policy.parse(f"PolicyInputList.{number}", text) for number, text in enumerate(extra, start=1)]
    results = [
        _result(platform, policies, str(action), str(resource))
        for action in params.get("ActionNames") or []
        for resource in params.get("ResourceArns") or ["*"]
    ]
    begin = _marker(params.get("Marker"), len(results))
    most = params.get("MaxItems")
    if most is not None and not 1 <= most <= 1000:
        raise AwsError("ValidationError", "MaxItems must be between 1 and 1000.")
    end = begin + (most or 100)
    answer: dict[str, Any] = {"EvaluationResults": results[begin:end], "IsTruncated": end < len(results)}
    if end < len(results):
        answer["Marker"] = str(end)
    return answer


def dispatch(platform: Platform, request: Request, full_url: str, headers: Any) -> Any:
    """Answers calls of IAM: what stands in moto's url table in place of its own handler, for this platform."""
    response = _IamWithSimulation()
    response.platform = platform
    return response._dispatch(request, full_url, headers)


class _IamWithSimulation(IamResponse):
    """moto's IAM and one operation more. moto takes names of operations for names of methods."""

    platform: Platform

    def simulate_principal_policy(self) -> ActionResult:
        names = ("PolicySourceArn", "ActionNames", "ResourceArns", "PolicyInputList", "MaxItems", "Marker")
        params = {name: self._get_param(name) for name in names}
        return ActionResult(simulate_principal_policy(self.platform, Caller(self.current_account, self.region), params))


def _refuse_mixed(actions: list[str], resources: list[str]) -> None:
    if not set(resources) - {"*"}:
        return
    without = [action for action in actions if action.lower() in _WITHOUT_RESOURCE]
    others = [action for action in actions if action not in without]
    if without and others:
        raise AwsError(
            "InvalidInput",
            f"Invalid Input Actions: [{','.join(others)}] and [{','.join(without)}] require different authorization "
            "information.",
        )


def _policies(backend: IAMBackend, kind: str, name: str) -> list[Policy] | None:
    """All policies of a principal, or None where there is no such principal."""
    if kind == "role":
        roles = [role for role in backend.roles.values() if role.name == name]
        return _of(roles[0]) if roles else None
    if kind == "group":
        group = backend.groups.get(name)
        return _of(group) if group is not None else None
    user = backend.users.get(name)
    if user is None:
        return None
    groups = [group for group in backend.groups.values() if user in group.users]
    return sum((_of(group) for group in groups), _of(user))


def _of(holder: Role | User | Group) -> list[Policy]:
    inline = [Policy.parse(name, document) for name, document in holder.policies.items()]
    attached = [
        Policy.parse(policy.name, version.document or "")
        for policy in holder.managed_policies.values()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    ]
    return inline + attached


def _result(platform: Platform, policies: list[Policy] | None, action: str, resource: str) -> dict[str, Any]:
    decision = Decision(ALLOWED) if policies is None else evaluate(policies, action, resource)
    if _denied_by_fault(platform, action, resource):
        decision = Decision(EXPLICIT_DENY, (FAULT_POLICY,))
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision.verdict,
        "MatchedStatements": [{"SourcePolicyId": name, "SourcePolicyType": "IAM Policy"} for name in decision.policies],
        "MissingContextValues": [],
    }


def _denied_by_fault(platform: Platform, action: str, resource: str) -> bool:
    """Whether a fault refuses the action now. One for a single job is none of a principal's permissions."""
    elapsed = platform.clock.elapsed()
    name = resource.rpartition(":::")[2]
    return any(
        fault.kind == "access_denied"
        and fault.after <= elapsed <= fault.until
        and fault.probability > 0
        and fault.count != 0
        and fault.job == "*"
        and any(fnmatchcase(operation, fault.operation) for operation in _OPERATIONS_OF.get(action, (action,)))
        and fnmatchcase(name, fault.resource)
        for fault in platform.faults.faults().values()
    )


def _marker(text: Any, most: int) -> int:
    if text is None:
        return 0
    if not str(text).isdecimal() or int(text) > most:
        raise AwsError("InvalidInput", "Invalid Marker.")
    return int(text)
