"""A tuner reduced to its backend, to be killed: starts the trials it is told, says so, and drops all events."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from cloudtune.backend.trial_backend import ExperimentPlace, TrialBackend
from cloudtune.trial import End, Report, Trial


def main(backend_file: str, folder: str, experiment_id: str, configs: str) -> None:
    """Prints a line for each event: the trial's number, and the report's number or the outcome."""
    backend: TrialBackend = pickle.loads(Path(backend_file).read_bytes())
    backend.open(ExperimentPlace("killed", experiment_id, Path(folder), 2))
    backend.attach([])
    for number, config in enumerate(json.loads(configs)):
        backend.start_trial(Trial(number, config))
    while True:
        for event in backend.poll(None):
            if isinstance(event, Report):
                print(event.trial_id, event.number, flush=True)
            elif isinstance(event, End):
                print(event.trial_id, event.outcome.value, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
