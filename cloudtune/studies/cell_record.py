"""What a launcher writes down of each experiment of a study, before it launches any: the cell, and what decides it.

A record is put once and stays: the same cell with other settings is noticed by whoever comes second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudtune.errors import CloudtuneError
from cloudtune.studies.cell import Cell
from cloudtune.studies.machines import Machines
from cloudtune.studies.settings import CellSettings

#: Version of the form in which records are written. A higher one is refused.
FORMAT = 1


class DamagedRecord(CloudtuneError):
    """A record is not what a launcher has written, or one of a newer cloudtune has; the message names it."""


@dataclass(frozen=True)
class CellRecord:
    """An experiment as it was launched first.

    Args:
        cell: Which.
        settings: Its settings.
        scheduler: What its method says of itself: class, config space, metrics.
        machines: What it has at once, its tuner's machine first.
        launched: Who has written the record: ``user``, ``host``, ``since`` (Unix seconds).
    """

    cell: Cell
    settings: CellSettings
    scheduler: Mapping[str, Any]
    machines: tuple[Machines, ...]
    launched: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """As one JSON object; see :meth:`from_json`."""
        record = {
            "format": FORMAT,
            "cell": asdict(self.cell),
            "settings": self.settings.to_dict(),
            "scheduler": self.scheduler,
            "machines": [one.as_object() for one in self.machines],
            "launched": self.launched,
        }
        return json.dumps(record).encode()

    @classmethod
    def from_json(cls, body: bytes, where: str) -> CellRecord:
        """The record that :meth:`to_json` has written.

        Args:
            body: What was read.
            where: Its address, for messages.

        Raises:
            DamagedRecord: It is none, or a newer cloudtune has written it.
        """
        try:
            record = json.loads(body)
            version = record["format"]
            if isinstance(version, int) and version > FORMAT:
                raise DamagedRecord(
                    f"a newer cloudtune has written {where}; upgrade this one with pip install -U cloudtune"
                )
            return cls(
                Cell(**record["cell"]),
                CellSettings.from_dict(record["settings"]),
                dict(record["scheduler"]),
                tuple(map(Machines.of_object, record["machines"])),
                dict(record["launched"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedRecord(
                f"{where}, which says how an experiment was launched, is damaged ({error}); restore it, or delete it "
                "and launch again with the same settings"
            ) from error
