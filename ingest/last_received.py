"""When a source last took something, as its journal has it: after a restart that is not unknown."""

import contextlib

from andon.ports import CorruptRecord, Journal, RecordKind
from ingest.errors import JournalError

_LOOK_BACK = 100


def last_received_ns(journal: Journal, *, of_any_kind: bool = False) -> int | None:
    """When the last message came (`of_any_kind`: or a record of the source's own), None if that is not known.

    Looks at the last hundred positions; what cannot be read there is passed over.
    """
    for position in range(journal.end() - 1, max(-1, journal.end() - 1 - _LOOK_BACK), -1):
        with contextlib.suppress(JournalError, CorruptRecord):
            for record in journal.read(position, 1):
                if of_any_kind or record.kind in {RecordKind.MESSAGE, RecordKind.REFUSED}:
                    return record.received_ns
    return None
