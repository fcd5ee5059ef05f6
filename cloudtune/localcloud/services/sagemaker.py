"""SageMaker's training jobs: the operations that we answer instead of moto."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.localcloud.services.create_training_job import create_training_job
from cloudtune.localcloud.services.job_control import (
    delete_training_job,
    describe_training_job,
    stop_training_job,
    update_training_job,
)
from cloudtune.localcloud.services.job_listing import list_training_jobs
from cloudtune.localcloud.services.job_search import search
from cloudtune.localcloud.services.job_tags import add_tags, delete_tags, list_tags
from cloudtune.localcloud.services.operation import NotOurs, Operation

__all__ = ["OPERATIONS", "NotOurs", "Operation"]

#: Name of the operation -> what answers it. All others are moto's.
OPERATIONS: Mapping[str, Operation] = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
    "StopTrainingJob": stop_training_job,
    "UpdateTrainingJob": update_training_job,
    "DeleteTrainingJob": delete_training_job,
    "Search": search,
    "AddTags": add_tags,
    "ListTags": list_tags,
    "DeleteTags": delete_tags,
}
