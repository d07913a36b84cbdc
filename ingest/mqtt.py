"""The second way in: subscribes to a broker, and acknowledges to it what is on disk, never before.

The broker keeps what is not acknowledged, so nothing is lost while this process or the disk is away, as far as
the broker is set to keep it (see deploy/mosquitto.conf). What it did lose stands in the journal as a gap.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import cast

from andon.config import ConfigError, check
from andon.events import GapCause, Json
from andon.ports import Record, RecordKind, SourceContext
from ingest.broker_drops import DropWatch
from ingest.group_commit import GroupCommit
from ingest.last_received import last_received_ns
from ingest.mqtt_connection import BrokerConnection, ConnectionLost, Retained
from ingest.mqtt_packets import Oversized
from ingest.mqtt_paho import Message
from ingest.mqtt_parameters import Parameters, Tls, address, wait_s
from ingest.mqtt_subscriptions import Arrivals, Kept, Subscriptions, shared
from ingest.mqtt_wire import Limits
from ingest.notices import REFUSED_CONFIGURATION, Notices
from ingest.own_records import missing, too_large
from ingest.sparkplug_voice import Voice

__all__ = ["Collector", "Parameters", "Tls", "run"]

_log = logging.getLogger(__name__)
_COMMIT_S, _SETTLE_S = 3.0, 1.0
"""How long a clean stop waits for the disk, and then for the broker."""
_STEADY_S = 10.0
"""A connection that lived this long was a good one: the next wait is short again."""
_CONNECTIONS_PER_RECORD = 1 << 20
_LIVE = ("topics", "qos", "shared_group", "drop_counters", "retry_min_s", "retry_max_s")
"""The parameters that change without another connection."""
_COUNTER_TRIES = 2
"""Some brokers end the connection of whoever asks for $SYS: they are not asked a third time."""


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Collect until `stopping` is set, connecting anew with growing waits; then commit and acknowledge what was read.

    `ready` is told `mqtt://host:port` (or `mqtts://`) at the first subscription. `{"word": "reload"}` changes the
    topics on the connection that there is, and everything else by a new one. Raises OSError if the password or
    a certificate cannot be read, or if the journal fails; nothing that was not durable has been acknowledged.
    """
    collector = Collector(parameters, at)
    while not at.stopping.is_set():
        async with collector.commits() as group:
            await collector.collect(group, at)


