"""A training script as users of AWS's SDKs write them: script mode, nothing of cloudtune in it."""

from __future__ import annotations

import argparse
import json
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--fail", type=int, default=0)
args = parser.parse_args()

# Where the toolkit was told to find /opt/ml, if it was told.
base = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
checkpoint = f"{base}/checkpoints/state.json"
start = 0
if os.path.exists(checkpoint):
    with open(checkpoint, encoding="utf-8") as file:
        start = json.load(file)["epoch"]
print(f"begin start={start} lr={args.lr} host={os.environ.get('SM_CURRENT_HOST')}", flush=True)
for epoch in range(start + 1, args.epochs + 1):
    print(f"epoch={epoch} loss={args.lr / epoch};", flush=True)
    if os.path.isdir(os.path.dirname(checkpoint)):
        with open(checkpoint, "w", encoding="utf-8") as file:
            json.dump({"epoch": epoch}, file)
if args.fail:
    print("about to fail", flush=True)
    sys.exit(args.fail)
with open(os.path.join(os.environ.get("SM_MODEL_DIR", f"{base}/model"), "weights.txt"), "w", encoding="utf-8") as file:
    file.write(str(args.lr))
