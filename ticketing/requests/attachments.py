"""Files that come with a request (rule 11): photos written anew, videos and recordings as they are, under their hash.

A file belongs to its report. A report lies on a ticket by what it said; when tickets are merged or taken apart it moves
with its words, and its files with it: nothing is copied, and nothing is lost on the way.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, RowMapping, Select, func, select

from andon.durable import sync
from andon.events import HOUR_NS
from andon.rules.requests import Requests
from ticketing import photos
from ticketing.book import Book
from ticketing.errors import AttachmentRefused
from ticketing.reports import fate
from ticketing.requests.containers import media_type
from ticketing.requests.tables import attachment
from ticketing.stepping import lock
from ticketing.tables import occurrence

MIB = 1024**2
_PIECE = 1 * MIB


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is on the disk under its hash, and belongs to nothing yet."""

    sha256: str
    mime: str
    size: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a report: who sent it, and when."""

    report: int
    sha256: str
    mime: str
    size: int
    by: str
    at_ns: int

    @property
    def is_photo(self) -> bool:
        """Whether it can be shown as a picture."""
        return self.mime == photos.MIME


@dataclass(slots=True)
class Beside:
    """Files that come with a report: given as `then` to `reports.receive`. Too many of them never cost the report."""

    kept: Sequence[Kept]
    by: str
    rules: Requests
    refused: AttachmentRefused | None = None

    def add(self, book: Book, report: int) -> None:
        """Let them belong to the report, in its transaction; `refused` says why, if they are not taken."""
        try:
            add(book, report, self.kept, by=self.by, at_ns=book.now_ns, rules=self.rules)
        except AttachmentRefused as error:
            self.refused = error


def keep(file: BinaryIO, folder: Path, rules: Requests) -> Kept:
    """Keep a photo, video or recording in the folder, fsynced; AttachmentRefused or PhotoRefused if it is none.

    Bytes that begin like a photo are decoded by the process of `ticketing.photos` and written anew; all others have to
    be whole containers, and are written as they came.
    """
    size = file.seek(0, 2)
    if size == 0:
        raise AttachmentRefused("attachment_empty", "the file holds no bytes")
    mime = media_type(file)
    file.seek(0)
    if mime is None:
        picture = photos.picture_of(_photo(file))
        photos.keep(picture, folder)
        return Kept(picture.sha256, photos.MIME, len(picture.body))
    if size > rules.video_mb * MIB:
        raise AttachmentRefused("attachment_too_large", f"a video has at most {rules.video_mb} MiB")
    return Kept(_write(file, folder), mime, size)


def _photo(file: BinaryIO) -> bytes:
    """The bytes of what may be a photo; AttachmentRefused if they begin like none that is kept."""
    head = file.read(12)
    if not (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    ):
        raise AttachmentRefused(
            "attachment_unknown",
            "neither a photo (JPEG, PNG, WebP) nor a whole video (MP4, MOV, WebM) or recording (M4A, AMR)",
        )
    return head + file.read(photos.MAX_BYTES - len(head) + 1)


def _write(file: BinaryIO, folder: Path) -> str:
    """Copy the file into the folder under its hash, piece by piece; gives the hash."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = sha256()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as beside:
        try:
            while piece := file.read(_PIECE):
                digest.update(piece)
                beside.write(piece)
            beside.flush()
            os.fsync(beside.fileno())
            Path(beside.name).replace(folder / digest.hexdigest())
        except BaseException:
            Path(beside.name).unlink(missing_ok=True)
            raise
    sync(folder)
    return digest.hexdigest()


def add(book: Book, report: int, kept: Sequence[Kept], *, by: str, at_ns: int, rules: Requests) -> None:
    """Let these files belong to the report; AttachmentRefused if they are too many. The same again changes nothing."""
    there = {one.sha256 for one in of_report(book.conn, report)}
    new = {one.sha256: one for one in kept if one.sha256 not in there}
    if len(there) + len(new) > rules.files:
        raise AttachmentRefused("attachments_too_many", f"a report has at most {rules.files} files")
    sent = sum(one.size for one in new.values())
    if new and sent + _sent_lately(book.conn, by, at_ns) > rules.a_day_mb * MIB:
        raise AttachmentRefused(
            "attachment_quota", f"{by} has sent {rules.a_day_mb} MiB of files within 24 hours"
        )
    for one in new.values():
        row = {"report": report, "sha256": one.sha256, "mime": one.mime, "size": one.size}
        book.add(attachment, row | {"by": by, "at_ns": at_ns})


def add_later(
    book: Book, report: int, kept: Sequence[Kept], *, by: str, at_ns: int, rules: Requests, channel: str
) -> None:
    """The same for a report that may lie on a ticket by now, whose audit then says that files have come."""
    number = ticket_of(book.conn, report)
    if number is not None:
        lock(book.conn, number)
    before = {one.sha256 for one in of_report(book.conn, report)}
    add(book, report, kept, by=by, at_ns=at_ns, rules=rules)
    new = [one.sha256 for one in kept if one.sha256 not in before]
    if new and number is not None:
        book.record(book.ticket(number), action="attachment", actor=by, channel=channel, evidence=new)


def of_report(conn: Connection, report: int) -> Sequence[Attachment]:
    """The files of a report, in the order in which they came."""
    return _found(conn, select(attachment).where(attachment.c.report == report))


def counts(conn: Connection, some: Sequence[int]) -> Mapping[int, int]:
    """How many files each of these reports has; one that has none is left out."""
    wanted = select(attachment.c.report, func.count()).where(attachment.c.report.in_(list(some)))
    return {row[0]: row[1] for row in conn.execute(wanted.group_by(attachment.c.report))}


def of_ticket(conn: Connection, ticket: int) -> Sequence[Attachment]:
    """The files of all reports that lie on a ticket, wherever they were reported first."""
    wanted = select(attachment).join(fate, fate.c.report == attachment.c.report)
    wanted = wanted.join(occurrence, occurrence.c.finding == fate.c.finding)
    return _found(conn, wanted.where(occurrence.c.ticket == ticket))


def ticket_of(conn: Connection, report: int) -> int | None:
    """The ticket that a report lies on now; None while it is on none."""
    wanted = select(occurrence.c.ticket).join(fate, fate.c.finding == occurrence.c.finding)
    return conn.execute(wanted.where(fate.c.report == report)).scalar_one_or_none()


def _sent_lately(conn: Connection, by: str, at_ns: int) -> int:
    mine = attachment.c.by == by, attachment.c.at_ns > at_ns - 24 * HOUR_NS
    return int(conn.execute(select(func.coalesce(func.sum(attachment.c.size), 0)).where(*mine)).scalar_one())


def _found(conn: Connection, wanted: Select[tuple[object, ...]]) -> Sequence[Attachment]:
    ordered = wanted.order_by(attachment.c.at_ns, attachment.c.report, attachment.c.sha256)
    return [_attachment(row) for row in conn.execute(ordered).mappings()]


def _attachment(row: RowMapping) -> Attachment:
    return Attachment(**row)
