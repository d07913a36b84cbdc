"""The product's features, detectors and ticket rules on events that are told one after the other."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from andon.clock import StoryClock
from andon.commands.finished import all_tickets
from andon.database import reading, writing
from andon.datadir import open_store
from andon.events import Finding, Readings, Waveform
from andon.plant import Asset, Plant
from detectors import build
from detectors.features import features_of
from ticketing.service import Tickets
from ticketing.ticket import Ticket


class Line:
    """One asset with the detectors that its plant document gives it, and a ticket store of its own."""

    def __init__(self, asset: Asset, plant: Plant) -> None:
        self._asset, self._plant = asset, plant
        self._detectors = build(asset, plant)
        self._kept = tempfile.TemporaryDirectory(prefix="andon-")
        data = Path(self._kept.name)
        self._database = open_store(data)
        self._tickets = Tickets(self._database, photos=data / "photos", channels=())
        self._now = StoryClock(0)
        self.findings: list[Finding] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.dispose()
        self._kept.cleanup()

    def take(self, event: Readings | Waveform) -> Sequence[Finding]:
        """What is found in this event; it has been made a ticket, or joined one, when this returns."""
        events: list[Readings | Waveform] = [event]
        if isinstance(event, Waveform):
            events.append(features_of(event, self._asset.point(event.point)))
        found = [f for one in events for detector in self._detectors for f in detector.update(one)]
        if found:
            self._now.advance(event.origin.received_ns)
            with writing(self._database) as conn:
                self._tickets.apply(conn, found, self._plant, self._now())
            self.findings += found
        return found

    def tickets(self) -> Sequence[Ticket]:
        """The tickets so far, oldest first."""
        with reading(self._database) as conn:
            return all_tickets(conn)
