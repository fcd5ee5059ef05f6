"""What IAM's simulation of policies says that somebody may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.rights import SAGEMAKER

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

#: Part of IAM's answer where it does not judge some actions in one call with others. Which those are is not published.
_APART = "require different authorization information"


def denied(aws: Aws, principal: str, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the actions that the principal may not do, each on its resource.

    Args:
        aws: Who asks.
        principal: ARN of a user or role.
        wanted: Actions, each with the ARN that it is done on, or ``*``.
    """
    wanted = list(wanted)
    by_arn: dict[str, list[str]] = {}
    for action, arn in wanted:
        by_arn.setdefault(arn, []).append(action)
    allowed = {
        (action, arn) for arn, actions in by_arn.items() for action in _allowed(aws, principal, tuple(actions), arn)
    }
    return [pair for pair in wanted if pair not in allowed]


def _allowed(aws: Aws, principal: str, actions: Sequence[str], arn: str) -> set[str]:
    """Asks for many at once, for IAM allows few such calls; where it wants some asked for apart, for fewer."""
    try:
        return _ask(aws, principal, actions, arn)
    except InvalidRequest as error:
        if len(actions) == 1 or _APART not in str(error):
            raise
    half = len(actions) // 2
    return _allowed(aws, principal, actions[:half], arn) | _allowed(aws, principal, actions[half:], arn)


def _ask(aws: Aws, principal: str, actions: Sequence[str], arn: str) -> set[str]:
    # Not to name a resource is more than to name "*": then actions that have none are judged together with others.
    resources: dict[str, Any] = {} if arn == "*" else {"ResourceArns": [arn]}
    marker: dict[str, Any] = {}
    allowed: set[str] = set()
    while True:
        answer = aws.call(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=principal,
            ActionNames=list(actions),
            ContextEntries=_context(aws),
            **resources,
            **marker,
        )
        allowed.update(
            str(result["EvalActionName"]) for result in answer.get("EvaluationResults", []) if _is_yes(result)
        )
        if not answer.get("IsTruncated"):
            return allowed
        marker = {"Marker": answer["Marker"]}


def _is_yes(result: Mapping[str, Any]) -> bool:
    # Where a resource was named it may be judged within the result.
    specific = [one.get("EvalResourceDecision") for one in result.get("ResourceSpecificResults") or []]
    return all(decision == "allowed" for decision in specific or [result.get("EvalDecision")])


def _context(aws: Aws) -> list[dict[str, Any]]:
    """What conditions of policies ask about most often. IAM takes a condition on what it is not told for not met."""
    values = {
        "iam:PassedToService": ("string", SAGEMAKER),
        "aws:RequestedRegion": ("string", aws.region),
        "aws:ResourceAccount": ("string", aws.account),
        "s3:ResourceAccount": ("string", aws.account),
        "aws:SecureTransport": ("boolean", "true"),
    }
    return [
        {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": [value]}
        for name, (kind, value) in values.items()
    ]
