"""Whether there is an instance type of a name: by our tables, by boto3's, and by what AWS tells of the account."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.prices import priced_types
from cloudtune.aws.quotas import training_quota, types_with_quota

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

_FORM = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9-]+")
_NEAREST = 3


def check_instance_type(aws: Aws, instance_type: str) -> Finding:
    """Whether training jobs can run on it.

    AWS has new types before we or the installed boto3 know them. So a type that no table has is wrong for sure only
    where Service Quotas tells the account's types and it is not among them, or where it has not the form of one.
    """
    what = "instance type"
    types = _types_of_boto(aws)
    if instance_type not in types:
        types |= priced_types()
    if instance_type in types:
        return Finding(what, OK, f"{instance_type}: known for training jobs")
    if training_quota(aws, instance_type) is not None:
        return Finding(what, OK, f"{instance_type}: not known here, but it has a quota")
    told = types_with_quota(aws)
    nearest = difflib.get_close_matches(instance_type, sorted(types | told), n=_NEAREST, cutoff=0)
    fix = f"--instance-type with one that exists, such as {', '.join(nearest)}"
    if told:
        text = f"{instance_type}: neither known here nor to AWS's Service Quotas in {aws.region}, so no job can start"
        return Finding(what, PROBLEM, text, fix)
    if not _FORM.fullmatch(instance_type):
        return Finding(what, PROBLEM, f"{instance_type!r} is no name of one: they are like {nearest[0]}", fix)
    text = f"{instance_type}: not known here, and AWS's Service Quotas do not tell whether AWS has it"
    return Finding(what, WARNING, text, fix)


def _types_of_boto(aws: Aws) -> frozenset[str]:
    """Those that the installed boto3 knows for training."""
    shape = aws.client("sagemaker").meta.service_model.shape_for("TrainingInstanceType")
    return frozenset(shape.enum)
