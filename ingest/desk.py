"""What all connections of one listener share: its limits, its counters, and who is there."""

from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from andon.clock import Now
from ingest.credentials import Doorkeeper
from ingest.group_commit import GroupCommit
from ingest.mqtt_packets import V3, V5, Connect, Property, Reason
from ingest.mqtt_wire import Limits

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
    checker: Executor
    limits: Limits
    receive_maximum: int
    connections_max: int
    connecting_max: int
    connect_timeout_s: float
    held_bytes_max: int
    next_connection: int
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_BYTES)))
    connecting: "dict[Session, None]" = field(default_factory=dict)
    sessions: "dict[tuple[str | None, str], Session]" = field(default_factory=dict)
    closing: "set[Session]" = field(default_factory=set)
    held_bytes: int = 0
    received: int = 0
    refused: int = 0
    turned_away: int = 0

    def everyone(self) -> "list[Session]":
        """All connections, whatever they are at."""
        return [*self.connecting, *self.sessions.values(), *self.closing]

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
