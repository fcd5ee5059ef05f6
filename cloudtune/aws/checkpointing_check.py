"""Whether a training script seems to write checkpoints."""

from __future__ import annotations

from pathlib import Path


def mentions_checkpointing(source_dir: str | Path | None, entry_point: str | Path) -> bool:
    """Whether any Python or shell file of the source mentions the checkpoint directory or cloudtune's helpers."""
    raise NotImplementedError
