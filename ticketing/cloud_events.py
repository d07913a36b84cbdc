"""A message as a CloudEvent in structured JSON: what systems get, whatever way it takes to them.

`id` is the idempotency key, the same however often it is sent; `traceparent` (W3C Trace Context, the extension
"Distributed Tracing") and `andontrace` join it to the sensor's message that it began with.
Source: CloudEvents 1.0.2; W3C Trace Context, 3.2.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote

from andon.events import Json, rfc3339
from andon.ports import Message
from ticketing.sql import to_json
from ticketing.topics import OF_KIND

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_IS_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def cloud_event(message: Message) -> Mapping[str, Json]:
    """The event of a message; KeyError if its kind is not in the catalogue."""
    topic = OF_KIND[message.kind]
    return {
        "specversion": "1.0",
        "id": message.key,
        "source": f"urn:andon:{quote(str(message.content.get('plant', '')) or 'andon', safe='')}",
        "type": topic.name,
        "subject": message.ticket,
        "time": rfc3339(message.at_ns),
        "datacontenttype": "application/json",
        "dataschema": f"/api/v1/topics/{topic.name}",
        "traceparent": traceparent(message.trace_id, message.key),
        "andontrace": message.trace_id,
        "data": message.content,
    }


def as_json(message: Message) -> bytes:
    """The event as canonical JSON: the same bytes each time, so that a signature can be checked again."""
    return to_json(cloud_event(message)).encode()


def traceparent(trace_id: str, span: str) -> str:
    """The trace of the sensor's message, this message as a span of it.

    >>> traceparent("floor:1041", "A-7/opened/1/erp/")
    '00-d4c77b428fd9370386e8aa87bfbcfcf6-b5a88a113d10008d-01'
    """
    trace = trace_id if _IS_TRACE.fullmatch(trace_id) else hashlib.sha256(trace_id.encode()).hexdigest()[:32]
    return f"00-{trace}-{hashlib.sha256(span.encode()).hexdigest()[:16]}-01"
