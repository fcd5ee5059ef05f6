"""The study: ``python -m benchmarking.study run [--plan quick]``, ``... table`` and ``... page``.

``run`` runs the experiments that the file of records does not hold yet, and can be killed and run again at any time;
``table`` prints what they show; ``page`` writes the numbers into ``docs/study.md`` and draws its figures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Matrices are small, and there is a process for each core. Libraries read this when they are loaded.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from benchmarking.study.page import rewrite  # noqa: E402 - see above
from benchmarking.study.plan import PLANS, REGRET, Plan  # noqa: E402 - see above
from benchmarking.study.playing import Record  # noqa: E402 - see above
from benchmarking.study.records import valid  # noqa: E402 - see above
from benchmarking.study.running import run  # noqa: E402 - see above
from benchmarking.study.tables import TASKSET_VARIABLE, is_there  # noqa: E402 - see above
from benchmarking.study.told import told  # noqa: E402 - see above

ROOT = Path(__file__).parents[2]
RESULTS = {"quick": ROOT / "build" / "study" / "quick.jsonl", "full": Path(__file__).parent / "results" / "full.jsonl"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarking.study", description=__doc__)
    parser.add_argument("what", choices=["run", "table", "page"])
    parser.add_argument("--plan", choices=list(PLANS), default="quick", help="for page always full")
    parser.add_argument("--results", type=Path, help="file of records, if not that of the plan")
    parser.add_argument("--claims", nargs="+", help="some of them only")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--time-limit", type=float, help="seconds after which no experiment begins")
    parser.add_argument("--fresh", action="store_true", help="begin again if all of the plan has been run before")
    return parser.parse_args()


def _run(plan: Plan, results: Path, args: argparse.Namespace) -> int:
    experiments = [one for one in plan.experiments() if one.claim == REGRET or is_there(one.table)]
    for name in plan.missing_tables():
        print(f"passed over: {name} is not there; ${TASKSET_VARIABLE} names the folder with the files of TaskSet")
    there, other = valid(results, experiments)
    if other:
        print(f"{other} records were made with other settings, and do not count")
    if args.fresh and len(there) == len(experiments):
        results.unlink(missing_ok=True)
        there = {}
    print(f"{len(experiments)} experiments, {len(there)} of them run before; {results}")
    begin = time.monotonic()

    def tell(done: int, of: int, record: Record) -> None:
        spent = time.monotonic() - begin
        left = spent / done * (of - done)
        print(
            f"{done:5} of {of}  {spent:6.0f} s, about {left:6.0f} s left  {record['took']:7.2f} s  {record['key']}",
            flush=True,
        )

    return run(results, experiments, args.processes, args.time_limit, tell)


def main() -> int:
    """Does what the command line says; 3 if experiments are left to run."""
    args = _arguments()
    name = "full" if args.what == "page" else args.plan
    plan, results = PLANS[name], args.results or RESULTS[name]
    if args.claims:
        unknown = sorted(set(args.claims) - set(plan.tables))
        if unknown:
            sys.exit(f"there is no claim {', '.join(unknown)}; there are {', '.join(plan.tables)}")
        plan = plan.only(args.claims)
    left = _run(plan, results, args) if args.what == "run" else 0
    if args.what == "page":
        rewrite(ROOT / "docs" / "study.md", plan, valid(results, plan.experiments())[0])
    else:
        print(told(plan, valid(results, plan.experiments())[0]))
    if left:
        print(f"{left} experiments are left; run the same again")
    return 3 if left else 0


if __name__ == "__main__":
    sys.exit(main())
