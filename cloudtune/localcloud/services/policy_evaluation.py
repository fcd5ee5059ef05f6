"""What IAM policies say to an action on a resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.localcloud.aws_error import AwsError

ALLOWED = "allowed"
IMPLICIT_DENY = "implicitDeny"
EXPLICIT_DENY = "explicitDeny"

_VARIABLE = re.compile(r"(\$\{[^}]+\})")


@dataclass(frozen=True)
class Policy:
    """A policy document with its name.

    Args:
        name: Of the policy: what simulations name as the source of a statement.
        statements: As in the document. ``Principal`` is not looked at.
    """

    name: str
    statements: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, name: str, document: str | Mapping[str, Any]) -> Policy:
        """Raises AwsError InvalidInput where the document is no policy."""
        try:
            read = json.loads(document) if isinstance(document, str) else document
            statements = _as_list(read["Statement"])
        except (ValueError, TypeError, KeyError, RecursionError):
            statements = [None]
        if not all(isinstance(statement, Mapping) for statement in statements):
            raise AwsError("InvalidInput", f"Policy {name} is not a JSON document with statements.")
        return cls(name, tuple(statements))


@dataclass(frozen=True)
class Decision:
    """The decision, and the names of the policies whose statements led to it."""

    verdict: str
    policies: tuple[str, ...] = ()


def evaluate(
    policies: Iterable[Policy], action: str, resource: str, context: Mapping[str, str] | None = None
) -> Decision:
    """An explicit deny wins over any allow; without either the action is denied implicitly.

    Source: "Policy evaluation logic", AWS Identity and Access Management User Guide, for one account's identity
    policies.

    Args:
        policies: Of the caller.
        action: As ``s3:GetObject``.
        resource: ARN, or ``*``.
        context: What conditions and variables of policies ask about, by key. None: conditions are not evaluated; those
            of a statement that allows count as met, those of one that denies as not met.

    Raises:
        NotImplementedError: A condition has an operator that is not known here.
    """
    matched: dict[str, list[str]] = {"Allow": [], "Deny": []}
    for policy in policies:
        for statement in policy.statements:
            effect = statement.get("Effect")
            if effect not in matched or not _speaks_of(statement, action, resource, context or {}):
                continue
            condition = statement.get("Condition")
            if not condition or (effect == "Allow" if context is None else _is_met(condition, context)):
                matched[effect].append(policy.name)
    if matched["Deny"]:
        return Decision(EXPLICIT_DENY, tuple(matched["Deny"]))
    if matched["Allow"]:
        return Decision(ALLOWED, tuple(matched["Allow"]))
    return Decision(IMPLICIT_DENY)


def _is_met(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """All operators and keys of a condition have to be met, and one value of each."""
    told = {key.lower(): value for key, value in context.items()}
    for operator, wanted in condition.items():
        name = operator.removesuffix("IfExists")
        if name not in ("StringEquals", "StringLike"):
            raise NotImplementedError(f"The condition operator {operator} is not evaluated by the local cloud.")
        for key, values in wanted.items():
            value = told.get(key.lower())
            if value is None:
                if name == operator:
                    return False
            elif name == "StringLike":
                if not _any_matches(values, value, context=context):
                    return False
            elif value not in [str(one) for one in _as_list(values)]:
                return False
    return True


def _speaks_of(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    if "NotAction" in statement:
        acts = not _any_matches(statement["NotAction"], action, re.IGNORECASE)
    else:
        acts = _any_matches(statement.get("Action", ()), action, re.IGNORECASE)
    if "NotResource" in statement:
        return acts and not _any_matches(statement["NotResource"], resource, context=context)
    # A policy on one resource does not allow the action on all of them, which is what "*" asks for.
    return acts and _any_matches(statement.get("Resource", ()), resource, context=context)


def _any_matches(patterns: Any, name: str, flags: int = 0, context: Mapping[str, str] | None = None) -> bool:
    return any(_pattern(str(pattern), flags, context or {}).fullmatch(name) for pattern in _as_list(patterns))


def _pattern(text: str, flags: int, context: Mapping[str, str]) -> re.Pattern[str]:
    """IAM's wildcards: any characters for ``*``, one for ``?``; brackets mean themselves.

    A variable (``${aws:username}``) stands for its value, wildcards in which mean themselves. One that is not told
    matches nothing, for no name has braces.
    """
    parts = []
    for part in _VARIABLE.split(text):
        if _VARIABLE.fullmatch(part):
            parts.append(re.escape(context.get(part[2:-1], part)))
        else:
            parts += (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in part)
    return re.compile("".join(parts), flags | re.DOTALL)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
