"""TrainingJobs of all kinds, for tests that what the user set arrives."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
ROLE = "arn:aws:iam::123456789012:role/cloudtune-local-role"

_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
_in_tags = st.text(
    st.one_of(st.sampled_from("_.:/=+-@ "), st.characters(categories=("Lu", "Ll", "Nd"))), min_size=1, max_size=30
)
_places = st.from_regex(r"s3://[a-z]{3,10}(/[a-z0-9-]{1,8}){0,3}", fullmatch=True)
_seconds = st.integers(1, 400_000)
_keys = st.from_regex(r"[a-zA-Z0-9:/_-]{1,30}", fullmatch=True)
_ids = st.lists(st.from_regex(r"[a-z]{2,6}-[0-9a-f]{4,17}", fullmatch=True), min_size=1, max_size=3)
_types = st.sampled_from(["ml.g4dn.xlarge", "ml.m5.large", "ml.p4d.24xlarge", "ml.m7i-flex.large"])


@st.composite
def training_job_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of a TrainingJob that AWS takes, without those that name files."""
    possible: dict[str, st.SearchStrategy[Any]] = {
        "instance_type": _types,
        "instance_count": st.integers(1, 8),
        "role": st.sampled_from([ROLE, "cloudtune-local-role"]),
        "inputs": st.dictionaries(
            st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True).filter(lambda name: "cloudtune" not in name),
            _places | st.fixed_dictionaries({"DataSource": _sources(), "ContentType": st.just("text/csv")}),
            max_size=4,
        ),
        "environment": st.dictionaries(_names, st.text(max_size=40).filter(lambda text: "\0" not in text), max_size=4),
        "hyperparameters": st.dictionaries(_names, st.integers() | st.booleans() | st.text(max_size=9), max_size=3),
        "max_run": _seconds,
        "max_retries": st.integers(0, 30),
        "volume_size": st.integers(1, 1000),
        "volume_kms_key": _keys,
        "output_path": _places,
        "output_kms_key": _keys,
        "enable_network_isolation": st.booleans(),
        "encrypt_inter_container_traffic": st.booleans(),
        "tags": st.dictionaries(_in_tags.filter(lambda key: not key.lower().startswith("aws:")), _in_tags, max_size=5),
        "metric_definitions": st.just([{"Name": "loss", "Regex": "loss=([0-9.]+)"}]),
        "checkpoint_s3_uri": _places,
        "checkpoint_local_path": st.just("/opt/ml/elsewhere"),
        "extra": st.sampled_from(
            [
                {"RemoteDebugConfig": {"EnableRemoteDebug": True}},
                {"AlgorithmSpecification": {"TrainingInputMode": "FastFile"}},
                {"StoppingCondition": {"MaxPendingTimeInSeconds": 7200}},
            ]
        ),
    }
    fields = {name: draw(values) for name, values in possible.items() if draw(st.booleans())}
    waiting = draw(st.sampled_from(["spot", "warm", "neither"]))
    if waiting == "spot":
        fields["use_spot"] = True
        if draw(st.booleans()):
            fields["max_wait"] = fields.get("max_run", 86_400) + draw(st.integers(0, 1000))
    elif waiting == "warm":
        fields["keep_alive_period"] = draw(st.integers(0, 3600))
    if draw(st.booleans()):
        fields.update(subnets=draw(_ids), security_group_ids=draw(_ids))
    if "instance_type" not in fields and "instance_count" not in fields and draw(st.booleans()):
        fields["instance_groups"] = [
            {"InstanceGroupName": "one", "InstanceType": draw(_types), "InstanceCount": draw(st.integers(1, 3))},
            {"InstanceGroupName": "two", "InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
        ]
    return fields


def _sources() -> st.SearchStrategy[dict[str, Any]]:
    of_s3 = st.fixed_dictionaries(
        {"S3DataSource": st.fixed_dictionaries({"S3DataType": st.just("S3Prefix"), "S3Uri": _places})}
    )
    files = {
        "FileSystemId": "fs-0123456789abcdef0",
        "FileSystemAccessMode": "ro",
        "FileSystemType": "EFS",
        "DirectoryPath": "/data",
    }
    return of_s3 | st.just({"FileSystemDataSource": files})
