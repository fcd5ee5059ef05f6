"""LocalBackend: every trial is a run of a training script on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.backend.arguments import command_line
from cloudtune.backend.default_name import default_name
from cloudtune.backend.supervised_backend import SupervisedBackend
from cloudtune.backend.trial_backend import moved_path
from cloudtune.backend.trial_files import CONFIG
from cloudtune.constants import ST_CHECKPOINT_DIR, ST_CONFIG_JSON_FILENAME
from cloudtune.trial import Trial


class LocalBackend(SupervisedBackend):
    """Runs ``python entry_point --name value …`` for every trial, in a process group of its own.

    The script also gets ``--st_checkpoint_dir``, a directory of the trial's own. Trials and all their descendants end
    with the tuner, whatever kills it.

    Args:
        entry_point: The training script.
        rotate_gpus: Give every trial GPUs of its own, where there are at least two, or ``gpus_to_use`` names them.
        num_gpus_per_trial: How many.
        gpus_to_use: Which GPUs to share out; trials see no others. By default those of ``CUDA_VISIBLE_DEVICES``, else
            all. Without ``rotate_gpus`` it has no effect.
        delete_checkpoints: Delete a trial's checkpoints when it is stopped, has completed or failed.
        pass_args_as_json: Pass ``--st_config_json_filename``, a JSON file with the configuration, instead of an
            argument per entry: for values that do not fit on a command line.
        stop_grace: Seconds a trial has to end after SIGTERM, before SIGKILL.
        environment: Variables that trials get beside, or instead of, those of the tuner.

    Raises:
        FileNotFoundError: There is no such script.
    """

    def __init__(
        self,
        entry_point: str | Path,
        rotate_gpus: bool = True,
        num_gpus_per_trial: int = 1,
        gpus_to_use: Sequence[int | str] | None = None,
        delete_checkpoints: bool = False,
        pass_args_as_json: bool = False,
        stop_grace: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(rotate_gpus, num_gpus_per_trial, gpus_to_use, delete_checkpoints, stop_grace)
        self.entry_point = Path(entry_point).absolute()
        if not self.entry_point.is_file():
            raise FileNotFoundError(
                f"entry_point: there is no file {self.entry_point}; give the path of the training script, absolute or "
                f"from {Path.cwd()}"
            )
        self.pass_args_as_json = pass_args_as_json
        self.environment = dict(environment or {})

    @property
    def default_name(self) -> str:  # type: ignore[override]
        """The script's name, as far as an experiment may be called so."""
        return default_name(self.entry_point.stem, fallback="script")

    def source_paths(self) -> Sequence[Path]:
        """The script's folder: what stands beside the script may be imported or read by it."""
        return (self.entry_point.parent,)

    def local_scripts(self) -> Sequence[Path]:
        return (self.entry_point,)

    def relocate(self, moved: Mapping[Path, Path]) -> None:
        self.entry_point = moved_path(self.entry_point, moved)

    def _hello(self) -> tuple[dict[str, Any], bytes | None]:
        return {}, None

    def _request(self, trial: Trial, checkpoints: str) -> dict[str, Any]:
        if self.pass_args_as_json:
            arguments = [f"--{ST_CONFIG_JSON_FILENAME}", str(Path(checkpoints).with_name(CONFIG))]
        else:
            arguments = command_line(trial.config)
        argv = [sys.executable, str(self.entry_point), *arguments, f"--{ST_CHECKPOINT_DIR}", checkpoints]
        return {"argv": argv}
