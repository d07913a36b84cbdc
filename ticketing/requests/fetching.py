"""Files that a message only names are fetched after it was answered, tried again for hours, and then given up aloud."""

import logging
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from sqlalchemy import RowMapping, select, update

from andon.events import SECOND_NS
from andon.plant import Plant
from andon.ports import NotifyError
from ticketing.errors import AttachmentRefused, PhotoRefused
from ticketing.requests import attachments
from ticketing.requests.attachments import Kept
from ticketing.requests.tables import fetching
from ticketing.service import Tickets

ATTEMPTS = 8
_FIRST_NS, _LONGEST_NS = 5 * SECOND_NS, 3600 * SECOND_NS
AT_ONCE = 20
Download = Callable[[str], bytes]
"""The bytes of what a message named; NotifyError if they cannot be had."""
log = logging.getLogger(__name__)


def fetch(
    tickets: Tickets, folder: Path, plant: Plant, *, channel: str, download: Download, now_ns: int
) -> int:
    """Fetch what is due of that channel; gives how many files were tried."""
    due = (fetching.c.channel == channel, fetching.c.state == "pending", fetching.c.try_ns <= now_ns)
    with tickets.looking() as conn:
        wanted = select(fetching).where(*due).order_by(fetching.c.try_ns, fetching.c.id).limit(AT_ONCE)
        rows = conn.execute(wanted).mappings().all()
    for row in rows:
        try:
            kept = attachments.keep(BytesIO(download(row["source"])), folder, plant.requests)
            _here(tickets, row, kept, plant, now_ns)
        except (AttachmentRefused, PhotoRefused) as error:
            _failed(tickets, row, error.code, now_ns, for_good=error.code != "photo_busy")
        except NotifyError as error:
            _failed(tickets, row, str(error), now_ns, for_good=error.permanent)
    return len(rows)


def _here(tickets: Tickets, row: RowMapping, kept: Kept, plant: Plant, now_ns: int) -> None:
    """The file is here: it goes to its report, or waits for there to be one."""
    with tickets.transaction(now_ns) as book:
        is_it = fetching.c.id == row["id"]
        values = {"state": "kept", "sha256": kept.sha256, "mime": kept.mime, "size": kept.size}
        book.conn.execute(update(fetching).where(is_it).values(**values))
        report = book.conn.execute(select(fetching.c.report).where(is_it)).scalar_one()
        if report is not None:  # it may have come about meanwhile
            attachments.add_later(
                book,
                report,
                [kept],
                by=row["peer"],
                at_ns=now_ns,
                rules=plant.requests,
                channel=row["channel"],
            )


def _failed(tickets: Tickets, row: RowMapping, error: str, now_ns: int, *, for_good: bool) -> None:
    attempts = row["attempts"] + 1
    given_up = for_good or attempts >= ATTEMPTS
    if given_up:
        log.warning(
            "a file of a request cannot be had: ask its sender for it again",
            extra={"channel": row["channel"], "of_message": row["message"], "error": error},
        )
    wait_ns = min(_FIRST_NS * 4 ** (attempts - 1), _LONGEST_NS)
    values = {"attempts": attempts, "error": error[:500], "try_ns": now_ns + wait_ns}
    state = "failed" if given_up else "pending"
    with tickets.transaction(now_ns) as book:
        book.conn.execute(update(fetching).where(fetching.c.id == row["id"]).values(state=state, **values))
