"""The job template for an Estimator of AWS's SageMaker SDK v2.

The SDK is made to write the request that its ``fit`` would send, on a copy of the Estimator, and without uploading the
source: in place of what is known later stand signs (:mod:`cloudtune.aws.job_template`).
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudtune.aws.job_template import (
    NAME_TO_COME,
    OUTPUT_TO_COME,
    ROLE_TO_COME,
    SOURCE_TO_COME,
    HyperparameterForm,
    JobTemplate,
)
from cloudtune.aws.own_entry import RESERVED_PREFIX
from cloudtune.aws.sdk_capture import captured_request
from cloudtune.aws.sdk_request import finished, own_entry_wanted, profile_of, region_of
from cloudtune.aws.training_job_rules import LOCAL_TYPES, local_mode

_log = logging.getLogger(__name__)

# What the SDK changes in place while it writes a request: the copy of the Estimator gets copies of these.
_CHANGED_BY_SDK = (
    "_hyperparameters",
    "collection_configs",
    "debugger_hook_config",
    "dependencies",
    "environment",
    "metric_definitions",
    "profiler_config",
    "rules",
    "tags",
    "tensorboard_output_config",
)


def template_of_estimator(estimator: Any, inputs: Any, keep_own_entry: bool | None) -> JobTemplate:
    """See :func:`cloudtune.aws.job_template.template_of`.

    Args:
        estimator: Any Estimator or Framework of the SDK v2.
        inputs: As ``fit`` takes them.
        keep_own_entry: See there.
    """
    origin = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    session = estimator.sagemaker_session
    if estimator.instance_type in LOCAL_TYPES:
        raise ValueError(local_mode(f"an Estimator with instance_type={estimator.instance_type!r}"))
    if getattr(session, "local_mode", False):
        raise ValueError(local_mode("an Estimator with a LocalSession"))
    if type(session).__name__ == "PipelineSession":
        raise ValueError("an Estimator with a PipelineSession starts no jobs; give it a sagemaker.Session")
    distributed = distributions(estimator)
    why = own_entry_wanted(_reasons(estimator, distributed), keep_own_entry, origin)
    work = _copy_of(estimator)
    if getattr(work, "git_config", None):
        _clone(work)
    source_dir, entry_point = work.source_dir, work.entry_point
    packed = entry_point is not None and not str(source_dir or "").startswith("s3://")
    dependencies = tuple(str(Path(path).absolute()) for path in work.dependencies or ())
    role_name = work.role if isinstance(work.role, str) and "/" not in work.role else None
    if role_name is not None:
        work.role = ROLE_TO_COME  # the SDK would ask IAM for its ARN
    _set_output(work)
    if not why:
        work.entry_point, work.source_dir, work.dependencies, work.code_location = None, None, [], None
    elif packed:
        work._stage_user_code_in_s3 = lambda: _uploaded(str(entry_point), source_dir)
    images = _images(work)
    request = _request_of(work, session, inputs)
    role = role_name or request.get("RoleArn")
    if not why:
        request.pop("HyperParameters", None)
    return JobTemplate(
        origin=origin,
        request=finished(request, bool(why), origin),
        entry_point=_path_of(entry_point, source_dir) if packed else None,
        source_dir=str(Path(source_dir).absolute()) if packed and source_dir else None,
        dependencies=dependencies if packed else (),
        hyperparameters=_constants(estimator),
        keep_own_entry=bool(why),
        why_own_entry=why,
        distributed=distributed,
        form=_form(estimator),
        role=role,
        images=images,
        region=region_of(estimator.sagemaker_session),
        profile=profile_of(estimator.sagemaker_session),
    )


def distributions(estimator: Any) -> tuple[str, ...]:
    """Names of what distributes an Estimator's training, such as ``torch_distributed``."""
    given = getattr(estimator, "distribution", None) or {}
    return tuple(sorted(name for name, options in given.items() if _is_enabled(options)))


def _is_enabled(options: Any) -> bool:
    if isinstance(options, dict):
        if "enabled" in options:
            return bool(options["enabled"])
        return any(_is_enabled(one) for one in options.values())
    return False


def _reasons(estimator: Any, distributed: tuple[str, ...]) -> Iterator[str]:
    """Why the image's own entry must start the script."""
    if distributed:
        yield f"it is distributed by {' and '.join(distributed)}"
    if getattr(estimator, "container_entry_point", None):
        yield "it has a container_entry_point"
    if estimator.entry_point is None:
        yield "it has no entry_point, so the image brings the script"
    elif str(estimator.source_dir or "").startswith("s3://"):
        yield "its source_dir is in S3"
    if getattr(estimator, "compiler_config", None):
        yield "it uses SageMaker's Training Compiler"
    if getattr(estimator, "is_nova_job", False):
        yield "it follows a Nova recipe"


