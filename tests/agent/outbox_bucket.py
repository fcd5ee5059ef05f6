"""The bucket that an outbox puts into, as its tuner reads it."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3 import S3
from cloudtune.agent.s3_errors import S3Unreachable
from tests.agent.agent_job import PREFIX

KEYS = Keys(PREFIX)


class Bucket(S3):
    """Objects in memory; puts fail as ordered, before or after their effect."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.failures: list[str] = []

    def put(self, key: str, body: bytes) -> str:
        self.puts.append(key)
        how = self.failures.pop(0) if self.failures else "works"
        if how != "lost before":
            self.objects[key] = body
        if how != "works":
            raise S3Unreachable("ordered")
        return '"etag"'

    def read(self, key: str) -> Any:
        return json.loads(self.objects[key]) if key in self.objects else None

    def reports(self) -> list[tuple[int, int, Any]]:
        """As a tuner reads them: run, number, value."""
        head = self.read(KEYS.head(7, 2))
        if head is None:
            return []
        found = []
        for run, first, count in head["chunks"]:
            lines = self.objects[KEYS.chunk(7, 2, run, first)].splitlines()
            assert len(lines) >= count
            found += [(run, first + number, json.loads(line)["v"]) for number, line in enumerate(lines[:count])]
        return found + [(head["run"], head["first"] + n, one["v"]) for n, one in enumerate(head["reports"])]
