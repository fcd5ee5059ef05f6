"""What the benchmarks use of the local cloud's account."""

from __future__ import annotations

BUCKET = "bench"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"
ROLE = "arn:aws:iam::123456789012:role/bench"
