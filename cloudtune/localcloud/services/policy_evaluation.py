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


@dataclass(frozen=True)
class Policy:
    """A policy document with its name.

    Args:
        name: Of the policy: what simulations name as the source of a statement.
        statements: As in the document. What a ``Condition`` says and ``Principal`` are not looked at.
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


def evaluate(policies: Iterable[Policy], action: str, resource: str) -> Decision:
    """An explicit deny wins over any allow; without either the action is denied implicitly.

    Conditions are not evaluated: those of a statement that allows count as met, those of one that denies as not met.

    Source: "Policy evaluation logic", AWS Identity and Access Management User Guide, for one account's identity
    policies.
    """
    matched: dict[str, list[str]] = {"Allow": [], "Deny": []}
    for policy in policies:
        for statement in policy.statements:
            effect = statement.get("Effect")
            if effect == "Deny" and statement.get("Condition"):
                continue
            if effect in matched and _speaks_of(statement, action, resource):
                matched[effect].append(policy.name)
    if matched["Deny"]:
        return Decision(EXPLICIT_DENY, tuple(matched["Deny"]))
    if matched["Allow"]:
        return Decision(ALLOWED, tuple(matched["Allow"]))
    return Decision(IMPLICIT_DENY)


def _speaks_of(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    if "NotAction" in statement:
        acts = not _any_matches(statement["NotAction"], action, re.IGNORECASE)
    else:
        acts = _any_matches(statement.get("Action", ()), action, re.IGNORECASE)
    if "NotResource" in statement:
        return acts and not _any_matches(statement["NotResource"], resource)
    # A policy on one resource does not allow the action on all of them, which is what "*" asks for.
    return acts and _any_matches(statement.get("Resource", ()), resource)


def _any_matches(patterns: Any, name: str, flags: int = 0) -> bool:
    return any(_pattern(str(pattern), flags).fullmatch(name) for pattern in _as_list(patterns))


def _pattern(text: str, flags: int) -> re.Pattern[str]:
    """IAM's wildcards: any characters for ``*``, one for ``?``; brackets mean themselves."""
    parts = (".*" if character == "*" else "." if character == "?" else re.escape(character) for character in text)
    return re.compile("".join(parts), flags | re.DOTALL)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
