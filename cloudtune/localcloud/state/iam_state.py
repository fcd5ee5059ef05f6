"""IAM roles with their inline policies, as JSON can hold them, and back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

from moto.iam.models import iam_backends

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend


def roles_to_json() -> list[dict[str, Any]]:
    """All roles but those that moto makes by itself (linked to a service). Managed policies are not kept."""
    return [
        {
            "account": account,
            "partition": partition,
            "name": role.name,
            "id": role.id,
            "path": role.path,
            "trust": role.assume_role_policy_document,
            "description": role.description,
            "boundary": role.permissions_boundary_arn,
            "max_session": role.max_session_duration,
            "tags": role.tags,
            "created": role.create_date.isoformat(),
            "policies": dict(role.policies),
        }
        for account, partition, backend in list(iam_backends.iter_backends())
        for role in list(cast("IAMBackend", backend).roles.values())
        if role._linked_service is None
    ]


def roles_from_json(roles: list[dict[str, Any]]) -> None:
    """Puts the roles into moto, in place of those that have their names."""
    for values in roles:
        backend = iam_backends[values["account"]][values["partition"]]
        for identity, role in list(backend.roles.items()):
            if role.name == values["name"]:
                del backend.roles[identity]
        role = backend.create_role(
            role_name=values["name"],
            assume_role_policy_document=values["trust"],
            path=values["path"],
            permissions_boundary=values["boundary"],
            description=values["description"],
            tags=values["tags"],
            max_session_duration=values["max_session"],
        )
        del backend.roles[role.id]
        role.id = values["id"]
        backend.roles[role.id] = role
        role.create_date = dt.datetime.fromisoformat(values["created"])
        role.policies.update(values["policies"])
