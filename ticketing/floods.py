"""Floods as tickets: an area's flood is a finding about the area, and the tickets of that time are its children.

So the flood's own ticket is opened, joined, worked on and told of like any other; children keep their own life, and only
the flood tells of them. Nothing that was heard is put away.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Table, Text, select

from andon.events import MINUTE_NS, Action, Family, Finding, Number, Origin
from andon.plant import Plant
from ticketing.book import Book
from ticketing.flood import Area, Raised, begins, ends, hear, rate
from ticketing.rows import ticket_of
from ticketing.sql import Row, metadata, to_json
from ticketing.suppression import area_of
from ticketing.tables import occurrence
from ticketing.tables import ticket as tickets
from ticketing.ticket import UNRESOLVED, Ticket
from ticketing.timers import Timer, set_timer

KIND, CONDITION, DETECTOR = "flood", "alarm_flood", "flood"
LOOK_NS = MINUTE_NS
"""So often it is asked whether a flood is over."""
Fold = Callable[[Book, Sequence[Finding], Plant], None]
_RAISED = msgspec.json.Decoder(dict[str, Raised])

area_alarms = Table(
    "area_alarms",
    metadata,
    Column("area", Text, primary_key=True),
    Column("raised", Text, nullable=False),
    Column("ticket", BigInteger),
    Column("since_ns", BigInteger),
    Column("over_ns", BigInteger),
    Column("told_ns", BigInteger),
)
"""An area's latest alarms, and its last flood; `told_ns` is when its children were told last."""
_SET = ("raised", "ticket", "since_ns", "over_ns", "told_ns")


class Floods:
    """The areas of one transaction; `fold` makes a ticket of what is found about them."""

    def __init__(self, book: Book, plant: Plant, fold: Fold) -> None:
        self._book = book
        self._plant = plant
        self._rule = plant.suppression.flood
        self._fold = fold
        self._areas: dict[str, Area] = {}
        self._changed: set[str] = set()
        self._begun: set[str] = set()

    def heard(self, finding: Finding, path: str, key: str, at_ns: int) -> None:
        """Count an alarm that is told; a flood that it begins gets its ticket."""
        area = area_of(path)
        if (
            not area
            or not self._rule.on
            or finding.action is not Action.RAISE
            or finding.family is Family.REPORT
        ):
            return
        before = self._area(area)
        after = hear(before, key, at_ns, finding.id, self._rule)
        if after is not before:
            self._areas[area] = after
            self._changed.add(area)
            first = begins(after, self._rule)
            if first is not None:
                self._begin(area, after, first[1], finding)

    def parent(self, path: str) -> int | None:
        """The ticket of the flood that goes on in that area."""
        area = area_of(path)
        if not area or not self._rule.on:
            return None
        known = self._area(area)
        return known.ticket if known.floods else None

    def finish(self) -> None:
        """Write what has changed."""
        for area in sorted(self._changed):
            columns = _SET if area in self._begun else _SET[:-1]
            self._book.upsert(area_alarms, _row(area, self._areas[area], self._book.now_ns), columns)

    def _begin(self, area: str, known: Area, first: Raised, latest: Finding) -> None:
        found = finding_of(area, known, self._first(first), latest.origin, self._plant)
        self._fold(self._book, [found], self._plant)
        number = next(row["ticket"] for row in self._book.rows(occurrence) if row["finding"] == found.id)
        self._areas[area] = replace(known, ticket=number, since_ns=first.at_ns, over_ns=None)
        self._begun.add(area)
        if number is not None:
            self._group(area, self._book.ticket(number), first.at_ns)
        timer = Timer(KIND, f"area/{area}", self._book.now_ns + LOOK_NS, cycle=first.at_ns)
        set_timer(self._book, timer)

    def _group(self, area: str, flood: Ticket, since_ns: int) -> None:
        """Lay the area's tickets of that time under the flood's."""
        here = {asset.id for asset in self._plant.assets if area_of(asset.path) == area}
        c = tickets.c
        wanted = select(tickets).where(
            c.asset.in_(here), c.opened_ns >= since_ns, c.state.in_(sorted(UNRESOLVED)), c.parent.is_(None)
        )
        self._book.keep(ticket_of(row) for row in self._book.conn.execute(wanted).mappings())
        for one in self._book.tickets():
            new = one.asset in here and one.opened_ns >= since_ns and one.state in UNRESOLVED
            if new and one.parent is None and one.id != flood.id:
                grouped = replace(one, parent=flood.id)
                self._book.record(grouped, action="grouped", actor="rule/flood", evidence=(flood.number,))

    def _first(self, first: Raised) -> tuple[str, str, str]:
        """Asset, component and condition of the alarm that was first."""
        waiting = (row for row in self._book.rows(occurrence) if row["finding"] == first.finding)
        c = occurrence.c
        stored = select(c.asset, c.component, c.condition).where(c.finding == first.finding)
        row = next(waiting, None) or self._book.conn.execute(stored).mappings().first()
        return (row["asset"], row["component"], row["condition"]) if row else ("", "", "")

    def _area(self, area: str) -> Area:
        if area not in self._areas:
            self._areas[area] = _known(self._book.conn, area)[0]
        return self._areas[area]


