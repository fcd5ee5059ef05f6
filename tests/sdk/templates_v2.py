"""Makes job templates of Estimators of the SageMaker SDK v2; run by the interpreter that has that SDK.

Prints one line of JSON per Estimator: the template with our agent, that with the image's own entry, and what ``fit``
sends, which is kept from SageMaker. Nothing may leave the machine meanwhile, and the Estimator may not change.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
import no_way_out  # type: ignore[import-not-found] # it stands beside this program
import sagemaker
from sagemaker.debugger import DebuggerHookConfig, ProfilerRule, Rule, rule_configs
from sagemaker.estimator import Estimator
from sagemaker.huggingface import HuggingFace
from sagemaker.inputs import FileSystemInput, TrainingInput
from sagemaker.instance_group import InstanceGroup
from sagemaker.pytorch import PyTorch
from sagemaker.tensorflow import TensorFlow

from cloudtune.aws import sdk_v2
from cloudtune.aws.job_template import template_of

bucket, source, *wanted = sys.argv[1:]  # wanted: names of cases; none: all
ROLE = "arn:aws:iam::123456789012:role/cloudtune-local-role"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8-gpu-py312"
no_way_out.close()


class NotSent(Exception):
    pass


def sent_by_fit(estimator: Any, inputs: Any) -> dict[str, Any]:
    """The SDK's own request, source uploaded and all."""
    seen: list[dict[str, Any]] = []

    def keep(params: dict[str, Any], **_: Any) -> None:
        seen.append(params)
        raise NotSent

    client = estimator.sagemaker_session.sagemaker_client
    client.meta.events.register("provide-client-params.sagemaker.CreateTrainingJob", keep)
    try:
        estimator.fit(inputs, wait=False)
    except NotSent:
        pass
    finally:
        client.meta.events.unregister("provide-client-params.sagemaker.CreateTrainingJob", keep)
    return seen[0]


