"""Whether an event is a partner's: signed with its secret, over its own time and body, as Standard Webhooks say.

The time may be five minutes off, either way: what was overheard cannot be said again later, and within those minutes its
id has been heard. Source: standardwebhooks.com, specification 1.0, "Verifying signatures".
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from andon.events import MINUTE_NS, SECOND_NS, Json
from ticketing.errors import DeedRefused
from ticketing.notify.webhook import signature

SKEW_NS = 5 * MINUTE_NS
MOST_BYTES = 256 * 1024
ID_MOST, SIGNATURES_MOST = 200, 8


class NotHeard(DeedRefused):
    """What is not taken at all, and not put on record as said: `status` is the answer's; it may be sent again."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code, text)
        self.status = status


class Event(msgspec.Struct):
    """A CloudEvent in structured JSON, as far as it is looked at. Source: CloudEvents 1.0.2."""

    specversion: str
    id: str
    source: str
    type: str
    data: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Said:
    """An event that is the partner's, with its bytes."""

    event: Event
    body: bytes


def verified(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_ns: int) -> Said:
    """The event of a request; NotHeard if it is not the partner's, too old, or no event. Compared in constant time."""
    if len(body) > MOST_BYTES:
        raise NotHeard(413, "event_too_large", f"an event has {MOST_BYTES} bytes at most")
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    id_, at, signed = (headers.get(name, "") for name in names)
    if not (id_ and at.isdecimal() and len(at) <= 12 and signed and len(id_) <= ID_MOST):
        raise NotHeard(401, "not_signed", f"sign it: {', '.join(names)}")
    given = [one.encode("utf-8", "replace") for one in signed.split(" ")[:SIGNATURES_MOST]]
    right = [signature(key, id_, int(at), body).encode() for key in keys]
    if not any([hmac.compare_digest(one, ours) for one in given for ours in right]):  # noqa: C419 - all are compared
        raise NotHeard(401, "signature_wrong", "no signature of this body holds with the secret")
    if abs(int(at) * SECOND_NS - now_ns) > SKEW_NS:
        seconds = now_ns // SECOND_NS
        raise NotHeard(401, "timestamp_off", f"it is {seconds} here: set the clock, or sign it anew")
    return Said(_event(body, id_), body)


def _event(body: bytes, id_: str) -> Event:
    try:
        event = msgspec.json.decode(body, type=Event)
    except msgspec.DecodeError as error:
        raise NotHeard(422, "not_an_event", f"send a CloudEvent in structured JSON: {error}") from error
    if b"\\u0000" in body or event.specversion != "1.0" or event.source.startswith("urn:andon:"):
        raise NotHeard(422, "not_an_event", 'specversion is "1.0", source your own, and no text holds a NUL')
    if event.id != id_:
        raise NotHeard(422, "id_differs", "webhook-id and the event's id are the same")
    return event
