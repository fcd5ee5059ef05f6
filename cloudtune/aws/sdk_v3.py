"""The job template for a ModelTrainer of AWS's SageMaker SDK v3.

The SDK is made to write the request that its ``train`` would send, on a copy of the trainer. With our agent the copy
has no source code, so that nothing is uploaded but input channels that lie on this machine; with the image's own entry
the SDK uploads source and launcher, once for all trials.
"""

from __future__ import annotations

import copy
import inspect
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudtune.aws.job_template import OUTPUT_TO_COME, JobTemplate
from cloudtune.aws.sdk_capture import captured_request
from cloudtune.aws.sdk_request import finished, own_entry_wanted, profile_of, region_of
from cloudtune.aws.training_job_rules import local_mode

_log = logging.getLogger(__name__)

#: Requirements that our agent installs by itself.
_USUAL_REQUIREMENTS = (None, "requirements.txt", "./requirements.txt", "auto")

_CHANGED_BY_SDK = (
    "checkpoint_config",
    "compute",
    "environment",
    "hyperparameters",
    "input_data_config",
    "networking",
    "output_data_config",
    "source_code",
    "stopping_condition",
    "tags",
)


def template_of_trainer(trainer: Any, inputs: Any, keep_own_entry: bool | None) -> JobTemplate:
    """See :func:`cloudtune.aws.job_template.template_of`.

    Args:
        trainer: A ModelTrainer.
        inputs: As ``train`` takes them (InputData or Channel), or ``s3://`` prefixes by the name of the channel.
        keep_own_entry: See there.
    """
    origin = f"{type(trainer).__module__}.{type(trainer).__qualname__}"
    if trainer.training_mode.name == "LOCAL_CONTAINER":
        raise ValueError(local_mode("a ModelTrainer with training_mode=Mode.LOCAL_CONTAINER"))
    if type(trainer.sagemaker_session).__name__ == "PipelineSession":
        raise ValueError("a ModelTrainer with a PipelineSession starts no jobs; give it another session")
    why = own_entry_wanted(_reasons(trainer), keep_own_entry, origin)
    source = trainer.source_code
    # The SDK fills in what the user left out, in place.
    changed = {name: copy.deepcopy(getattr(trainer, name)) for name in _CHANGED_BY_SDK}
    if not why:
        changed.update(source_code=None, distributed=None)
    work = trainer.model_copy(update=changed)
    work._tensorboard_output_config = copy.deepcopy(getattr(trainer, "_tensorboard_output_config", None))
    for config in (work.checkpoint_config, work._tensorboard_output_config):
        _set_place(config)
    try:
        request = _request_of(work, _channels(work, copy.deepcopy(inputs)))
    finally:
        # A trainer that is thrown away removes these folders, and the copy shares that of a recipe with the original.
        if why:
            _remove(work)
        work._temp_code_dir = work._temp_recipe_train_dir = None
    is_here = source is not None and bool(source.entry_script) and Path(str(source.source_dir)).is_dir()
    typed = {str(name): value for name, value in (trainer.hyperparameters or {}).items()}
    if not why:
        request.pop("HyperParameters", None)
    return JobTemplate(
        origin=origin,
        request=finished(request, bool(why), origin),
        entry_point=str(source.entry_script) if is_here else None,
        source_dir=str(Path(source.source_dir).absolute()) if is_here else None,
        is_uploaded=bool(why),
        hyperparameters=typed,
        keep_own_entry=bool(why),
        why_own_entry=why,
        distributed=() if trainer.distributed is None else (type(trainer.distributed).__name__,),
        form="json_but_strings",
        role=trainer.role,
        images={"*": str(trainer.training_image)} if trainer.training_image else {},
        region=region_of(trainer.sagemaker_session),
        profile=profile_of(trainer.sagemaker_session),
    )


def _reasons(trainer: Any) -> Iterator[str]:
    """Why the image's own entry, or the SDK's launcher, must start the script."""
    source = trainer.source_code
    if trainer.distributed is not None:
        yield f"it is distributed by {type(trainer.distributed).__name__}"
    if source is None:
        yield "it has no source_code, so the image brings the script"
        return
    if not source.entry_script:
        yield "its source_code has no entry_script"
    elif getattr(source, "command", None):
        yield "its source_code has a command"
    if source.requirements not in _USUAL_REQUIREMENTS:
        yield f"its requirements are in {source.requirements!r}, not in requirements.txt"
    if source.source_dir is None or not Path(str(source.source_dir)).is_dir():
        yield f"its source_dir {source.source_dir!r} is no folder of this machine"


def _set_place(config: Any) -> None:
    """Where a place in S3 is missing the SDK would make one up, and call AWS's STS to find a bucket for it."""
    for name in ("s3_uri", "s3_output_path"):
        if config is not None and hasattr(config, name) and not isinstance(getattr(config, name), str):
            setattr(config, name, OUTPUT_TO_COME)


def _channels(work: Any, inputs: Any) -> Any:
    if isinstance(inputs, str):
        inputs = {"training": inputs}
    if not isinstance(inputs, Mapping):
        return inputs
    data = _names_beside(work)["InputData"]
    return [data(channel_name=name, data_source=source) for name, source in inputs.items()]


def _request_of(work: Any, inputs: Any) -> dict[str, Any]:
    write = getattr(work, "_create_training_job_args", None)
    if write is not None and "boto3" in inspect.signature(write).parameters:
        request: dict[str, Any] = write(input_data_config=inputs, boto3=True)
    else:
        _log.debug("This version of the SageMaker SDK is taken by its public face.")
        request = _by_public_face(work, inputs)
    plain: dict[str, Any] = _plain(request)
    return plain


def _by_public_face(work: Any, inputs: Any) -> dict[str, Any]:
    session = work.sagemaker_session.boto_session
    client = _names_beside(work)["TrainingJob"].get_sagemaker_client(session=session)
    # Without its wrappers train sends no telemetry, and does not swallow what ends it.
    train = inspect.unwrap(_base(work).train)
    return captured_request(client, lambda: train(work, input_data_config=inputs, wait=False, logs=False))


def _base(work: Any) -> Any:
    return next(one for one in type(work).__mro__ if one.__qualname__ == "ModelTrainer")


def _names_beside(work: Any) -> dict[str, Any]:
    """What the module of ModelTrainer has imported: the SDK has moved its modules several times."""
    return vars(sys.modules[_base(work).__module__])


def _plain(value: Any) -> Any:
    """A deep copy without what is not set: None, and empty members that AWS does not take."""
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return value


def _remove(work: Any) -> None:
    folder = getattr(work, "_temp_code_dir", None)
    if folder is not None:
        folder.cleanup()
