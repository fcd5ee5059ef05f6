"""Stands for the entry point of an image: takes hyperparameters and source as AWS's training toolkit does.

It fetches the source, runs the script with an argument per hyperparameter, passes no signal on, and ends with its code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile

BASE = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")


def main() -> int:
    """Runs the script; the container's exit status."""
    import boto3

    with open(f"{BASE}/input/config/hyperparameters.json", encoding="utf-8") as file:
        told = {name: json.loads(value) for name, value in json.load(file).items()}
    bucket, _, key = told["sagemaker_submit_directory"].removeprefix("s3://").partition("/")
    code = f"{BASE}/code"
    os.makedirs(code, exist_ok=True)
    boto3.client("s3", region_name=told["sagemaker_region"]).download_file(bucket, key, f"{code}/sourcedir.tar.gz")
    with tarfile.open(f"{code}/sourcedir.tar.gz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(code, filter="data")
        else:  # an older Python; the archive is the owner's own
            archive.extractall(code)
    arguments = [
        part for name, value in told.items() if not name.startswith("sagemaker_") for part in (f"--{name}", str(value))
    ]
    script = subprocess.run([sys.executable, told["sagemaker_program"], *arguments], cwd=code, check=False)
    return script.returncode if script.returncode >= 0 else 128 - script.returncode


if __name__ == "__main__":
    sys.exit(main())