def state(value: Any) -> Any:
    """All that an Estimator holds and the SDK may change, as plain data."""
    if isinstance(value, dict):
        return {str(name): state(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [state(one) for one in value]
    if isinstance(value, (str, int, float, type(None))):
        return value
    told = type(value).__module__.split(".")[0] in ("sagemaker", "smdebug_rulesconfig")
    return state(vars(value)) if told and not hasattr(value, "boto_session") else str(type(value))


cases: list[tuple[str, Any, Any]] = []


def tell(case: str, estimator: Any, inputs: Any = None) -> None:
    if case in wanted or not wanted:
        cases.append((case, estimator, inputs))


def templates(case: str, estimator: Any, inputs: Any) -> dict[str, Any]:
    before = state(vars(estimator))
    made = {
        name: dataclasses.asdict(template_of(estimator, inputs, asked))
        for name, asked in (("by_default", None), ("own_entry", True))
    }
    inner = sdk_v2._by_inner_functions
    sdk_v2._by_inner_functions = missing  # type: ignore[assignment]
    made["by_public_face"] = dataclasses.asdict(template_of(estimator, inputs))
    sdk_v2._by_inner_functions = inner
    assert state(vars(estimator)) == before, case
    return made


def missing(*_: Any) -> dict[str, Any]:
    raise AttributeError("as in a version of the SDK that we do not know")


def refused(case: str, make: Callable[[], Any]) -> None:
    try:
        template_of(make())
    except ValueError as error:
        print("RESULT " + json.dumps({"case": case, "error": str(error)}), flush=True)


session = sagemaker.Session(boto_session=boto3.Session(), default_bucket=bucket, default_bucket_prefix="mine")
homeless = sagemaker.Session(boto_session=boto3.Session())
common: dict[str, Any] = {"role": ROLE, "sagemaker_session": session, "entry_point": "train.py", "source_dir": source}
one_gpu: dict[str, Any] = {"instance_count": 1, "instance_type": "ml.g4dn.xlarge"}
pytorch: dict[str, Any] = {**common, "framework_version": "2.8.0", "py_version": "py312"}

tell(
    "everything",
    PyTorch(
        **{**pytorch, **one_gpu, "role": "cloudtune-local-role"},
        hyperparameters={"lr": 0.5, "name": "adam's", "layers": [1, 2]},
        environment={"A": "b"},
        tags=[{"Key": "team", "Value": "a"}],
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
        volume_size=77,
        volume_kms_key="volume-key",
        output_kms_key="output-key",
        output_path=f"s3://{bucket}/out",
        encrypt_inter_container_traffic=True,
        use_spot_instances=True,
        max_run=600,
        max_wait=700,
        max_retry_attempts=3,
        checkpoint_s3_uri=f"s3://{bucket}/checkpoints",
        checkpoint_local_path="/opt/ml/kept",
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
        rules=[
            Rule.sagemaker(rule_configs.loss_not_decreasing()),
            ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
        ],
        debugger_hook_config=DebuggerHookConfig(hook_parameters={"save_interval": "1"}),
        enable_remote_debug=True,
        enable_infra_check=True,
        training_repository_access_mode="Vpc",
        code_location=f"s3://{bucket}/code",
    ),
    {
        "train": f"s3://{bucket}/train",
        "test": TrainingInput(f"s3://{bucket}/test", content_type="text/csv", input_mode="FastFile"),
        "files": FileSystemInput("fs-0123456789abcdef0", "EFS", "/data"),
    },
)
tell("little", PyTorch(**pytorch, **one_gpu, debugger_hook_config=False, disable_profiler=True))
tell("homeless", PyTorch(**{**pytorch, "sagemaker_session": homeless}, **one_gpu))
tell("isolated", PyTorch(**pytorch, **one_gpu, enable_network_isolation=True), f"s3://{bucket}/train")
tell(
    "distributed",
    PyTorch(
        **pytorch,
        instance_count=2,
        instance_type="ml.g5.12xlarge",
        distribution={"torch_distributed": {"enabled": True}},
    ),
)
tell(
    "groups",
    Estimator(
        **common,
        image_uri=IMAGE,
        instance_groups=[InstanceGroup("a", "ml.m5.large", 1), InstanceGroup("b", "ml.g5.xlarge", 2)],
        container_log_level=10,
        dependencies=[f"{source}/train.py"],
    ),
)
tell("warm", Estimator(**common, **one_gpu, image_uri=IMAGE, keep_alive_period_in_seconds=600))
tell(
    "script_alone",
    Estimator(**{**common, "source_dir": None, "entry_point": f"{source}/train.py"}, **one_gpu, image_uri=IMAGE),
)
tell(
    "algorithm",
    Estimator(
        IMAGE, ROLE, **one_gpu, sagemaker_session=session, hyperparameters={"objective": "reg:linear", "depth": 3}
    ),
    f"s3://{bucket}/train",
)
tell("own_command", Estimator(**common, **one_gpu, image_uri=IMAGE, container_entry_point=["python", "x.py"]))
tell("tensorflow", TensorFlow(**common, **one_gpu, framework_version="2.19", py_version="py312"))
tell(
    "huggingface",
    HuggingFace(**common, **one_gpu, transformers_version="4.49.0", pytorch_version="2.5.1", py_version="py311"),
)
tell("source_in_s3", PyTorch(**{**pytorch, "source_dir": f"s3://{bucket}/sourcedir.tar.gz"}, **one_gpu))


def local_estimator(instance_type: str) -> Any:
    from sagemaker.local import LocalSession

    place = LocalSession.__new__(LocalSession)  # it would look for Docker
    place.local_mode, place.sagemaker_config, place.settings, place.config = True, {}, None, None
    estimator = PyTorch(**pytorch, **one_gpu)
    estimator.instance_type, estimator.sagemaker_session = instance_type, place
    return estimator


refused("local", lambda: local_estimator("local"))
refused("local_gpu", lambda: local_estimator("local_gpu"))

no_way_out.forget()  # what the constructors have tried
told = [{"case": case, **templates(case, estimator, inputs)} for case, estimator, inputs in cases]
no_way_out.check_untried()
for answer, (case, estimator, inputs) in zip(told, cases, strict=True):
    # Without a bucket fit asks the STS of the real AWS for the account.
    fit = None if case == "homeless" else sent_by_fit(estimator, inputs)
    print("RESULT " + json.dumps({**answer, "fit": fit}), flush=True)
