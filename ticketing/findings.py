"""One finding as it was folded: by its id, by the beginning of it, or by the ticket that it leads."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from ticketing import tables as t
from ticketing.rows import occurrence_of, ticket_of
from ticketing.ticket import Occurrence

_NEAR = 2000  # newest findings among which what was probably meant is looked for
_MOST = 200


def finding(conn: Connection, finding_id: str) -> Occurrence | None:
    """The finding of that id; None if there is none."""
    row = conn.execute(select(t.occurrence).where(t.occurrence.c.finding == finding_id)).mappings().first()
    return None if row is None else occurrence_of(row)


def beginning(conn: Connection, start: str) -> tuple[Occurrence, ...]:
    """The episodes whose ids begin so, each by its newest word that shows something; the newest first."""
    c = t.occurrence.c
    wanted = select(t.occurrence).where(c.finding.startswith(start, autoescape=True))
    rows = conn.execute(wanted.order_by(c.has_evidence.desc(), c.at_ns.desc(), c.finding).limit(_MOST))
    episodes: dict[str, Occurrence] = {}
    for one in map(occurrence_of, rows.mappings()):
        episodes.setdefault(episode_of(one.finding), one)
    return tuple(sorted(episodes.values(), key=lambda one: -one.at_ns))


def episode_of(finding_id: str) -> str:
    """What the words about one condition have in common (see `detectors.episode`).

    >>> episode_of("8f03c1-2-update")
    '8f03c1'
    """
    return finding_id.rsplit("-", 2)[0]


def episode(conn: Connection, finding_id: str) -> tuple[Occurrence, ...]:
    """Every word about the same condition, oldest first."""
    c = t.occurrence.c
    wanted = select(t.occurrence).where(c.finding.startswith(f"{episode_of(finding_id)}-", autoescape=True))
    rows = conn.execute(wanted.order_by(c.at_ns, c.recorded_ns, c.finding).limit(_MOST))
    return tuple(occurrence_of(row) for row in rows.mappings())


def leading(conn: Connection, ticket: str) -> Occurrence | None:
    """The finding at the head of the ticket of that number; None if there is no such ticket."""
    row = conn.execute(select(t.ticket).where(t.ticket.c.number == ticket.upper())).mappings().first()
    return None if row is None else finding(conn, ticket_of(row).headline.finding)


def near(conn: Connection, given: str) -> Sequence[str]:
    """Ids and ticket numbers that look like what was given, among the newest."""
    newest = select(t.occurrence.c.finding).order_by(t.occurrence.c.at_ns.desc()).limit(_NEAR)
    ids = list(dict.fromkeys(map(episode_of, conn.execute(newest).scalars())))
    numbers = list(
        conn.execute(select(t.ticket.c.number).order_by(t.ticket.c.id.desc()).limit(_NEAR)).scalars()
    )
    alike: list[str] = difflib.get_close_matches(given.upper(), numbers, n=3, cutoff=0.5)
    alike += [one for one in ids if one.startswith(given[:4])][:3] if len(given) >= 4 else []
    return alike


@dataclass(frozen=True, slots=True)
class Standing:
    """A condition of a machine from the word that raised it to its end, which is None while it stands."""

    first: Occurrence
    clear_ns: int | None


def standing(conn: Connection, asset: str, from_ns: int, to_ns: int, limit: int) -> list[Standing]:
    """What was raised on a machine and stood at any time from `from_ns` to `to_ns`, the newest `limit`, oldest first."""
    raised = t.activation.c
    stood = or_(raised.clear_ns.is_(None), raised.clear_ns >= from_ns)
    wanted = (
        select(raised.finding, raised.clear_ns)
        .where(raised.asset == asset, raised.at_ns <= to_ns, stood)
        .order_by(raised.at_ns.desc(), raised.finding)
        .limit(limit)
    )
    ends = {row.finding: row.clear_ns for row in conn.execute(wanted)}
    words = select(t.occurrence).where(t.occurrence.c.finding.in_(list(ends)))
    found = [Standing(one, ends[one.finding]) for one in map(occurrence_of, conn.execute(words).mappings())]
    return sorted(found, key=lambda one: (one.first.at_ns, one.first.finding))
