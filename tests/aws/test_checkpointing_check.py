"""A script that writes no checkpoints is found before its first spot interruption."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.checkpointing_check import LARGEST, mentions_checkpointing, seems_to_checkpoint
from cloudtune.aws.job_template import TrainingJob, template_of


@pytest.mark.parametrize(
    "text",
    [
        'parser.add_argument("--st_checkpoint_dir")',
        "from cloudtune.checkpoint import save_checkpoint",
        "import cloudtune.checkpoint as keep",
        "from cloudtune import Reporter, checkpoint",
        "from cloudtune import (\n    Reporter,\n    checkpoint,\n)",
        'torch.save(state, "/opt/ml/checkpoints/model.pt")',
        "python train.py --st_checkpoint_dir $DIR",
    ],
)
def test_ways_to_write_checkpoints_are_known(tmp_path: Path, text: str) -> None:
    """In the entry point, and in a module or shell script beside it."""
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    assert mentions_checkpointing(tmp_path, "train.py")
    assert mentions_checkpointing(None, tmp_path / "train.py")
    (tmp_path / "train.py").write_text("import model", encoding="utf-8")
    assert not mentions_checkpointing(tmp_path, "train.py")
    for name in ("inner/model.py", "run.sh"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        assert mentions_checkpointing(tmp_path, "train.py")
        assert not mentions_checkpointing(None, tmp_path / "train.py")
        path.unlink()


def test_what_is_no_script_of_the_user_does_not_count(tmp_path: Path) -> None:
    """Data, hidden folders, installed packages and huge files are not read; odd bytes do no harm."""
    (tmp_path / "train.py").write_bytes(b"from cloudtune import Reporter  # checkpoint\n\xff\xfe")
    for name in ("notes.md", ".git/hook.py", "venv/lib/site-packages/x.py", "node_modules/x.py", "__pycache__/x.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("st_checkpoint_dir", encoding="utf-8")
    (tmp_path / "huge.py").write_bytes(b"st_checkpoint_dir" + b" " * LARGEST)
    assert not mentions_checkpointing(tmp_path, "train.py")


def test_what_is_told_and_what_travels_counts_too(tmp_path: Path) -> None:
    """A folder in an argument or a variable, or in a dependency; and the folder that the user has chosen."""
    script = tmp_path / "train.py"
    script.write_text("pass", encoding="utf-8")
    module = tmp_path / "saving" / "state.py"
    module.parent.mkdir()
    module.write_text("FOLDER = '/opt/ml/checkpoints'", encoding="utf-8")

    def seems(**members: Any) -> bool:
        return seems_to_checkpoint(template_of(TrainingJob(script, **members)))

    assert not seems()
    assert seems(hyperparameters={"output_dir": "/opt/ml/checkpoints"})
    assert seems(environment={"KEEP": "/opt/ml/checkpoints/a"})
    assert seems(dependencies=[module])
    assert seems(dependencies=[module.parent])
    assert seems(checkpoint_local_path="/größe", environment={"KEEP": "/größe"})
    script.write_text("open('/data/kept/x', 'w')", encoding="utf-8")
    assert seems(checkpoint_local_path="/data/kept")
    assert not seems(checkpoint_local_path="/data/other")
    image = template_of(TrainingJob(script, keep_own_entry=True))
    assert seems_to_checkpoint(dataclasses.replace(image, entry_point=None)), "the image's own business"


def test_an_entry_point_of_any_name_is_read(tmp_path: Path) -> None:
    """It is what runs, whatever its name ends in."""
    (tmp_path / "run").write_text("exec x --st_checkpoint_dir d", encoding="utf-8")
    assert mentions_checkpointing(tmp_path, "run")
