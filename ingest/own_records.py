"""The records that a source writes in its own words: what it refused, what it knows to be missing, what a person has to know."""

import base64
import hashlib
import json

from andon.ports import Record, RecordKind
from ingest.mqtt_packets import Oversized, Publish
from ingest.mqtt_wire import HEAD_BYTES
from ingest.refusal import Reason

NOT_AUTHORISED = "not_authorised"
"""The code of a message on a topic that its sender has no right to."""


def too_large(message: Oversized) -> bytes:
    """The body of a REFUSED record for a message over its limit."""
    return _refused(Reason.TOO_LARGE, message.length, message.sha256, message.head)


def not_authorised(message: Publish | Oversized) -> bytes:
    """The body of a REFUSED record for a message on a topic that its sender has no right to."""
    found = message if isinstance(message, Oversized) else oversized(message)
    return _refused(NOT_AUTHORISED, found.length, found.sha256, found.head)


def oversized(message: Publish) -> Oversized:
    """A message that had to be taken whole before it could be judged, as if it had been read past."""
    topic, body, packet, flags = message
    return Oversized(topic, packet, flags, len(body), hashlib.sha256(body).hexdigest(), body[:HEAD_BYTES])


def missing(from_ns: int, to_ns: int, cause: str, count: int = 0) -> Record:
    """A GAP record: of all assets of this source, between these times, `count` messages that had arrived."""
    gap = {
        "asset": None,
        "point": None,
        "from_ns": from_ns,
        "to_ns": to_ns,
        "cause": cause,
        "backfilled": False,
        "count": count,
    }
    return Record(RecordKind.GAP, to_ns, b"", json.dumps(gap).encode())


def notice(code: str, subject: str, at_ns: int, *, active: bool, severity: int, detail: str) -> Record:
    """A NOTICE record: something about our own line that a person has to know, or that it is over.

    `severity` 1..1000; from 900 on the ticket that it opens is of critical priority.
    """
    said = {"code": code, "subject": subject, "active": active, "severity": severity, "detail": detail}
    return Record(RecordKind.NOTICE, at_ns, b"", json.dumps(said).encode())


def _refused(reason: str, length: int, sha256: str, head: bytes) -> bytes:
    text = {"reason": reason, "length": length, "sha256": sha256, "head": base64.b64encode(head).decode()}
    return json.dumps(text).encode()
