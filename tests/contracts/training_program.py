"""A training program whose parameters say how it behaves: called as a function, or run as a script."""

from __future__ import annotations

from typing import Any

#: What a report may carry, in the order of growing oddness.
ODD_VALUES: dict[str, Any] = {
    "fraction": 0.1 + 0.2,
    "small": 5e-324,
    "big": 2**70,
    "yes": True,
    "nan": float("nan"),
    "infinite": float("inf"),
    "negative": float("-inf"),
    "text": 'größer ✓ 数 🙂 "quoted" \\ \t \n [tune-metric]: {"a": 1} \u2028 \x7f',
    "nested": {"a": [1, [2.5, None], {"b": ""}], "": []},
    "long": "ü" * 6_000,
}


def train(
    reports: int = 0,
    odd: bool = False,
    hold: bool = False,
    ignore_sigterm: bool = False,
    goes_to: str | None = None,
    daemon: str | None = None,
    child: str | None = None,
    save: str | None = None,
    echo: str | None = None,
    echo_error: str | None = None,
    flood: int = 0,
    garbage: str | None = None,
    exit_code: int = 0,
    raises: str | None = None,
    by_signal: int = 0,
    hard_exit: int | None = None,
    st_checkpoint_dir: str = "",
    **others: Any,
) -> None:
    """Behaves as told, in the order of the parameters, then reports, and only then ends as told."""
    import os
    import signal
    import subprocess
    import sys
    from pathlib import Path

    from cloudtune.report import Reporter

    if ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if goes_to is not None:
        os.chdir(goes_to)
    for file, moves_away in ((daemon, True), (child, False)):
        if file:
            environment: dict[str, str] | None = {} if file.endswith("nameless") else None
            waiting = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
            process = subprocess.Popen(waiting, start_new_session=moves_away, env=environment)
            Path(file).write_text(str(process.pid), encoding="utf-8")
            process.returncode = 0  # left running on purpose
    report = Reporter()
    found = ""
    if save is not None:
        state = Path(st_checkpoint_dir, "state")
        found = state.read_text(encoding="utf-8") if state.exists() else ""
        state.write_text(found + save, encoding="utf-8")
    if echo is not None:
        print(echo)
    if echo_error is not None:
        print(echo_error, file=sys.stderr)
    for _ in range(flood):
        sys.stdout.write("x" * 999_999 + "\n")
    if garbage is not None:
        with open(os.environ["CLOUDTUNE_REPORT_FILE"], "a", encoding="utf-8") as file_of_reports:
            file_of_reports.write(garbage)
    for number in range(reports):
        report(
            step=number,
            found=found,
            pid=os.getpid(),
            others=others,
            gpus=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            threads=os.environ.get("OMP_NUM_THREADS", ""),
            attempt=os.environ["CLOUDTUNE_ATTEMPT"],
        )
    if odd:
        report(**ODD_VALUES)
    if hold:
        while True:
            signal.pause()
    sys.stdout.flush()
    if by_signal:
        os.kill(os.getpid(), by_signal)
    if hard_exit is not None:
        os._exit(hard_exit)
    if raises is not None:
        raise RuntimeError(raises)
    sys.exit(exit_code)


def main() -> None:
    """Runs :func:`train` with what the command line says."""
    import argparse
    import ast
    import inspect
    import sys

    parser = argparse.ArgumentParser()
    parser.add_argument("--st_checkpoint_dir")
    parameters = inspect.signature(train).parameters
    for name, parameter in parameters.items():
        if name not in ("st_checkpoint_dir", "others"):
            parser.add_argument(f"--{name}", default=parameter.default)
    known, unknown = parser.parse_known_args()
    values = vars(known)
    for name in ("reports", "odd", "hold", "ignore_sigterm", "flood", "exit_code", "by_signal", "hard_exit"):
        if isinstance(values[name], str):
            values[name] = ast.literal_eval(values[name])
    sys.argv[1:] = unknown
    train(**values, argv=unknown)


if __name__ == "__main__":
    main()
