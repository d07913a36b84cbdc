"""A refused message on its way back into the stream: a REDRIVE record that holds the original whole.

It stands in the engine's own journal, so that a restart repeats it like everything else, even after the original
record was dropped. The message keeps its source, its position and its time of receipt. Whether its identity was
taken when it was refused is told with it: then it passes, because nothing of that identity was ever stored.
"""

import json
import struct
from dataclasses import dataclass

from andon.ports import DeadLetter, Record, RecordKind

REDRIVEN = 0x80
"""The flag of a record that is decoded anew."""
IDENTIFIED = 0x40
"""The flag of a re-driven record whose identity was taken when it was refused."""
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Redriven:
    """A message to decode anew, as `record` at `position` of `source`; it was counted as refused for `reason`."""

    source: str
    position: int
    reason: str
    record: Record


def wrap(letter: DeadLetter, original: Record, now_ns: int) -> Record:
    """The REDRIVE record for a dead letter and the record that it was made of."""
    head = json.dumps(
        {
            "source": letter.source,
            "position": letter.position,
            "reason": letter.reason,
            "identified": letter.identified,
            "received_ns": original.received_ns,
        }
    ).encode()
    return original._replace(
        kind=RecordKind.REDRIVE,
        received_ns=now_ns,
        body=_LENGTH.pack(len(head)) + head + original.body,
    )


def unwrap(record: Record) -> Redriven | None:
    """What a REDRIVE record holds; None if `wrap` did not write it."""
    try:
        (length,) = _LENGTH.unpack_from(record.body)
        end = _LENGTH.size + length
        head = json.loads(record.body[_LENGTH.size : end])
        original = record._replace(
            kind=RecordKind.MESSAGE,
            received_ns=head["received_ns"],
            body=record.body[end:],
            flags=record.flags | REDRIVEN | (IDENTIFIED if head["identified"] else 0),
        )
        return Redriven(head["source"], head["position"], head["reason"], original)
    except (struct.error, ValueError, KeyError, TypeError):
        return None
