"""What can go wrong between a wire and the journal, as one tree.

    IngestError
    ├── JournalError
    │   ├── JournalLocked    another process writes this folder
    │   ├── JournalFull      no space left (an OSError too); nothing was written, the same journal works again later
    │   ├── JournalFailed    the disk failed (an OSError too); open the journal anew
    │   ├── RecordDropped    the record was dropped with its file
    │   ├── CorruptRecord    the record is not what was written (the spine's CorruptRecord too)
    │   └── Damaged          SQLite cannot make sense of a journal file any more
    ├── CertificateRefused   the other side's certificate is not accepted, and why
    ├── SegmentGone          a file of the series was merged into another while it was read; ask again
    └── ProtocolError        bytes that are not MQTT, or MQTT that is not spoken here

Every class has a stable `code`.
"""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from andon import ports


class IngestError(Exception):
    """Anything this folder raises on purpose."""

    code: ClassVar[str] = "ingest"


class JournalError(IngestError):
    """The journal cannot do what was asked."""

    code: ClassVar[str] = "journal"


class JournalLocked(JournalError):
    """Another process writes the journal in `folder`."""

    code: ClassVar[str] = "journal_locked"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another process writes the journal in {folder}; stop it first")
        self.folder = folder


class JournalFull(JournalError, OSError):
    """There is no space left for `folder`: nothing was written, and appending works again once there is space."""

    code: ClassVar[str] = "journal_full"

    def __init__(self, folder: Path) -> None:
        super().__init__(errno.ENOSPC, "no space left for the journal", str(folder))
        self.folder = folder


class JournalFailed(JournalError, OSError):
    """The disk under `folder` failed: what was being appended is not durable, and the journal must be opened anew."""

    code: ClassVar[str] = "journal_failed"

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(errno.EIO, f"the journal cannot be written: {detail}", str(folder))
        self.folder = folder


class RecordDropped(JournalError):
    """Records before `first` were dropped whole with their files; `position` is one of them."""

    code: ClassVar[str] = "record_dropped"

    def __init__(self, position: int, first: int) -> None:
        super().__init__(f"record {position} was dropped; the first one kept is {first}")
        self.position = position
        self.first = first


class CorruptRecord(JournalError, ports.CorruptRecord):
    """The record at `position` of the file `path` is not what was written.

    The next one that can be read is `resume`: `position + 1`, or farther where a whole run is lost.
    """

    code: ClassVar[str] = "record_corrupt"

    def __init__(self, path: Path, position: int, resume: int) -> None:
        super().__init__(str(path), position, resume)
        self.path = path


class Damaged(JournalError):
    """SQLite cannot make sense of a journal file any more; the journal leaves it as it is and goes on in a new one."""

    code: ClassVar[str] = "volume_damaged"


class CertificateRefused(IngestError):
    """The other side's certificate is not accepted. `reason`: untrusted, changed, expired, wrong_host and so on."""

    code: ClassVar[str] = "untrusted_certificate"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SegmentGone(IngestError):
    """A file of the series in `folder` is not there any more: it was merged into another while it was read."""

    code: ClassVar[str] = "segment_gone"

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(f"a file of the series in {folder} cannot be read: {detail}")
        self.folder = folder


class ProtocolError(IngestError):
    """Bytes that are not MQTT as spoken here. `reason` is the MQTT 5 reason code.

    `packets` are the whole packets that stood before the fault in the same bytes.
    """

    code: ClassVar[str] = "mqtt_protocol"

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.packets: Sequence[object] = ()
