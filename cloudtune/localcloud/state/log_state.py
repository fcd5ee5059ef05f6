"""CloudWatch's log groups and streams, as JSON can hold them, and back."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast

from moto.logs.models import LogGroup, logs_backends

from cloudtune.localcloud.services.log_stream import CompactLogStream
from cloudtune.localcloud.services.logs import LogStore
from cloudtune.localcloud.state.state_folder import StateFolder

if TYPE_CHECKING:
    from moto.logs.models import LogsBackend

#: Lines in a piece. What is added to a long log does not have all of it written again.
_SEGMENT = 5_000


class LogState:
    """Reads and writes logs for one cloud. Lines that wait to be delivered (late logs) are lost with the cloud.

    Args:
        folder: Where the lines of streams go.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        # Full segments never change: their lines are written once.
        self._digests: dict[tuple[int, int, int], str] = {}

    def to_json(self, logs: LogStore) -> tuple[list[dict[str, Any]], set[str]]:
        """All log groups, and the digests of the pieces they use."""
        digests: dict[tuple[int, int, int], str] = {}
        groups = [
            {
                "account": account,
                "region": region,
                "name": group.name,
                "retention": group.retention_in_days,
                "created": group.creation_time.isoformat(),
                "streams": [self._stream(stream, logs, digests) for stream in logs.streams(group)],
            }
            for account, region, backend in list(logs_backends.iter_backends())
            for group in list(cast("LogsBackend", backend).groups.values())
        ]
        self._digests = digests
        return groups, set(digests.values())

    def from_json(self, groups: list[dict[str, Any]], logs: LogStore) -> None:
        """Puts the groups into moto."""
        for values in groups:
            backend = logs_backends[values["account"]][values["region"]]
            group = backend.groups.get(values["name"]) or backend.create_log_group(values["name"], {})
            group.retention_in_days = values["retention"]
            group.creation_time = dt.datetime.fromisoformat(values["created"])
            for stream in values["streams"]:
                self._restore(group, stream, logs)

    def _stream(
        self, stream: CompactLogStream, logs: LogStore, digests: dict[tuple[int, int, int], str]
    ) -> dict[str, Any]:
        total = len(stream.lines)
        pieces: list[str] = []
        for begin in range(0, total, _SEGMENT):
            end = min(begin + _SEGMENT, total)
            key = (stream.identity, begin, end)
            digest = self._digests.get(key)
            if digest is None or not self._folder.holds(digest):
                with logs.arrivals.lock:
                    lines = stream.lines
                    rows = [(lines.arrival(at), lines.time(at), lines.text(at)) for at in range(begin, end)]
                digest = self._folder.put_piece(json.dumps(rows).encode())
            digests[key] = digest
            pieces.append(digest)
        return {"name": stream.log_stream_name, "created": stream.creation_time.isoformat(), "pieces": pieces}

    def _restore(self, group: LogGroup, values: dict[str, Any], logs: LogStore) -> None:
        stream = CompactLogStream(group, values["name"], logs.arrivals)
        stream.creation_time = dt.datetime.fromisoformat(values["created"])
        batches: dict[int, list[tuple[int, str]]] = {}
        for digest in values["pieces"]:
            for arrival, time, text in json.loads(self._folder.piece(digest)):
                batches.setdefault(arrival, []).append((time, text))
        with logs.arrivals.lock:
            for arrival, lines in batches.items():
                stream.lines.append(lines, arrival)
            # What comes from now on comes after all of it.
            logs.arrivals.last = max(logs.arrivals.last, stream.lines.last_arrival)
            group.streams[stream.log_stream_name] = stream