def finding_of(
    area: str, known: Area, first: tuple[str, str, str], origin: Origin, plant: Plant, *, over: bool = False
) -> Finding:
    """What is found about an area: that its alarms flood, or do no more."""
    rule = plant.suppression.flood
    since_ns = (
        min(one.at_ns for one in known.raised.values())
        if known.since_ns is None or not over
        else known.since_ns
    )
    at_ns = origin.received_ns if over else max(one.at_ns for one in known.raised.values())
    said = Action.CLEAR if over else Action.RAISE
    return Finding(
        id=f"{sha256(f'{area}|{since_ns}'.encode()).hexdigest()[:24]}-0-{said}",
        asset=area,
        component=CONDITION,
        family=Family.DATA_QUALITY,
        condition=CONDITION,
        action=said,
        at_ns=at_ns,
        onset_ns=since_ns,
        severity=700,
        confidence=1.0,
        numbers=(Number("activations", float(len(known.raised)), "1", float(rule.more_than)),),
        evidence={},
        detector=DETECTOR,
        version="1",
        parameters_hash="",
        origin=origin,
        text=dict(zip(("first_asset", "first_component", "first_condition"), first, strict=True)),
    )


def is_over(fold: Fold) -> Callable[[Book, Plant, Timer], None]:
    """The handler of a flood's timer: it is over or goes on, and tells of the children that are new."""

    def look(book: Book, plant: Plant, timer: Timer) -> None:
        area = timer.subject.partition("/")[2]
        known, told_ns = _known(book.conn, area)
        if not known.floods or known.ticket is None or known.since_ns != timer.cycle:
            return
        rule = plant.suppression.flood
        over = not rule.on or ends(known, book.now_ns, rule)
        flood = book.ticket(known.ticket)
        if over:
            source, _, position = flood.trace_id.rpartition(":")
            origin = Origin(source, int(position), book.now_ns)
            fold(book, [finding_of(area, known, ("", "", ""), origin, plant, over=True)], plant)
        else:
            set_timer(book, replace(timer, step=timer.step + 1, due_ns=book.now_ns + LOOK_NS))
        due = over or book.now_ns - (told_ns or 0) >= round(rule.within_min * MINUTE_NS)
        if due:
            _tell(book, book.ticket(known.ticket), told_ns or 0, rate(known, book.now_ns, rule), over=over)
            told_ns = book.now_ns
        after = replace(known, over_ns=book.now_ns if over else None)
        book.upsert(area_alarms, _row(area, after, told_ns or 0), _SET)

    return look


def _tell(book: Book, flood: Ticket, since_ns: int, alarms: int, *, over: bool) -> None:
    """Tell of the tickets that came under the flood since it was told last; while nothing is new, nothing is said."""
    c = tickets.c
    new = select(c.number).where(c.parent == flood.id, c.opened_ns >= since_ns).order_by(c.id)
    children = list(book.conn.execute(new).scalars())
    if children or over:
        who = flood.assignee or (flood.suggestion.person if flood.suggestion else None) or "dispatch"
        said = {"children": children, "alarms": alarms, "over": over}
        book.tell(flood, "ticket.flood", (who, flood.backup), said, step=f"flood-{book.now_ns}")


def _known(conn: Connection, area: str) -> tuple[Area, int | None]:
    row = conn.execute(select(area_alarms).where(area_alarms.c.area == area)).mappings().first()
    if row is None:
        return Area(), None
    known = Area(_RAISED.decode(row["raised"]), row["ticket"], row["since_ns"], row["over_ns"])
    return known, row["told_ns"]


def _row(area: str, known: Area, told_ns: int) -> Row:
    row: Row = {"area": area, "raised": to_json(known.raised), "ticket": known.ticket}
    return row | {"since_ns": known.since_ns, "over_ns": known.over_ns, "told_ns": told_ns}
