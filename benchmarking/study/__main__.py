"""The study: ``python -m benchmarking.study run [--plan quick]``, ``... table``, ``... page`` and ``... stamp``.

``run`` runs the experiments that the file of records does not hold yet, and can be killed and run again at any time;
``table`` prints what they show; ``page`` writes the numbers into ``docs/study.md`` and draws its figures. Records that
other code has made than there is now do not count in the quick plan; in the full one they do, and are told. ``stamp``
writes into records that do not name their code which commit has made them.
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
from benchmarking.study.stamping import stamp  # noqa: E402 - see above
from benchmarking.study.tables import TASKSET_VARIABLE, is_there  # noqa: E402 - see above
from benchmarking.study.told import of_other_code, told  # noqa: E402 - see above

ROOT = Path(__file__).parents[2]
RESULTS = {"quick": ROOT / "build" / "study" / "quick.jsonl", "full": Path(__file__).parent / "results" / "full.jsonl"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarking.study", description=__doc__)
    parser.add_argument("what", choices=["run", "table", "page", "stamp"])
    parser.add_argument("--plan", choices=list(PLANS), default="quick", help="for page and stamp always full")
    parser.add_argument("--results", type=Path, help="file of records, if not that of the plan")
    parser.add_argument("--claims", nargs="+", help="some of them only")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--time-limit", type=float, help="seconds after which no experiment begins")
    parser.add_argument("--fresh", action="store_true", help="begin again if all of the plan has been run before")
    parser.add_argument("--fresh-code", action="store_true", help="run again what other code has recorded")
    parser.add_argument(
        "--commit", help="stamp: which commit has made the records, with the libraries as they are here"
    )
    parser.add_argument("--after", type=int, default=0, help="stamp: leave this many lines as they are")
    args = parser.parse_args()
    if (args.what == "stamp") != (args.commit is not None):
        parser.error("--commit is for stamp, which needs it")
    return args


def _run(plan: Plan, results: Path, args: argparse.Namespace) -> int:
    experiments = [one for one in plan.experiments() if one.claim == REGRET or is_there(one.table)]
    for name in plan.missing_tables():
        print(f"passed over: {name} is not there; ${TASKSET_VARIABLE} names the folder with the files of TaskSet")
    found = valid(results, experiments)
    if found.other_settings:
        print(f"{found.other_settings} records were made with other settings, and do not count")
    if found.other_code:
        print(of_other_code(found.other_code, len(found.records), plan.former_code))
    fresh_code = args.fresh_code or not plan.former_code
    there = found.of_present_code() if fresh_code else found.records
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

    return run(results, experiments, args.processes, args.time_limit, tell, fresh_code)


def main() -> int:
    """Does what the command line says; 3 if experiments are left to run."""
    args = _arguments()
    name = args.plan if args.what in ("run", "table") else "full"
    plan, results = PLANS[name], args.results or RESULTS[name]
    if args.claims:
        unknown = sorted(set(args.claims) - set(plan.tables))
        if unknown:
            sys.exit(f"there is no claim {', '.join(unknown)}; there are {', '.join(plan.tables)}")
        plan = plan.only(args.claims)
    if args.what == "stamp":
        print(f"{stamp(results, plan.experiments(), args.commit, args.after)} records stamped in {results}")
        return 0
    left = _run(plan, results, args) if args.what == "run" else 0
    found = valid(results, plan.experiments())
    known = found.counted(plan)
    there = plan.without_missing(known)
    if args.what == "page":
        rewrite(ROOT / "docs" / "study.md", there, known, found.other_code)
    else:
        print(told(there, known, found.other_code))
    if found.other_code and (args.what == "page" or not plan.former_code):
        print(of_other_code(found.other_code, len(found.records), plan.former_code))
    if left:
        print(f"{left} experiments are left; run the same again")
    return 3 if left else 0


if __name__ == "__main__":
    sys.exit(main())
