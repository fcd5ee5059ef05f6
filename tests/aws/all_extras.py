"""Keys of all kinds and a VPC, as things that rights are about."""

from __future__ import annotations

from cloudtune.aws.rights import EXTRAS

ALL_EXTRAS = {
    **{kind: [f"arn:aws:kms:eu-west-1:123456789012:key/{kind[0]}"] for kind in EXTRAS if kind.endswith("key")},
    "network": ["*"],
    **{
        kind: [f"arn:aws:ec2:eu-west-1:123456789012:{kind.replace(' ', '-')}/{name}"]
        for kind, name in (("network interface", "*"), ("subnet", "subnet-1"), ("security group", "sg-1"))
    },
}
