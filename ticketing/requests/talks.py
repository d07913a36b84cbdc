"""Talks with requesters (rule 5): each message once, what was said so far kept, a report as soon as it can be one.

The message, the talk, its files and its report are stored in one transaction: whoever delivers a message again because
no answer came finds it done, and is told the same.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec
from sqlalchemy import Connection, RowMapping, func, select, update

from andon.events import HOUR_NS, Json
from andon.plant import Plant
from ticketing import reports
from ticketing.book import Book
from ticketing.errors import AttachmentRefused
from ticketing.requests import attachments
from ticketing.requests.attachments import Beside, Kept
from ticketing.requests.tables import fetching, message, talk
from ticketing.requests.talking import Decided, Draft, Outcome, Said, decide, language_of, same_event
from ticketing.service import Tickets
from ticketing.sql import Row, to_json, upsert

AN_HOUR = 60
"""Messages of one person that are heard within an hour."""
_DRAFT = msgspec.json.Decoder(Draft)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came: its sender's own id for it, what was said, files that are here and files to be fetched."""

    id: str
    said: Said
    kind: str
    at_ns: int
    kept: Sequence[Kept] = ()
    sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: in which language, about which report and ticket. `again`: it was answered before."""

    outcome: Outcome
    language: str
    report: int | None = None
    ticket: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk as it stands; without a report it waits for its person to answer."""

    channel: str
    peer: str
    draft: Draft
    language: str
    began_ns: int
    heard_ns: int
    report: int | None


def hear(
    tickets: Tickets, came: Incoming, plant: Plant, *, default_language: str = "zh", most: int = AN_HOUR
) -> Answer:
    """Take a message in and say what to answer; the same message again is the same answer. More than `most` an hour are not heard."""
    said, now_ns = came.said, came.at_ns
    with tickets.transaction(now_ns) as book:
        _lock(book.conn, said)
        if (before := _answered(book.conn, came)) is not None:
            return before
        if _heard_lately(book.conn, said, now_ns) >= most:
            return Answer(Outcome.REFUSED, default_language)
        known = _talk(book.conn, said)
        language = language_of(said.words, known.language or default_language)
        is_new = known.report is not None and now_ns - known.heard_ns >= plant.dedup.window_ns
        if not said.words.strip() and known.report is not None and not is_new:
            answer = Answer(Outcome.ADDED, language, known.report)
            _put(book, came, known, known.draft, answer)
        else:
            decided = decide(_before(known, is_new=is_new), said, plant)
            number = _stored(book, came, decided, plant) if decided.outcome is Outcome.TAKEN else None
            answer = Answer(decided.outcome, language, number)
            _put(book, came, known, decided.draft, answer)
    return _taken(tickets, answer, plant, now_ns)


def note(tickets: Tickets, came: Incoming, outcome: Outcome, language: str = "zh") -> Answer:
    """Put on record a message that is no request: a greeting, an event, or one that is refused with its reason in `kind`."""
    with tickets.transaction(came.at_ns) as book:
        before = _answered(book.conn, came)
        if before is None:
            book.add(message, _message_row(came, outcome, language, None))
    return before or Answer(outcome, language)


def _before(known: Talk, *, is_new: bool) -> Draft:
    """What was said before of the event that is spoken of now."""
    if is_new:
        return Draft()
    return known.draft if known.report is None else same_event(known.draft)


def _stored(book: Book, came: Incoming, decided: Decided, plant: Plant) -> int:
    """Store the report with the files that came so far; gives its number. Those to be fetched go to it when they are here."""
    said = came.said
    number = reports.store_in(book, decided.body, actor=said.peer, came_by=said.channel, idempotency=came.id)
    _bind(book, said, number, came.kept, plant)
    return number


def _bind(book: Book, said: Said, number: int, came: Sequence[Kept], plant: Plant) -> None:
    """Let the files of a talk belong to its report: those that are here now, the others once they are fetched."""
    theirs = fetching.c.channel == said.channel, fetching.c.peer == said.peer, fetching.c.report.is_(None)
    here = book.conn.execute(select(fetching).where(*theirs, fetching.c.state == "kept")).all()
    kept = [*came, *(Kept(one.sha256, one.mime, one.size) for one in here)]
    Beside(kept, said.peer, plant.requests).add(book, number)
    book.conn.execute(update(fetching).where(*theirs).values(report=number))


def _attach(book: Book, came: Incoming, report: int, plant: Plant) -> None:
    """Let the files of a message go with a report that is there; too many of them are left out."""
    with contextlib.suppress(AttachmentRefused):
        attachments.add_later(
            book,
            report,
            came.kept,
            by=came.said.peer,
            at_ns=book.now_ns,
            rules=plant.requests,
            channel=came.said.channel,
        )


