"""Whether two shell globs have a name in common."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_TOKENS = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def globs_overlap(one: str, other: str) -> bool:
    """Whether some name matches both, as :func:`fnmatch.fnmatchcase` has it.

    Two sets of characters (``[abc]``) that meet are taken to have one in common.
    """
    first, second = _TOKENS.findall(one), _TOKENS.findall(other)
    # How much of each glob a common beginning may have used up; every step uses up more.
    reached, seen = [(0, 0)], {(0, 0)}
    while reached:
        i, j = reached.pop()
        if (i, j) == (len(first), len(second)):
            return True
        left, right = first[i : i + 1], second[j : j + 1]
        steps = []
        if left == ["*"]:
            steps += [(i + 1, j), *([(i, j + 1)] if right else [])]
        if right == ["*"]:
            steps += [(i, j + 1), *([(i + 1, j)] if left else [])]
        if left and right and "*" not in (left[0], right[0]) and _meet(left[0], right[0]):
            steps.append((i + 1, j + 1))
        reached += [step for step in steps if step not in seen]
        seen.update(steps)
    return False


def _meet(one: str, other: str) -> bool:
    """Of what stands for one character: ``?``, a set, or the character itself."""
    if "?" in (one, other) or (len(one) > 1 and len(other) > 1):
        return True
    return fnmatchcase(one, other) if len(other) > 1 else fnmatchcase(other, one) if len(one) > 1 else one == other
