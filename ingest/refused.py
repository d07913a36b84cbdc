"""What is left of a message that was refused before parsing: the body of a REFUSED record."""

import base64
import hashlib
import json

from ingest.mqtt_packets import Oversized, Publish
from ingest.mqtt_wire import HEAD_BYTES
from ingest.refusal import Reason

NOT_AUTHORISED = "not_authorised"
"""The code of a message on a topic that its sender has no right to."""


def too_large(message: Oversized) -> bytes:
    """The body for a message over its limit."""
    return _body(Reason.TOO_LARGE, message.length, message.sha256, message.head)


def not_authorised(message: Publish | Oversized) -> bytes:
    """The body for a message on a topic that its sender has no right to."""
    if isinstance(message, Oversized):
        return _body(NOT_AUTHORISED, message.length, message.sha256, message.head)
    body = message.body
    return _body(NOT_AUTHORISED, len(body), hashlib.sha256(body).hexdigest(), body[:HEAD_BYTES])


def oversized(message: Publish) -> Oversized:
    """A message that had to be taken whole before its size could be judged, as if it had been read past."""
    topic, body, packet, flags = message
    return Oversized(topic, packet, flags, len(body), hashlib.sha256(body).hexdigest(), body[:HEAD_BYTES])


def _body(reason: str, length: int, sha256: str, head: bytes) -> bytes:
    text = {"reason": reason, "length": length, "sha256": sha256, "head": base64.b64encode(head).decode()}
    return json.dumps(text).encode()
