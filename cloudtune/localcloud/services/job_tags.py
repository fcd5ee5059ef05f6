"""AddTags, ListTags and DeleteTags for training jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import validation_error
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.services.job_lookup import job_of_arn
from cloudtune.localcloud.services.page_token import invalid_token
from cloudtune.localcloud.services.training_job_rules import check_tag_keys
from cloudtune.localcloud.services.validation import checked

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Of one resource, on AWS.
MAX_TAGS = 50


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API has them, in the order in which they were first given."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def add_tags(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Adds tags; one whose key is there already gets the new value. Answers with all tags of the job."""
    request = checked("AddTags", params)
    job = job_of_arn(platform, caller, request["ResourceArn"])
    check_tag_keys([tag["Key"] for tag in request["Tags"]])
    with platform.jobs.creating:
        tags = {**job.tags, **{tag["Key"]: tag["Value"] for tag in request["Tags"]}}
        if len(tags) > MAX_TAGS:
            raise validation_error(f"A resource can have at most {MAX_TAGS} tags; {job.arn} would have {len(tags)}.")
        job.replace_tags(tags)
    return {"Tags": tag_list(tags)}


def list_tags(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """All tags of the job: they always fit one page."""
    request = checked("ListTags", params)
    job = job_of_arn(platform, caller, request["ResourceArn"])
    if "NextToken" in request:
        raise invalid_token()
    return {"Tags": tag_list(job.tags)}


def delete_tags(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Takes tags away; keys that are not there do not matter."""
    request = checked("DeleteTags", params)
    job = job_of_arn(platform, caller, request["ResourceArn"])
    with platform.jobs.creating:
        job.replace_tags({key: value for key, value in job.tags.items() if key not in request["TagKeys"]})
    return {}
