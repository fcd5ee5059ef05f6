"""GPU rotation, against a simple model and with a fake nvidia-smi."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.gpus import GPURotation, visible_gpus


@given(
    gpus=st.integers(2, 5),
    per_trial=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from(["start", "end"]), st.integers(0, 9)), max_size=60),
)
def test_rotation_follows_the_model(gpus: int, per_trial: int, steps: list[tuple[str, int]]) -> None:
    """A trial gets the GPUs with fewest running trials, then fewest assignments, then lowest index."""
    per_trial = min(per_trial, gpus)
    rotation = GPURotation([f"g{i}" for i in range(gpus)], per_trial)
    history: list[int] = []
    running: dict[int, list[int]] = {}
    for step, trial in steps:
        if step == "end":
            rotation.release(trial)
            running.pop(trial, None)
        elif trial not in running:
            in_use = [gpu for held in running.values() for gpu in held]
            best = sorted(range(gpus), key=lambda gpu: (in_use.count(gpu), history.count(gpu), gpu))[:per_trial]
            assert rotation.assign(trial) == ",".join(f"g{gpu}" for gpu in sorted(best))
            running[trial] = best
            history += best


def test_free_gpus_first_then_shared() -> None:
    """Two trials on two GPUs have one each; a third shares; a freed GPU is preferred to a shared one."""
    rotation = GPURotation(["0", "1"])
    assert [rotation.assign(trial) for trial in range(3)] == ["0", "1", "0"]
    rotation.release(1)
    assert rotation.assign(3) == "1"


@pytest.mark.parametrize("gpus", [[], ["0"]])
def test_nothing_to_rotate(gpus: list[str]) -> None:
    """Where the machine has one GPU or none nothing is set: the trial sees what the machine has."""
    assert GPURotation(gpus).assign(0) is None


def test_one_chosen_gpu_is_set() -> None:
    """A trial sees the one GPU that the user has named, and not the others that the machine may have."""
    rotation = GPURotation(["1"], chosen=True)
    assert [rotation.assign(trial) for trial in range(3)] == ["1", "1", "1"]


def test_no_chosen_gpu() -> None:
    """Naming none is refused: it could mean all as well as none."""
    with pytest.raises(ValueError, match="gpus_to_use names no GPU; leave it out"):
        GPURotation([], chosen=True)


def test_too_many_per_trial() -> None:
    """Wanting more GPUs than there are is refused, with both numbers and the remedy."""
    with pytest.raises(ValueError, match=r"num_gpus_per_trial=3, but there are only 2 GPUs \(0, 1\); ask for fewer"):
        GPURotation(["0", "1"], 3)
    with pytest.raises(ValueError, match=r"there is only 1 GPU \(7\)"):
        GPURotation(["7"], 2)


FAKE = """#!/bin/sh
[ "$1" = --list-gpus ] || exit 9
echo "GPU 0: NVIDIA T4 (UUID: GPU-1)"
echo "GPU 1: NVIDIA T4 (UUID: GPU-2)"
echo "GPU 2: NVIDIA T4 (UUID: GPU-3)"
exit {code}
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, the only one on the PATH."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nvidia-smi"


def test_gpus_that_nvidia_smi_lists(nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are counted; CUDA_VISIBLE_DEVICES, where set, is believed instead."""
    nvidia_smi.write_text(FAKE.format(code=0))
    nvidia_smi.chmod(0o755)
    assert visible_gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2, 7")
    assert visible_gpus() == ["GPU-2", "7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_no_gpus(nvidia_smi: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without nvidia-smi there are no GPUs; one that fails (no driver) is told of, and ends nothing."""
    assert visible_gpus() == []
    nvidia_smi.write_text(FAKE.format(code=9))
    nvidia_smi.chmod(0o755)
    assert visible_gpus() == []
    assert "exit code 9" in caplog.text
