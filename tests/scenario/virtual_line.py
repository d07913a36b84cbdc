"""The whole line on a virtual clock: the simulated plant's messages straight into the journals, then the engine."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from andon.app import make_engine
from andon.clock import StoryClock
from andon.commands.finished import report
from andon.datadir import open_store
from andon.engine import OWN
from andon.events import SECOND_NS, Json, Quality, rfc3339
from andon.ports import Record, RecordKind
from ingest.journal import ROTATE_BYTES, SqliteJournal
from simulators.messages import Item, MqttMessage, OpcuaEvent, OpcuaValue
from simulators.plant import Simulation

START_NS = 1_790_000_000 * SECOND_NS
SOURCES = ("plant_mqtt", "plant_opcua")


class VirtualLine:
    """Journals, engine and store of one data directory, fed by the simulation as fast as it goes."""

    def __init__(self, data: Path, simulation: Simulation, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.data = data
        self.simulation = simulation
        self.now = StoryClock(simulation.start_ns)
        self._variables = {node: f"{asset}/{channel}" for node, asset, channel, _ in simulation.variables()}
        self.journals = {
            name: SqliteJournal(data / "journal" / name, rotate_bytes=rotate_bytes)
            for name in (OWN, *SOURCES)
        }
        self.database = open_store(data)
        self.engine = make_engine(data, self.journals, self.database, self.now)
        self.repeated = self.engine.recover()
        self.engine.configure(simulation.plant)

    def runs(self, from_minute: float, to_minute: float, step_s: float = 5.0) -> "VirtualLine":
        """Tell the story between two of its minutes."""
        at_ns, to_ns = (
            self.simulation.start_ns + int(minute * 60) * SECOND_NS for minute in (from_minute, to_minute)
        )
        while at_ns < to_ns:
            until_ns = at_ns + int(step_s * SECOND_NS)
            self.now.advance(until_ns)
            self._journal(self.simulation.due(at_ns, until_ns))
            while self.engine.turn(tick=False):
                pass
            self.engine.turn(tick=True)
            self.engine.turn(tick=False)
            at_ns = until_ns
        return self

    def closed(self) -> None:
        """Let go of the files without saving any state: what a kill leaves."""
        for journal in self.journals.values():
            journal.close()
        self.database.dispose()

    def report(self, end_minute: float) -> dict[str, Json]:
        """Tickets, problems, counters and truth."""
        end_ns = self.simulation.start_ns + int(end_minute * 60) * SECOND_NS
        return report(self.data, self.simulation.truth(end_ns), end_ns)

    def _journal(self, items: Iterable[Item]) -> None:
        records: dict[str, list[Record]] = {name: [] for name in SOURCES}
        for item in items:
            source = SOURCES[0] if isinstance(item, MqttMessage) else SOURCES[1]
            records[source].append(self._record(item))
        for source, some in records.items():
            self.journals[source].append(some)

    def _record(self, item: Item) -> Record:
        """The item as its collector would have journaled it."""
        match item:
            case MqttMessage():
                return Record(RecordKind.MESSAGE, item.at_ns, item.topic.encode(), item.body)
            case OpcuaValue():
                topic = self._variables[item.node].encode()
                return Record(RecordKind.MESSAGE, item.at_ns, topic, json.dumps(data_change(item)).encode())
            case OpcuaEvent():
                return Record(
                    RecordKind.MESSAGE,
                    item.at_ns,
                    f"{item.asset}/stop".encode(),
                    json.dumps(stop(item)).encode(),
                )


def data_change(item: OpcuaValue) -> dict[str, Json]:
    """A data change as the collector writes it: a value that is no number is null and bad."""
    known = math.isfinite(item.value)
    at = rfc3339(item.source_ns)
    return {
        "type": "opcua.data",
        "node": item.node,
        "value": item.value if known else None,
        "status": 0 if known else int(Quality.BAD),
        "source_time": at,
        "server_time": at,
    }


def stop(item: OpcuaEvent) -> dict[str, Json]:
    """A stop event's fields as the collector writes them."""
    reason = {"id": item.reason_id, "value": item.reason_value, "message": item.reason_message}
    reason |= {"category": item.reason_category, "trigger": item.active}
    return {
        "type": "opcua.event",
        "event_id": item.event_id.hex(),
        "event_type": "MachineStopType",
        "time": rfc3339(item.time_ns),
        "asset": item.asset,
        "state": item.state,
        "reason": reason,
        "severity": item.severity,
        "active": item.active,
    }
