"""Bytes to events: every record ends as an event, a duplicate, a dead letter or a gap, and is counted once.

The way of one message: its topic's route, strict parse, identity (twice is once), asset and point, event time.
Each kind of record and of payload has its line in a table here and its function in a file `take_*`. A function of
the records so far: no clock, no I/O, and the same in whatever runs the records come.
"""

from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

from andon.events import ConfigChanged, Json
from andon.plant import Plant
from andon.ports import Decoded, Record, RecordKind, State
from ingest import envelope as words
from ingest import take_mapped, take_opcua, take_own, take_plain, take_stop, take_telemetry, take_waveform
from ingest.blocks import Run
from ingest.identity import NEVER_NS, Identity
from ingest.mapping import (
    ENVELOPE,
    EVENT,
    IGNORE,
    JSON,
    NUMBER,
    OPCUA,
    SPARKPLUG,
    STATE,
    STOP,
    TELEMETRY,
    WAVE,
    Routes,
)
from ingest.refusal import Reason, Refused
from ingest.take_presence import Presence
from ingest.take_sparkplug import Sparkplug

Take = Callable[[Run], None]
"""Takes the record that a run stands at: adds what it becomes and counts it, or raises Refused."""
MAX_BYTES = 1024 * 1024
MAX_WAVE_BYTES = 8 * 1024 * 1024


class MessageDecoder:
    """The decoder of all sources; it learns the plant from CONFIG records."""

    def __init__(self) -> None:
        self._document: Mapping[str, Json] = {"name": ""}
        self._routes = Routes(Plant(name=""))
        self._identity = Identity()
        self._presence = Presence()
        self._sparkplug = Sparkplug()
        self._records: dict[RecordKind, Take] = {
            RecordKind.MESSAGE: self._message,
            RecordKind.REFUSED: take_own.refused,
            RecordKind.GAP: take_own.gap,
            RecordKind.TICK: self._tick,
            RecordKind.CONFIG: self._config,
            RecordKind.NOTICE: take_own.notice,
            RecordKind.DECLARATION: take_own.declaration,
            RecordKind.REDRIVE: take_own.unreadable,
            RecordKind.ORDER: take_own.unreadable,
        }
        self._messages: dict[str, tuple[int, Take]] = {
            TELEMETRY: (MAX_BYTES, take_telemetry.take),
            EVENT: (MAX_BYTES, take_stop.take),
            WAVE: (MAX_WAVE_BYTES, take_waveform.take),
            OPCUA: (MAX_WAVE_BYTES, take_opcua.take),
            STATE: (MAX_BYTES, self._presence.take),
            ENVELOPE: (MAX_BYTES, take_mapped.take_envelope),
            JSON: (MAX_BYTES, take_plain.take_json),
            NUMBER: (MAX_BYTES, take_plain.take_number),
            STOP: (MAX_BYTES, take_mapped.take_foreign_stop),
            SPARKPLUG: (MAX_WAVE_BYTES, self._sparkplug.take),
            IGNORE: (2**63, take_mapped.ignore),
        }

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """Decode records of one source, the first of them at `position`. Bad input is data: it never raises.

        Beside the balance of `Decoded`, `counts` holds `clock_skew`: stamps from the future that were replaced, and
        `identities_forgotten`: producers beyond what can be remembered.
        """
        run = Run(source, self._identity, self._routes)
        due_ns, remarks = self._identity.due_ns, self._identity.remarks
        for place, record in enumerate(records, position):
            run.stand_at(place, record)
            if record.received_ns >= due_ns.get(source, NEVER_NS):
                for hole, filled in self._identity.overdue(source, record.received_ns):
                    run.gap(hole, filled=filled)
            if record.received_ns >= remarks.due_ns:
                run.remarks_over()
            try:
                self._records[record.kind](run)
            except Refused as refusal:
                run.refuse(refusal)
        return run.decoded()

    def snapshot(self) -> State:
        """The plant document and everything that is remembered of messages."""
        return {
            "document": self._document,
            "away": self._presence.snapshot(),
            "sparkplug": self._sparkplug.snapshot(),
            **self._identity.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        document: Json = state["document"]
        self._document, self._routes = document, Routes(Plant.model_validate(document))
        self._presence.restore(state["away"])
        self._sparkplug.restore(state["sparkplug"])
        self._identity.restore(state)

    def _config(self, run: Run) -> None:
        body = take_own.body(words.CONFIG, run)
        try:
            plant = Plant.model_validate(body.document)
        except ValidationError as error:
            run.received += 1
            raise Refused(Reason.RECORD_CORRUPT, f"not a plant: {error}") from None
        self._document, self._routes = body.document, Routes(plant)
        run.routes = self._routes
        run.put(ConfigChanged(run.received_ns, body.version, body.document, run.origin()), None)

    def _tick(self, run: Run) -> None:
        self._sparkplug.tick(run)
        take_own.tick(run)

    def _message(self, run: Run) -> None:
        run.received += 1
        record = run.record
        route = run.route = run.routes.of(record.topic, record.connection)
        known = self._messages.get(route.kind)
        if known is None:
            raise route.refusal()
        limit, take = known
        if len(record.body) > limit:
            raise Refused(Reason.TOO_LARGE, f"{len(record.body)} bytes; at most {limit} are taken")
        if route.misplaced:
            run.tally("misplaced", 1)
        if self._presence.away and route.kind != STATE:
            self._presence.heard(run)
        take(run)