def _put(book: Book, came: Incoming, known: Talk, draft: Draft, answer: Answer) -> None:
    """The message, the talk after it, and the files that it brought."""
    said = came.said
    book.add(message, _message_row(came, answer.outcome, answer.language, answer.report))
    row = {
        "channel": said.channel,
        "peer": said.peer,
        "draft": to_json(asdict(draft)),
        "language": answer.language,
        "began_ns": came.at_ns if known.report is not None or not known.began_ns else known.began_ns,
        "heard_ns": came.at_ns,
        "report": answer.report,
    }
    upsert(book.conn, talk, [row], ("draft", "language", "began_ns", "heard_ns", "report"))
    for source in came.sources:
        book.add(fetching, _file_row(came, answer.report, source=source, state="pending"))
    if answer.report is None or answer.outcome is Outcome.ADDED:
        for one in came.kept:
            kept = {"state": "kept", "sha256": one.sha256, "mime": one.mime, "size": one.size}
            book.add(fetching, _file_row(came, answer.report, **kept))


def _taken(tickets: Tickets, answer: Answer, plant: Plant, now_ns: int) -> Answer:
    """Have the report decided about, in a transaction of its own: it is stored whatever comes of that."""
    if answer.report is None:
        return answer
    if answer.outcome is Outcome.TAKEN:
        reports.take(tickets, answer.report, plant, now_ns)
    with tickets.looking() as conn:
        ticket = attachments.ticket_of(conn, answer.report)
    return Answer(answer.outcome, answer.language, answer.report, ticket)


def talks(conn: Connection, limit: int = 200) -> Sequence[Talk]:
    """The talks that wait for their person to answer, the oldest first: what is not yet a report is not lost either."""
    waiting = select(talk).where(talk.c.report.is_(None), talk.c.heard_ns > 0).order_by(talk.c.began_ns)
    return [_of(row) for row in conn.execute(waiting.limit(limit)).mappings()]


def messages(conn: Connection, limit: int = 200) -> Sequence[RowMapping]:
    """The newest messages that came, each with what became of it."""
    return conn.execute(select(message).order_by(message.c.at_ns.desc()).limit(limit)).mappings().all()


def settle(book: Book, channel: str, peer: str, report: int, plant: Plant) -> None:
    """A person of ours has made the report of a talk that waited: its files go along, and it waits no more."""
    mine = (talk.c.channel == channel, talk.c.peer == peer, talk.c.report.is_(None))
    if book.conn.execute(update(talk).where(*mine).values(report=report, heard_ns=book.now_ns)).rowcount:
        _bind(book, Said(channel, peer), report, (), plant)


def _lock(conn: Connection, said: Said) -> None:
    """Take the talk's row, so that two messages of one person come one after the other."""
    row = {"channel": said.channel, "peer": said.peer, "draft": "{}", "language": "", "began_ns": 0}
    upsert(conn, talk, [row | {"heard_ns": 0, "report": None}])
    mine = talk.c.channel == said.channel, talk.c.peer == said.peer
    conn.execute(update(talk).where(*mine).values(peer=said.peer))


def _talk(conn: Connection, said: Said) -> Talk:
    mine = talk.c.channel == said.channel, talk.c.peer == said.peer
    return _of(conn.execute(select(talk).where(*mine)).mappings().one())


def _of(row: RowMapping) -> Talk:
    return Talk(**{**row, "draft": _DRAFT.decode(row["draft"])})


def _answered(conn: Connection, came: Incoming) -> Answer | None:
    """What was answered to that message before."""
    is_it = message.c.channel == came.said.channel, message.c.id == came.id
    row = conn.execute(select(message).where(*is_it)).mappings().first()
    if row is None:
        return None
    ticket = attachments.ticket_of(conn, row["report"]) if row["report"] is not None else None
    return Answer(Outcome(row["outcome"]), row["answer"], row["report"], ticket, again=True)


def _heard_lately(conn: Connection, said: Said, now_ns: int) -> int:
    mine = message.c.channel == said.channel, message.c.peer == said.peer, message.c.at_ns > now_ns - HOUR_NS
    return int(conn.execute(select(func.count()).select_from(message).where(*mine)).scalar_one())


def _message_row(came: Incoming, outcome: Outcome, language: str, report: int | None) -> Row:
    return {
        "channel": came.said.channel,
        "id": came.id,
        "peer": came.said.peer,
        "at_ns": came.at_ns,
        "kind": came.kind[:24],
        "words": came.said.words,
        "outcome": str(outcome),
        "answer": language,
        "report": report,
    }


def _file_row(came: Incoming, report: int | None, **what: Json) -> Row:
    row = {"channel": came.said.channel, "peer": came.said.peer, "message": came.id, "source": ""}
    times = {"attempts": 0, "try_ns": came.at_ns, "error": "", "at_ns": came.at_ns, "report": report}
    return row | times | {"sha256": None, "mime": None, "size": None} | what
