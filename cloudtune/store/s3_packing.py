"""Packs segments of an event log in S3, many into one object, so that a long log is read fast."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from cloudtune.aws.s3 import Bucket
from cloudtune.store.s3_chain import Chain, Link
from cloudtune.store.s3_segments import LogKeys, make_pack

logger = logging.getLogger(__name__)

#: Numbers of segments that are packed together: 1 to 200, 201 to 400, and so on.
RUN = 200


class Packer:
    """Packs for the owner of the experiment. Two that do so write the same objects.

    Args:
        bucket: Where the log lies.
        keys: Names of its objects.
        chain: What counts of it, up to date.
        packs: First and last segment of each packed object that is known; grows.
    """

    def __init__(self, bucket: Bucket, keys: LogKeys, chain: Chain, packs: set[tuple[int, int]]) -> None:
        self._bucket = bucket
        self._keys = keys
        self._chain = chain
        self._packs = packs
        #: All before this segment is packed, or cannot be.
        self._next = 1

    @property
    def is_due(self) -> bool:
        """Whether there may be something to pack."""
        tip = self._chain.tip
        return tip is not None and tip.seq >= self._next + RUN - 1

    def pack_next(self) -> None:
        """Packs the next segments that are not packed yet. They are looked at before, whether they still stand in S3.

        Raises:
            AwsError: S3 cannot be reached, or refuses.
        """
        while self.is_due:
            runs = [run for run in self._runs() if len(run) > 1 and (run[0].seq, run[-1].seq) not in self._packs]
            if runs:
                self._look_after(runs)
            for run in runs:
                first, last = run[0].seq, run[-1].seq
                data = make_pack([self._chain.segment(link) for link in run], first, last)
                self._bucket.put(self._keys.pack(first, last), data)
                self._packs.add((first, last))
            self._next += RUN
            if runs:
                return

    def _runs(self) -> Iterator[list[Link]]:
        """The next segments, parted where one is missing or does not count."""
        run: list[Link] = []
        for link in self._chain.links(self._next, self._next + RUN - 1):
            if run and link.seq != run[-1].seq + 1:
                yield run
                run = []
            run.append(link)
        if run:
            yield run

    def _look_after(self, runs: list[list[Link]]) -> None:
        """Puts segments again that S3 has taken and does not have: nobody but us can."""
        before = self._keys.segment(self._next - 1) if self._next > 1 else ""
        there = {listed.key for listed in self._bucket.list(self._keys.log, before)}
        for run in runs:
            for link in run:
                key = self._keys.segment(link.seq)
                if key not in there:
                    self._bucket.put_own(key, self._chain.segment(link), if_none_match=True)
                    logger.warning(
                        "%s was gone from S3, and was written again: keep others, and lifecycle rules, from deleting "
                        "what lies below s3://%s/%s",
                        key,
                        self._bucket.name,
                        self._keys.root,
                    )