def _copy_of(estimator: Any) -> Any:
    work = copy.copy(estimator)
    for name in _CHANGED_BY_SDK:
        if getattr(work, name, None):
            setattr(work, name, copy.deepcopy(getattr(work, name)))
    if not work._hyperparameters:
        work._hyperparameters = {}  # an empty one, too, is filled in place
    return work


def _clone(work: Any) -> None:
    from sagemaker import git_utils

    paths = git_utils.git_clone_repo(work.git_config, work.entry_point, work.source_dir, work.dependencies)
    work.entry_point, work.source_dir = paths["entry_point"], paths["source_dir"]
    work.dependencies, work.git_config = paths["dependencies"] or [], None


def _set_output(work: Any) -> None:
    """The session's default bucket only if the user named it: to find another, the SDK calls AWS's STS."""
    if work.output_path is not None:
        return
    named = getattr(work.sagemaker_session, "_default_bucket_name_override", None)
    prefix = getattr(work.sagemaker_session, "default_bucket_prefix", None)
    work.output_path = OUTPUT_TO_COME if not named else "/".join(["s3:/", named, *([prefix] if prefix else []), ""])


def _uploaded(entry_point: str, source_dir: str | None) -> Any:
    """What the SDK has of an upload, without one."""
    from sagemaker.fw_utils import UploadedCode

    return UploadedCode(s3_prefix=SOURCE_TO_COME, script_name=entry_point if source_dir else Path(entry_point).name)


def _images(work: Any) -> dict[str, str]:
    """The image that the user gave, or those that the SDK has for CPUs and GPUs."""
    given = getattr(work, "image_uri", None)
    if given:
        return {"*": given}
    if getattr(work, "algorithm_arn", None):
        return {}
    found = {}
    one = copy.copy(work)
    for kind, instance_type in (("cpu", "ml.m5.xlarge"), ("gpu", "ml.g4dn.xlarge")):
        one.instance_type, one.instance_groups = instance_type, None
        try:
            found[kind] = one.training_image_uri()
        except ValueError:
            _log.debug("%s has no image for instances of the kind %s.", type(work).__name__, kind, exc_info=True)
    if len(found) < 2:
        return {"*": work.training_image_uri()}
    return found


def _request_of(work: Any, session: Any, inputs: Any) -> dict[str, Any]:
    try:
        request = _by_inner_functions(work, session, inputs)
    except (ImportError, AttributeError, TypeError):
        _log.debug("This version of the SageMaker SDK is taken by its public face.", exc_info=True)
        request = _by_public_face(work, session, inputs)
    return copy.deepcopy(request)


def _by_inner_functions(work: Any, session: Any, inputs: Any) -> dict[str, Any]:
    from sagemaker.estimator import _TrainingJob

    work._prepare_for_training(job_name=NAME_TO_COME)
    arguments = _TrainingJob._get_train_args(work, inputs, None)
    # The first also fills in what a configuration file of the SDK says; older versions have only the second.
    write = getattr(session, "get_train_request", None) or session._get_train_request
    request: dict[str, Any] = write(**arguments)
    return request


def _by_public_face(work: Any, session: Any, inputs: Any) -> dict[str, Any]:
    # Without its wrappers fit sends no telemetry, and does not swallow what ends it. Classes that have a fit of their
    # own call this one with its wrappers.
    base = next(one for one in type(work).__mro__ if one.__qualname__ == "EstimatorBase")
    fit = inspect.unwrap(base.fit)  # type: ignore[attr-defined]
    return captured_request(
        session.sagemaker_client, lambda: fit(work, inputs, wait=False, logs="None", job_name=NAME_TO_COME)
    )


def _constants(estimator: Any) -> dict[str, Any]:
    """The user's hyperparameters, typed as given."""
    given = {
        str(name): value
        for name, value in (estimator._hyperparameters or {}).items()
        if not str(name).startswith(RESERVED_PREFIX)
    }
    model_dir = getattr(estimator, "model_dir", None)
    return {**given, "model_dir": model_dir} if isinstance(model_dir, str) else given


def _form(estimator: Any) -> HyperparameterForm:
    """Scripts are started by AWS's toolkit, which reads JSON; algorithms in images of their own read text."""
    is_framework = any(one.__qualname__ == "Framework" for one in type(estimator).__mro__)
    return "json" if is_framework or estimator.entry_point is not None else "text"


def _path_of(entry_point: Any, source_dir: Any) -> str:
    return str(entry_point) if source_dir else str(Path(entry_point).absolute())
