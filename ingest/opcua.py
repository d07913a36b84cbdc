"""The OPC UA collector: keeps the wanted items subscribed whatever the server does, and journals what it says.

Supervised by desired state: what is wanted comes from the configuration, is asked for anew on every
connection, and each item that fails is retried by itself. Every loss that can be noticed is a gap record.
"""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self

from pydantic import Field, ValidationError, model_validator

from andon.events import GapCause, Json
from andon.ports import CorruptRecord, Journal, RecordKind, SourceContext
from ingest.errors import IngestError
from ingest.notices import Notices
from ingest.opcua_backfill import Backfill, Hole
from ingest.opcua_conditions import Conditions, Memory
from ingest.opcua_connection import Door, Server, said
from ingest.opcua_events import Events
from ingest.opcua_intake import Intake
from ingest.opcua_items import STOP, Board, Item
from ingest.opcua_published import Lasting
from ingest.opcua_subscription import Subscription, is_set_within
from ingest.pki import Pki

STOP_S = 3.0
FIRST_WAIT_S = 1.0
REPORT_S = 1.0
LOOK_BACK = 50
"""So many notices may stand at the end of a journal, after what was collected last."""
log = logging.getLogger(__name__)


class Parameters(Server):
    """One OPC UA server and what is wanted of it."""

    items: tuple[Item, ...] = ()
    events: Events | None = Events()
    publishing_ms: float = Field(default=250, gt=0)
    sampling_ms: float | None = Field(
        default=None, gt=0, description="None takes half the publishing interval"
    )
    retry_s: float = Field(default=60, gt=0, description="between two tries of items that failed")
    silent_after_s: float | None = Field(
        default=60, gt=0, description="read an item that has not changed for so long; None never"
    )
    watch_s: float = Field(default=10, gt=0, description="between two looks at silent items")
    backfill_values_s: float = Field(
        default=2000, ge=0, description="values of history read per second to fill gaps; 0 never"
    )
    back_off_s: float = Field(default=30, gt=0, description="longest wait between two connections")
    items_per_call: int = Field(default=100, ge=1, description="small controllers take few at once")
    queue: int = Field(default=10_000, ge=1, description="records that may wait for the journal")

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        channels = [(item.asset, item.channel) for item in self.items if item.channel != STOP]
        twice = sorted({f"{asset}/{name}" for asset, name in channels if channels.count((asset, name)) > 1})
        if twice:
            raise ValueError(f"a channel has one item; twice: {', '.join(twice)}")
        return self


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Collect until `stopping`; what was received is in the journal when this returns. OSError if the journal fails."""
    logging.getLogger("asyncua").setLevel(logging.WARNING)  # its INFO formats every message
    memory = Memory(at.folder)
    intake = Intake(at.journal, at.now, parameters.queue, memory=memory)
    backfill = Backfill(intake, at.now, parameters.backfill_values_s)
    lasting = Lasting(intake, Board(), Conditions(memory.standing), backfill, at.now)
    lasting.board.want(parameters.items)
    intake.lost = lasting.lost
    notices = Notices(at.folder, at.now, intake.note)

    def door_of(wanted: Parameters) -> Door:
        return Door(wanted, Pki(at.pki or at.folder / "pki"), at.now, notices)

    collector = Collector(parameters, door_of, lasting, missing_since_ns=_collected_until(at.journal))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.write(), name="opcua journal")
        others = [
            tasks.create_task(_report(collector, at.status), name="opcua status"),
            tasks.create_task(_hear(collector, at.words), name="opcua words"),
        ]
        try:
            await collector.collect(at.stopping, at.ready)
        finally:
            intake.close()
            for task in others:
                task.cancel()
    at.status(collector.facts())


class Collector:
    """Connects, stays, and after a loss connects again: each time a little later, and never all clients at once.

    `missing_since_ns` is the time up to which everything was collected while that is not now.
    """

    def __init__(
        self,
        parameters: Parameters,
        door_of: Callable[[Parameters], Door],
        lasting: Lasting,
        *,
        missing_since_ns: int | None,
    ) -> None:
        self._parameters = parameters
        self._door_of = door_of
        self._door = door_of(parameters)
        self._lasting = lasting
        self._board = lasting.board
        self._subscription: Subscription | None = None
        self._missing_since_ns = missing_since_ns
        self._since_ns = lasting.since(missing_since_ns or 0)
        self._wait_s = FIRST_WAIT_S

    def facts(self) -> dict[str, Json]:
        """How it stands, for people."""
        lasting = self._lasting
        return (
            self._board.facts()
            | lasting.intake.facts()
            | {"backfill": lasting.backfill.facts()}
            | self._door.look()
        )

    async def collect(self, stopping: asyncio.Event, ready: Callable[[str], None]) -> None:
        """Keep the connection until `stopping`; `ready` is called once, when data begins to come."""
        reason = "stopped"
        while not stopping.is_set():
            try:
                async with _ended_by(stopping):
                    await self._stay_connected(stopping, ready)
            except Exception as error:  # noqa: BLE001 - whatever a server does, the collector tries again
                if said(error) != reason:
                    log.warning(
                        "no OPC UA data: %s; trying again", error, extra={"url": self._parameters.url}
                    )
                reason = said(error)
                self._board.lost(reason)
                await is_set_within(stopping, self._wait_s * (0.5 + secrets.randbelow(1000) / 1000))
                self._wait_s = min(2 * self._wait_s, self._parameters.back_off_s)
        self._board.lost(reason)

    def reload(self, document: Json) -> None:
        """Take new settings: other items without dropping the connection, anything else with a new one.

        Settings that cannot be meant change nothing, and the status says why.
        """
        try:
            parameters = Parameters.model_validate(document)
        except ValidationError as error:
            self._board.reload = f"refused: {error.errors()[0]['msg']}"
            log.warning("new settings are refused, the old ones stay", extra={"error": str(error)})
            return
        before, self._parameters, self._board.reload = self._parameters, parameters, "done"
        gone = self._board.want(parameters.items)
        if self._subscription is not None:
            self._subscription.rewant(gone)
        if before.model_copy(update={"items": parameters.items}) == parameters:
            return
        self._door = self._door_of(parameters)
        self._lasting.intake.limit = parameters.queue
        self._lasting.backfill.values_per_s = parameters.backfill_values_s
        if self._subscription is not None:
            self._subscription.leave("its settings have changed")

    async def _stay_connected(self, stopping: asyncio.Event, ready: Callable[[str], None]) -> None:
        async with self._door.connected() as client:
            subscription = Subscription(client, self._parameters, self._lasting)
            await subscription.open()
            self._subscription = subscription
            self._close_gap()
            self._board.connected, self._board.reason, self._wait_s = True, "", FIRST_WAIT_S
            self._board.connections += 1
            if self._board.connections == 1:
                ready(self._parameters.url)
            backfill = self._lasting.backfill.work(subscription.calls, subscription.published)
            filling = asyncio.create_task(backfill, name="opcua backfill")
            try:
                await subscription.stay(stopping)
            except Exception as error:
                self._board.lost(said(error))  # said before the session is closed: that may take its time
                self._open_gap(subscription.published.heard_ns)
                raise
            finally:
                self._subscription = None
                filling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await filling

    def _open_gap(self, heard_ns: int) -> None:
        """From here on nothing comes, and what is under way of a refresh of alarms says nothing."""
        self._missing_since_ns, self._since_ns = heard_ns, self._lasting.since(heard_ns)
        self._lasting.conditions.connection_lost()
        self._lasting.intake.gap(heard_ns, None, GapCause.CONNECTION)

    def _close_gap(self) -> None:
        """Data comes again: what is missing is known, and filled if all of it has a history."""
        from_ns, self._missing_since_ns = self._missing_since_ns, None
        if from_ns is None:
            return
        to_ns = self._lasting.now()
        self._lasting.intake.gap(from_ns, to_ns, GapCause.CONNECTION)
        wanted = set(self._board.items.values())
        since_ns = {watched: at_ns for watched, at_ns in self._since_ns.items() if watched in wanted}
        events_told = self._parameters.events is None or self._board.refresh == "Good"
        self._lasting.backfill.note(Hole(from_ns, to_ns, GapCause.CONNECTION, since_ns, complete=events_told))


@contextlib.asynccontextmanager
async def _ended_by(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Once `stopping` is set, what stands within has `STOP_S` to end by itself; then it is cut off (TimeoutError)."""
    async with asyncio.timeout(None) as limit:

        async def cut_off() -> None:
            await stopping.wait()
            limit.reschedule(asyncio.get_running_loop().time() + STOP_S)

        waiting = asyncio.create_task(cut_off(), name="opcua stop")
        try:
            yield
        finally:
            waiting.cancel()


async def _report(collector: Collector, status: Callable[[Mapping[str, Json]], None]) -> None:
    while True:
        status(collector.facts())
        await asyncio.sleep(REPORT_S)


async def _hear(collector: Collector, words: asyncio.Queue[Mapping[str, Json]]) -> None:
    """Do what this source is told while it runs."""
    while True:
        word = await words.get()
        if word.get("word") == "reload":
            collector.reload(word.get("parameters"))


def _collected_until(journal: Journal) -> int | None:
    """Up to when an earlier run had collected everything: what came after is missing. None for an empty journal."""
    end = journal.end()
    for position in range(end - 1, max(end - LOOK_BACK, 0) - 1, -1):
        try:
            (last,) = journal.read(position, 1)
        except (IngestError, CorruptRecord):
            return None
        if last.kind is RecordKind.NOTICE:
            continue  # it says nothing of what was collected
        if last.kind is RecordKind.GAP:
            gap = json.loads(last.body)
            if gap["to_ns"] is None and gap["asset"] is None:  # still open: this run is the one to close it
                return int(gap["from_ns"])
        return last.received_ns
    return None
