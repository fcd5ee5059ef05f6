"""The training program of the contract, as a script of its own that saves where SageMaker keeps its checkpoints."""

from __future__ import annotations

import importlib
import os
import sys

if __name__ == "__main__":
    folder = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    sys.argv += ["--st_checkpoint_dir", folder]
    importlib.import_module("training_program").main()
