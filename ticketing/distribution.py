"""Reports on their way to people by e-mail: each to each once, tried again while the server is away, and on record.

A schedule that is new sends from its next time on; what came due while nobody ran goes out once, the latest alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Integer, String, Table, Text, select, update

from andon.plant import Plant
from andon.rules.reports import ReportSchedule
from ticketing.outbox import DEFAULT_RETRY
from ticketing.sql import Row, metadata, upsert

report_mail = Table(
    "report_mail",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("due_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_ns", BigInteger, nullable=False),
    Column("said", Text, nullable=False, server_default=""),
)
"""`person` is empty in the row that says that a channel knows a schedule since that moment."""
SEEN, PENDING, SENT, DEAD = "seen", "pending", "sent", "dead"


@dataclass(frozen=True, slots=True)
class Mail:
    """One report to one person through one channel."""

    schedule: str
    due_ns: int
    channel: str
    person: str
    state: str
    attempts: int
    next_ns: int
    said: str

    @property
    def key(self) -> str:
        """The same however often it is tried."""
        return f"report/{self.schedule}/{self.due_ns}/{self.person}"


def expected(
    conn: Connection, plant: Plant, channels: Mapping[str, Iterable[str]], now_ns: int
) -> Sequence[Row]:
    """What has come due and is not put down yet; `channels` are those of e-mail, each with whom it has an address of."""
    rows: list[Row] = []
    for schedule in plant.reports:
        due_ns = schedule.due_before(now_ns, plant.time_zone)
        for channel, reached in channels.items():
            known_ns = _known_ns(conn, schedule.id, channel)
            one: Row = {"schedule": schedule.id, "channel": channel}
            if known_ns is None:
                rows.append({**one, "person": "", "due_ns": now_ns, "state": SEEN, "next_ns": now_ns})
            elif due_ns > known_ns:
                to = set(recipients(schedule, plant)) & set(reached)
                due: Row = {"due_ns": due_ns, "state": PENDING, "next_ns": due_ns}
                rows += [{**one, **due, "person": person} for person in sorted(to)]
    return rows


def put_down(conn: Connection, rows: Sequence[Row]) -> None:
    """Have these sent, each once."""
    upsert(conn, report_mail, rows)


def recipients(schedule: ReportSchedule, plant: Plant) -> Sequence[str]:
    """The ids of those it goes to: named themselves, or by their role."""
    return [one.id for one in plant.people if one.id in schedule.to or one.role in schedule.to]


def waiting(conn: Connection, now_ns: int) -> Sequence[Mail]:
    """What is to be sent now, the oldest first."""
    c = report_mail.c
    wanted = select(report_mail).where(c.state == PENDING, c.next_ns <= now_ns)
    return [Mail(**row) for row in conn.execute(wanted.order_by(c.due_ns, c.person)).mappings()]


def lately(conn: Connection, limit: int = 20) -> Sequence[Mail]:
    """What was sent, waits or was given up, the newest first."""
    c = report_mail.c
    wanted = select(report_mail).where(c.state != SEEN).order_by(c.due_ns.desc(), c.schedule, c.person)
    return [Mail(**row) for row in conn.execute(wanted.limit(limit)).mappings()]


def sent(conn: Connection, mail: Mail, answer: str) -> None:
    """The server has it."""
    _note(conn, mail, state=SENT, attempts=mail.attempts + 1, said=answer)


def failed(conn: Connection, mail: Mail, why: str, now_ns: int, *, permanent: bool) -> None:
    """It did not go out: tried again later, or given up after so many tries or where trying is no use."""
    attempts = mail.attempts + 1
    gives_up = permanent or attempts >= DEFAULT_RETRY.tries
    next_ns = now_ns + DEFAULT_RETRY.wait_ns(attempts, mail.key)
    _note(conn, mail, state=DEAD if gives_up else PENDING, attempts=attempts, said=why, next_ns=next_ns)


def _known_ns(conn: Connection, schedule: str, channel: str) -> int | None:
    """Since when that channel knows of it, or the last moment that it was sent for."""
    c = report_mail.c
    wanted = select(c.due_ns).where(c.schedule == schedule, c.channel == channel)
    return conn.execute(wanted.order_by(c.due_ns.desc()).limit(1)).scalar()


def _note(conn: Connection, mail: Mail, **values: object) -> None:
    c = report_mail.c
    one = (c.schedule == mail.schedule, c.due_ns == mail.due_ns, c.channel == mail.channel)
    conn.execute(update(report_mail).where(*one, c.person == mail.person).values(**values))