class Collector:
    """Keeps one connection after another to the broker, and hands what comes to the group commit."""

    def __init__(self, parameters: Parameters, at: SourceContext) -> None:
        self._at = at
        self._now = at.now
        self._is_ready = False
        # Connections that left no record need no number of their own: so none is given twice in one journal.
        self._number = at.journal.end() * _CONNECTIONS_PER_RECORD
        self._alive_ns = last_received_ns(at.journal, of_any_kind=True)
        self._connection: BrokerConnection | None = None
        self._received = self._refused = self._connections = 0
        self._refused_topics: list[str] = []
        self._error: str | None = None
        self._told: Mapping[str, Json] = {}
        self._told_s = 0.0
        self._next: Parameters | None = None
        self._configuration_error: str | None = None
        self._notices = Notices(at.folder, at.now, lambda record: self._group.add([record], urgent=True))
        self._arrivals = Arrivals(parameters.topics)
        self._arrivals.last_received_ns = last_received_ns(at.journal)
        self._voice = Voice(parameters.sparkplug, at.now)
        self._begin(parameters)

    def _begin(self, parameters: Parameters) -> None:
        """Take parameters into force that are for a connection of their own."""
        self._parameters, self._next = parameters, None
        self._voice.now_of(parameters.sparkplug)
        self._limits = Limits(payload=parameters.payload_max_bytes, waveform=parameters.waveform_max_bytes)
        session = f"{parameters.client_id}@{parameters.host}:{parameters.port}"
        self._subscriptions = Subscriptions(Kept(self._at.folder / "subscriptions.json", session))
        kept = Kept(self._at.folder / "broker_drops.json", session)
        self._drops = DropWatch(parameters.drop_counters, kept, self._notices)
        self._drop_counter, self._counter_failures = "off", 0
        self._arrivals.now_of(parameters.topics)

    def commits(self) -> GroupCommit:
        """The queue before the journal, as large as the parameters say."""
        return GroupCommit(
            self._at.journal,
            self._now,
            bound_records=self._parameters.queue_max_records,
            bound_bytes=self._parameters.queue_max_bytes,
            on_change=self.turn,
        )

    def turn(self, full: bool) -> None:
        """Let the broker wait while the queue is full; its window or its queue keeps what it has."""
        if self._connection is not None:
            self._connection.read(on=not full)

    async def collect(self, group: GroupCommit, at: SourceContext) -> None:
        """Connect, stay, connect anew after a wait that grows with each failure.

        Ends when told to stop, or with other parameters in force that need a new beginning.
        """
        self._group = group
        if self._configuration_error is None:  # what was refused before a restart is not what we started with
            self._notices.over(REFUSED_CONFIGURATION)
        loop = asyncio.get_running_loop()
        self._stirred: asyncio.Future[bool] = loop.create_future()
        stop: asyncio.Future[bool] = loop.create_task(at.stopping.wait(), name="stop of the collector")
        heeding = loop.create_task(self._heed(at.words), name="words to the collector")
        failures = 0
        try:
            while not stop.done():
                began_s = loop.time()
                self._error = await self._connected(stop)
                steady = loop.time() - began_s >= _STEADY_S
                failures = 0 if steady else failures + 1
                if not stop.done() and self._next is None:
                    _log.warning("no connection to the broker; trying again", extra={"why": self._error})
                    await self._wait(wait_s(self._parameters, failures), stop)
                if self._next is not None:
                    await self._until_durable(stop)
                    self._begin(self._next)
                    return
        finally:
            stop.cancel()
            heeding.cancel()

    async def _connected(self, stop: asyncio.Future[bool]) -> str:
        """One connection, from its beginning to its end; gives why it ended."""
        will = self._voice.begin() if self._voice.is_primary else None
        connection = BrokerConnection(address(self._parameters, will), self._limits, self._take)
        self._number += 1
        self._connection = connection
        try:
            await connection.open()
            self._note_what_is_missing(session_present=connection.session_present)
            if not connection.session_present:
                self._subscriptions.forget()
            await self._subscribe(connection)
            if len(self._refused_topics) == len(self._parameters.topics):
                return f"the broker refuses to let us subscribe to {', '.join(self._refused_topics)}"
            self._welcome()
            await self._watch_drops(connection)
            await self._present(connection)
            await self._stay(connection, stop)
        except ConnectionLost as error:
            return str(error)
        finally:
            connection.close()
            self._connection = None
        return connection.lost.result()

    async def _subscribe(self, connection: BrokerConnection) -> None:
        """Subscribe to what is wanted, then unsubscribe what no longer is: between the two nothing is missed."""
        parameters = self._parameters
        wanted = {shared(parameters.shared_group, topic): topic for topic in parameters.topics}
        asked = [*wanted, *parameters.drop_counters]
        asked += [self._voice.topic] if self._voice.is_primary else []
        self._subscriptions.ask(asked)
        refused = await connection.subscribe(list(wanted), parameters.qos)
        self._refused_topics = [wanted[name] for name in refused]
        if surplus := self._subscriptions.surplus(asked):
            await connection.unsubscribe(surplus)
        self._subscriptions.settled(asked)

    async def _watch_drops(self, connection: BrokerConnection) -> None:
        """Ask for the broker's counters of what it dropped; a broker that does not tell is no worse a broker."""
        counters = self._parameters.drop_counters
        if not counters or self._counter_failures >= _COUNTER_TRIES:
            self._drop_counter = "refused" if counters else "off"
            return
        self._drops.begin(self._alive_ns)
        self._counter_failures += 1
        refused = await connection.subscribe(counters, 0, retained=Retained.ALWAYS)
        self._counter_failures = 0
        self._drop_counter = "refused" if len(refused) == len(counters) else "watched"

    async def _present(self, connection: BrokerConnection) -> None:
        """As a primary Sparkplug host, say that we are here, and listen whether somebody says otherwise."""
        if self._voice.is_primary:
            await connection.subscribe([self._voice.topic], 0, retained=Retained.ALWAYS)
            connection.say(*self._voice.state(online=True), retain=True)

    async def _stay(self, connection: BrokerConnection, stop: asyncio.Future[bool]) -> None:
        """Keep the connection alive until it is lost or we have to leave it; then acknowledge what was read."""
        while not stop.done() and not connection.lost.done():
            self._alive_ns = self._now()
            self._drops.stand(self._alive_ns)
            self._tell(connected=True)
            await self._first_of(stop, connection.lost, timeout_s=1.0)
            connection.look_after()
            self._contradict()
            if self._next is not None and not self._group.full and not await self._adopt(connection):
                break
        connection.read(on=False)
        if self._voice.is_primary:
            connection.say(*self._voice.state(online=False), retain=True)
        if self._group.stalled is None and not connection.lost.done():
            with contextlib.suppress(TimeoutError):  # what is not durable stays with the broker
                await asyncio.wait_for(self._group.drain(), _COMMIT_S)
                await connection.settle(_SETTLE_S)

    async def _until_durable(self, stop: asyncio.Future[bool]) -> None:
        """Wait for the disk before this queue is given up for another, unless we are told to stop."""
        drained = asyncio.ensure_future(self._drained())
        try:
            while not stop.done() and not drained.done():
                await self._first_of(stop, drained, timeout_s=None)
        finally:
            drained.cancel()

    async def _drained(self) -> bool:
        await self._group.drain()
        return True

    async def _wait(self, seconds: float, stop: asyncio.Future[bool]) -> None:
        """Wait before the next try, and as long as there would be no room for what it brings."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while not stop.done() and self._next is None and (self._group.full or loop.time() < until_s):
            self._tell(connected=False)
            left_s = max(0.05, until_s - loop.time())
            await self._first_of(stop, timeout_s=min(1.0, left_s))

    async def _first_of(
        self, *futures: asyncio.Future[bool] | asyncio.Future[str], timeout_s: float | None
    ) -> None:
        """Wait for the first of these, or for new parameters; raises what the journal raised."""
        waited = cast("set[asyncio.Future[object]]", {*futures, self._stirred, self._group.failure})
        await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._group.failure.done():
            self._group.failure.result()
        if self._stirred.done():
            self._stirred = asyncio.get_running_loop().create_future()

    # New parameters

    async def _heed(self, words: "asyncio.Queue[Mapping[str, Json]]") -> None:
        """Listen for words while we collect; parameters that cannot work leave the old ones in force."""
        while True:
            word = await words.get()
            if word.get("word") == "reload":
                self._judge(word.get("parameters"))
            elif word.get("word") == "rebirth" and self._connection is not None:
                command = self._voice.rebirth(str(word.get("edge")))
                if command is not None:
                    self._connection.say(*command)

    def _judge(self, document: object) -> None:
        try:
            parameters = check(Parameters, document, "new configuration")
            address(
                parameters
            )  # whether its files can be read is found now, not when the old connection is gone
        except (ConfigError, OSError) as error:
            _log.error("the new configuration is refused; the old one stays", extra={"why": str(error)})
            self._configuration_error = str(error)
            self._notices.say(REFUSED_CONFIGURATION, 600, str(error))
            return
        self._configuration_error = None
        self._notices.over(REFUSED_CONFIGURATION)
        self._next = parameters if parameters != self._parameters else None
        if not self._stirred.done():
            self._stirred.set_result(True)

    async def _adopt(self, connection: BrokerConnection) -> bool:
        """Take new parameters into force on this connection; False if they need another one."""
        new, old = self._next, self._parameters
        if new is None:
            return True
        if new.model_copy(update={name: getattr(old, name) for name in _LIVE}) != old:
            return False
        self._parameters, self._next = new, None
        self._arrivals.now_of(new.topics)
        await self._subscribe(connection)
        if new.drop_counters != old.drop_counters:
            self._drops.watch(new.drop_counters)
            await self._watch_drops(connection)
        return True

    def _note_what_is_missing(self, *, session_present: bool) -> None:
        """Say so in the journal when the broker cannot have kept what was published since we were last here."""
        if self._alive_ns is not None and not session_present:
            self._group.add([missing(self._alive_ns, self._now(), GapCause.SESSION_LOST)])
        elif self._alive_ns is not None and self._parameters.qos == 0:
            self._group.add([missing(self._alive_ns, self._now(), GapCause.DISCONNECTED)])

    def _welcome(self) -> None:
        self._connections += 1
        self._error = None
        if self._refused_topics:
            _log.error("the broker refuses topics", extra={"topics": self._refused_topics})
        if not self._is_ready:
            parameters = self._parameters
            scheme = "mqtts" if parameters.tls else "mqtt"
            self._at.ready(f"{scheme}://{parameters.host}:{parameters.port}")
            self._is_ready = True

    def _take(self, messages: Sequence[Message]) -> None:
        """Hand on what was read; it is acknowledged on this connection, or never, once all of it is durable."""
        at_ns, number, may_lose = self._now(), self._number, self._group.may_lose
        records: list[Record] = []
        packets: list[int] = []
        for message in messages:
            qos = message.flags >> 2
            if message.topic[:1] == b"$" and not qos and self._counted(message, at_ns):
                continue
            if self._voice.is_primary and self._is_our_state(message):
                continue
            self._received += 1
            if not qos and may_lose:
                self._group.lose()
                continue
            if isinstance(message, Oversized):
                self._refused += 1
                kind, body = RecordKind.REFUSED, too_large(message)
            else:
                kind, body = RecordKind.MESSAGE, message.body
            records.append(Record(kind, at_ns, message.topic, body, number, message.packet, message.flags))
            if qos:
                packets.append(message.packet)
        if records and self._connection is not None:
            self._arrivals.note(records)
            durable = functools.partial(self._connection.acknowledge, packets) if packets else None
            self._group.add(records, durable)

    def _is_our_state(self, message: Message) -> bool:
        """Whether this was word of our own state, which is no message of the plant's; a wrong one is answered."""
        if isinstance(message, Oversized) or message.topic != self._voice.topic.encode():
            return False
        self._voice.hear(message.body)
        self._contradict()
        return not message.flags >> 2

    def _contradict(self) -> None:
        answer = self._voice.answer()
        if answer is not None and self._connection is not None:
            self._connection.say(*answer, retain=True)

    def _counted(self, message: Message, at_ns: int) -> bool:
        """Whether this was the broker's word of what it dropped, which is no message of the plant's."""
        if isinstance(message, Oversized) or not self._drops.watches(message.topic):
            return False
        if gap := self._drops.take(message.topic, message.body, at_ns):
            self._group.add([gap], urgent=True)
        return True

    def _tell(self, *, connected: bool) -> None:
        facts: Mapping[str, Json] = {
            "connected": connected,
            "received": self._received,
            "refused": self._refused,
            "overflow": self._group.overflow,
            "connections": self._connections,
            "last_received_ns": self._arrivals.last_received_ns,
            "filters": self._arrivals.facts(),
            "refused_topics": self._refused_topics,
            "shared_group": self._parameters.shared_group,
            "drop_counter": self._drop_counter,
            "rebirths_asked": self._voice.rebirths,
            "broker_dropped": self._drops.dropped,
            "configuration_error": self._configuration_error,
            "error": self._error,
            "stalled": self._group.stalled,
        }
        now_s = asyncio.get_running_loop().time()
        if facts != self._told and now_s - self._told_s >= 1.0:
            self._at.status(facts)
            self._told, self._told_s = facts, now_s
