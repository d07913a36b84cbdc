"""What all connections of one listener share: its limits, its counters, and who is there."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from andon.clock import Now
from ingest.credentials import Doorkeeper
from ingest.group_commit import GroupCommit
from ingest.mqtt_grants import hears
from ingest.mqtt_packets import V3, V5, Connect, Property, Reason
from ingest.mqtt_wire import Limits
from ingest.sparkplug_voice import Voice

if TYPE_CHECKING:
    from ingest.mqtt_session import Session

_READ_BYTES = 128 * 1024
_QOS_2 = 2


@dataclass(slots=True)
class Desk:
    """The limits, counters and connections of one listener. Only the event loop touches it."""

    group: GroupCommit
    doorkeeper: Doorkeeper
    now: Now
    voice: Voice
    checker: Executor
    limits: Limits
    receive_maximum: int
    connections_max: int
    connecting_max: int
    connect_timeout_s: float
    held_bytes_max: int
    next_connection: int
    last_received_ns: int | None
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_BYTES)))
    connecting: "dict[Session, None]" = field(default_factory=dict)
    sessions: "dict[tuple[str | None, str], Session]" = field(default_factory=dict)
    closing: "set[Session]" = field(default_factory=set)
    held_bytes: int = 0
    received: int = 0
    refused: int = 0
    turned_away: int = 0
    turned_away_last: str = ""
    is_here: bool = True

    def say(self, topic: str, body: bytes) -> None:
        """Send a message to whoever has subscribed to its topic."""
        for session in list(self.sessions.values()):
            session.send(topic, body)

    def greet(self, session: "Session", filters: Sequence[tuple[bytes, int]]) -> None:
        """Send a client that asks for it what is retained: as a primary Sparkplug host, whether we are here."""
        if self.voice.is_primary and hears(filters, self.voice.topic):
            session.send(*self.voice.state(online=self.is_here), retain=True)

    def tell_state(self) -> None:
        """As a primary Sparkplug host, say that we are away while the disk is: edge nodes then keep what they have."""
        is_here = self.group.stalled is None
        if self.voice.is_primary and is_here != self.is_here:
            self.voice.begin()
            self.say(*self.voice.state(online=is_here))
        self.is_here = is_here

    def everyone(self) -> "list[Session]":
        """All connections, whatever they are at."""
        return [*self.connecting, *self.sessions.values(), *self.closing]

    def note_turned_away(self, host: str, who: tuple[str | None, str], why: str) -> None:
        """Count it, and keep who it was and why: a device with a wrong password asks for just that."""
        user, client = who
        self.turned_away += 1
        self.turned_away_last = f"{host}, user {(user or '-')[:64]!r}, client {client[:64]!r}: {why[:200]}"

    def make_room(self) -> None:
        """Where too many have not said who they are, turn away the oldest of the address with the most of them."""
        if len(self.connecting) >= self.connecting_max:
            ((host, _),) = Counter(session.host for session in self.connecting).most_common(1)
            oldest = next(session for session in self.connecting if session.host == host)
            oldest.turn_away("too many connections that do not say who they are")

    def objection(self, connect: Connect, user: str | None) -> Reason | None:
        """What stands against this CONNECT, whoever sends it."""
        if Property.AUTHENTICATION_METHOD in connect.properties:
            return Reason.BAD_AUTHENTICATION_METHOD
        if connect.version == V3 and not connect.client_id and not connect.clean:
            return Reason.BAD_CLIENT_ID
        if connect.version == V5 and connect.will is not None and connect.will.flags >> 2 == _QOS_2:
            return Reason.QOS_NOT_SUPPORTED
        if self.group.stalled is not None:
            return Reason.SERVER_UNAVAILABLE
        if len(self.sessions) >= self.connections_max and (user, connect.client_id) not in self.sessions:
            return Reason.QUOTA_EXCEEDED
        return None


def common_name(certificate: dict[str, object]) -> str | None:
    """The CN of a verified certificate as `ssl` gives it; None if there is not exactly one.

    >>> common_name({"subject": ((("countryName", "CN"),), (("commonName", "press7"),))})
    'press7'
    """
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else None
