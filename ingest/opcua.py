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

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.clock import Now
from andon.events import Json
from andon.ports import CorruptRecord, Journal, RecordKind, SourceContext
from ingest.errors import IngestError
from ingest.notices import Notices
from ingest.opcua_connection import Door, Server, said
from ingest.opcua_intake import Intake
from ingest.opcua_items import Address, Board, Item, Watched
from ingest.opcua_subscription import Subscription, is_set_within
from ingest.pki import Pki

STOP_S = 3.0
FIRST_WAIT_S = 1.0
REPORT_S = 1.0
LOOK_BACK = 50
"""So many notices may stand at the end of a journal, after what was collected last."""
log = logging.getLogger(__name__)


class Events(BaseModel):
    """Where stop events come from and which of their properties say what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notifier: Address = Field(default="i=2253", description="the node that reports them; the Server object")
    namespace: str = Field(default="urn:andon:simulated-plant", description="namespace of the properties")
    event_type: Address | None = Field(default=None, description="only events of this type; None takes all")
    queue: int = Field(default=1000, ge=1, description="events that the server keeps between two publishings")
    asset: str = "Asset"
    state: str = "State"
    reason_id: str = "ReasonId"
    reason_value: str = "ReasonValue"
    reason_message: str = "ReasonMessage"
    reason_category: str = "ReasonCategory"
    active: str = "Active"

    def properties(self) -> dict[str, str]:
        """What each property says -> its name on the server."""
        return {
            key: str(getattr(self, key))
            for key in (
                "asset",
                "state",
                "reason_id",
                "reason_value",
                "reason_message",
                "reason_category",
                "active",
            )
        }


class Parameters(Server):
    """One OPC UA server and what is wanted of it."""

    items: tuple[Item, ...] = ()
    events: Events | None = Events()
    publishing_ms: float = Field(default=250, gt=0)
    sampling_ms: float = Field(default=100, gt=0)
    retry_s: float = Field(default=60, gt=0, description="between two tries of items that failed")
    watch_s: float = Field(default=10, gt=0, description="between two looks at silent items")
    back_off_s: float = Field(default=30, gt=0, description="longest wait between two connections")
    items_per_call: int = Field(default=100, ge=1, description="small controllers take few at once")
    queue: int = Field(default=10_000, ge=1, description="records that may wait for the journal")

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        channels = [(item.asset, item.channel) for item in self.items]
        twice = sorted({f"{asset}/{name}" for asset, name in channels if channels.count((asset, name)) > 1})
        if twice:
            raise ValueError(f"a channel has one item; twice: {', '.join(twice)}")
        return self


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Collect until `stopping`; what was received is in the journal when this returns. OSError if the journal fails."""
    logging.getLogger("asyncua").setLevel(logging.WARNING)  # its INFO formats every message
    intake = Intake(at.journal, at.now, parameters.queue)
    board = Board([Watched(item, handle) for handle, item in enumerate(parameters.items, 1)])
    notices = Notices(at.folder, at.now, intake.note)
    door = Door(parameters, Pki(at.pki or at.folder / "pki"), at.now, notices)
    missing_since_ns = _collected_until(at.journal)
    collector = Collector(parameters, door, intake, board, at.now, missing_since_ns=missing_since_ns)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.write(), name="opcua journal")
        reporting = tasks.create_task(_report(board, intake, door, at.status), name="opcua status")
        try:
            await collector.collect(at.stopping, at.ready)
        finally:
            intake.close()
            reporting.cancel()
    at.status(board.facts() | intake.facts() | door.look())


class Collector:
    """Connects, stays, and after a loss connects again: each time a little later, and never all clients at once.

    `missing_since_ns` is the time up to which everything was collected while that is not now.
    """

    def __init__(
        self,
        parameters: Parameters,
        door: Door,
        intake: Intake,
        board: Board,
        now: Now,
        *,
        missing_since_ns: int | None,
    ) -> None:
        self._parameters = parameters
        self._door = door
        self._intake = intake
        self._board = board
        self._now = now
        self._missing_since_ns = missing_since_ns
        self._wait_s = FIRST_WAIT_S

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

    async def _stay_connected(self, stopping: asyncio.Event, ready: Callable[[str], None]) -> None:
        async with self._door.connected() as client:
            subscription = Subscription(client, self._parameters, self._intake, self._board, self._now)
            await subscription.open()
            if self._missing_since_ns is not None:
                self._intake.gap(self._missing_since_ns, self._now(), "connection")
                self._missing_since_ns = None
            self._board.connected, self._board.reason, self._wait_s = True, "", FIRST_WAIT_S
            self._board.connections += 1
            if self._board.connections == 1:
                ready(self._parameters.url)
            try:
                await subscription.stay(stopping)
            except Exception as error:
                self._board.lost(said(error))  # said before the session is closed: that may take its time
                self._missing_since_ns = subscription.heard_ns
                self._intake.gap(subscription.heard_ns, None, "connection")
                raise


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


async def _report(
    board: Board, intake: Intake, door: Door, status: Callable[[Mapping[str, Json]], None]
) -> None:
    while True:
        status(board.facts() | intake.facts() | door.look())
        await asyncio.sleep(REPORT_S)


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
            if gap["to_ns"] is None:  # still open: this run is the one to close it
                return int(gap["from_ns"])
        return last.received_ns
    return None
