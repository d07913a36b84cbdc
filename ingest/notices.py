"""What a source says of itself that a person has to know: once while it holds, and taken back once it is over.

A notice stands until it is taken back, and a source may die in between. So it is written down beside the journal
that it was once said; a later run that finds all well takes it back again, which changes nothing if it was over.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from andon.clock import Now
from andon.ports import Record
from ingest.own_records import notice

FILE = "notices.json"
REFUSED_CONFIGURATION = "configuration_refused"


class Notices:
    """The notices of one source, kept in its `folder`; `put` takes the records, `subject` is the source."""

    def __init__(self, folder: Path, now: Now, put: Callable[[Record], None]) -> None:
        self._path = folder / FILE
        self._subject = folder.name
        self._now = now
        self._put = put
        self._standing: dict[str, tuple[int, str]] = {}
        try:
            self._unsure: set[str] = set(json.loads(self._path.read_text()))
        except (OSError, ValueError):
            self._unsure = set()
        self._ever = set(self._unsure)

    def say(self, code: str, severity: int, detail: str) -> None:
        """It holds; said again only if it is more or less severe, or the detail is another."""
        if self._standing.get(code) == (severity, detail):
            return
        if code not in self._standing:
            self._remember(code)
        self._standing[code] = severity, detail
        self._put(notice(code, self._subject, self._now(), active=True, severity=severity, detail=detail))

    def over(self, code: str) -> None:
        """It does not hold, or no longer."""
        if code not in self._standing and code not in self._unsure:
            return
        self._standing.pop(code, None)
        self._unsure.discard(code)
        self._put(notice(code, self._subject, self._now(), active=False, severity=1, detail=""))

    def _remember(self, code: str) -> None:
        """Codes stay in the file: whether the end of one has reached the disk is not known here."""
        self._ever.add(code)
        partial = self._path.with_suffix(".partial")
        with contextlib.suppress(OSError):  # a full disk may be what there is to say
            partial.write_text(json.dumps(sorted(self._ever)))
            partial.rename(self._path)
