"""Alarm occurrences of a time, counted by the database: which raises people were told of, by interval and by alarm.

Only what machines raised is counted (ISA-18.2-2016, 16.4): no clear, no repetition, no report, no deed of a person, and
nothing that was held back. Times are those of the events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)

from andon.database import Machines, among
from andon.events import MINUTE_NS, SECOND_NS, Action, Family
from andon.plant import Plant
from andon.rules.alarms import Chattering, Fleeting
from ticketing.alarm_desk import STALE_NS
from ticketing.alarm_rows import alarm_event, alarm_state
from ticketing.alarms import AlarmStep
from ticketing.floods import DETECTOR as FLOOD
from ticketing.suppression import area_of
from ticketing.suppressions import suppressed, suppression
from ticketing.tables import occurrence
from ticketing.ticket import HELD, SUPPRESSED, FoldRule

TEN_NS = 10 * MINUTE_NS
"""The interval that the standards count by."""
o, a = occurrence.c, alarm_state.c
_CHATTERING, _FLEETING = Chattering(), Fleeting()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which time is asked about, cut off at now, and of which machines (None: all)."""

    from_ns: int
    to_ns: int
    plant: Plant
    machines: Machines = None

    def area(self, asset: str) -> str:
        """The operating position that a machine belongs to: its area; "" where the plant names none."""
        known = self.plant.asset(asset)
        return area_of(known.path) if known else ""


@dataclass(frozen=True, slots=True)
class Counts:
    """One alarm in that time: how often it came, and how often it chattered, fleeted by or stood for over a day."""

    alarm: str
    asset: str
    component: str
    condition: str
    priority: int
    number: int
    chattering: int
    fleeting: int
    stale: int


@dataclass(frozen=True, slots=True)
class Told:
    """One alarm occurrence, with its ticket."""

    finding: str
    alarm: str
    asset: str
    component: str
    condition: str
    at_ns: int
    ticket: int | None


def _heard(asked: Asked) -> Sequence[ColumnElement[bool]]:
    """What machines said in that time; the flood's own word is about alarms and none itself."""
    return (
        o.action.in_([str(Action.RAISE), str(Action.CLEAR)]),  # as the index has it
        (o.at_ns >= asked.from_ns) & (o.at_ns < asked.to_ns),
        o.family != str(Family.REPORT),
        o.detector != FLOOD,
        among(o.asset, asked.machines),
    )


def _raised(asked: Asked) -> Sequence[ColumnElement[bool]]:
    return (*_heard(asked), o.action == str(Action.RAISE))


def _told(of: Any = o) -> ColumnElement[bool]:
    """Nothing held it back, or what did has let it go."""
    told: ColumnElement[bool] = of.rule.not_in(sorted(map(str, HELD | SUPPRESSED)))
    return told


def _name(of: Any = o) -> ColumnElement[str]:
    """The alarm's id, as `ticketing.alarm_rows.alarm_id` makes it."""
    return func.substr(of.key, 1, 24).concat("-").concat(of.detector)


def by_interval(conn: Connection, asked: Asked) -> Mapping[tuple[str, int], int]:
    """How many alarms each operating position had in each interval that had any, by (area, number of the interval)."""
    at = (o.at_ns - asked.from_ns) // TEN_NS
    areas: dict[str, list[str]] = {}
    for one in asked.plant.assets:
        areas.setdefault(area_of(one.path), []).append(one.id)
    whens = [(o.asset.in_(sorted(ids)), literal(area)) for area, ids in sorted(areas.items()) if area]
    area = case(*whens, else_=literal("")) if whens else literal("")
    inner = select(area.label("area"), at.label("at")).where(*_raised(asked), _told()).subquery()
    wanted = select(inner.c.area, inner.c.at, func.count()).group_by(inner.c.area, inner.c.at)
    return {(row[0], int(row[1])): row[2] for row in conn.execute(wanted)}


def by_alarm(conn: Connection, asked: Asked) -> Sequence[Counts]:
    """Each alarm that came in that time, the most frequent first."""
    said = _flagged(asked)
    sums = (
        select(
            said.c.key,
            said.c.detector,
            func.count().label("number"),
            *(func.sum(said.c[name]).label(name) for name in ("chattering", "fleeting", "stale")),
        )
        .group_by(said.c.key, said.c.detector)
        .subquery()
    )
    wanted = select(
        _name(sums.c).label("alarm"),
        *(func.coalesce(a[name], "").label(name) for name in ("asset", "component", "condition")),
        func.coalesce(a.priority, 0).label("priority"),
        *(cast(sums.c[name], Integer).label(name) for name in ("number", "chattering", "fleeting", "stale")),
    ).select_from(sums.outerjoin(alarm_state, a.id == _name(sums.c)))
    rows = conn.execute(wanted.order_by(sums.c.number.desc(), "alarm")).mappings()
    return [Counts(**row) for row in rows]


def _flagged(asked: Asked) -> FromClause:
    """Each occurrence with whether it chattered, fleeted by, or stood for over a day, by the words beside it.

    The usual limits: the third of three activations within 60 s or a sixth transition within 5 min; active for less
    than 10 s and not again within 60 s; standing for more than 24 h.
    """
    words = _words(asked)
    w = words.c
    back = and_(w.next == str(Action.CLEAR), w.next_ns - w.at_ns < _ns(_FLEETING.active_s))
    alone = or_(w.again_ns.is_(None), w.again_ns - w.next_ns > _ns(_FLEETING.repeat_s))
    often = w.at_ns - w.third_ns <= _ns(_CHATTERING.activations_s)
    restless = w.at_ns - w.sixth_ns <= _ns(_CHATTERING.transitions_s)
    return (
        select(
            w.key,
            w.detector,
            case((or_(often, restless), 1), else_=0).label("chattering"),
            case((and_(back, alone), 1), else_=0).label("fleeting"),
            case((and_(w.next == str(Action.CLEAR), w.next_ns - w.at_ns > STALE_NS), 1), else_=0).label(
                "stale"
            ),
        )
        .where(w.action == str(Action.RAISE), _told(w))
        .subquery()
    )


def _words(asked: Asked, alarms: Sequence[str] | None = None) -> FromClause:
    """What was said of each alarm in that time, each word beside its neighbours of the same alarm; or of those only."""
    over: Any = {"partition_by": (o.key, o.detector), "order_by": (o.at_ns, o.finding)}
    third = 2 * (_CHATTERING.activations - 1)
    return (
        select(
            o.key,
            o.detector,
            o.action,
            o.rule,
            o.at_ns,
            func.lag(o.at_ns, third).over(**over).label("third_ns"),
            func.lag(o.at_ns, _CHATTERING.transitions).over(**over).label("sixth_ns"),
            func.lead(o.action).over(**over).label("next"),
            func.lead(o.at_ns).over(**over).label("next_ns"),
            func.lead(o.at_ns, 2).over(**over).label("again_ns"),
        )
        .where(*_heard(asked), true() if alarms is None else _name().in_(sorted(alarms)))
        .subquery()
    )


def stood(conn: Connection, asked: Asked, alarms: Sequence[str]) -> Sequence[tuple[str, int, int | None]]:
    """The times in which an alarm stood for over a day: (alarm, since, until), None while it stands.

    `alarms` are those of which `by_alarm` says so. What began before the time that is asked about and ended in it is not seen here.
    """
    w = _words(asked, alarms).c
    ended = select(_name(w), w.at_ns, w.next_ns).where(
        w.action == str(Action.RAISE), w.next == str(Action.CLEAR), w.next_ns - w.at_ns > STALE_NS, _told(w)
    )
    now = select(a.id, a.active_since_ns, literal(None)).where(
        a.active.is_(True), a.active_since_ns < asked.to_ns - STALE_NS, among(a.asset, asked.machines)
    )
    return [
        (row[0], row[1], row[2])
        for each in ((ended, now) if alarms else (now,))
        for row in conn.execute(each)
    ]


def occurrences(
    conn: Connection,
    asked: Asked,
    *,
    alarm: str = "",
    priority: int | None = None,
    area: str | None = None,
    limit: int | None = None,
    after: tuple[int, str] | None = None,
) -> Sequence[Told]:
    """The alarm occurrences of that time themselves, the oldest first: of an alarm, a priority or an area only."""
    wheres = [*_raised(asked), _told()]
    if alarm:
        of = select(a.key, a.detector).where(a.id == alarm).subquery()
        wheres.append(exists().where(of.c.key == o.key, of.c.detector == o.detector))
    if priority is not None:
        wheres.append(func.coalesce(a.priority, 0) == priority)
    if area is not None:
        known = [one.id for one in asked.plant.assets if area_of(one.path)]
        here = [one.id for one in asked.plant.assets if area_of(one.path) == area]
        wheres.append(o.asset.in_(here) if area else o.asset.not_in(known))
    if after is not None:
        wheres.append(or_(o.at_ns > after[0], and_(o.at_ns == after[0], o.finding > after[1])))
    wanted = (
        select(o.finding, _name().label("alarm"), o.asset, o.component, o.condition, o.at_ns, o.ticket)
        .select_from(occurrence.outerjoin(alarm_state, a.id == _name()))
        .where(*wheres)
        .order_by(o.at_ns, o.finding)
        .limit(limit)
    )
    return [Told(**row) for row in conn.execute(wanted).mappings()]


def unauthorised(conn: Connection, asked: Asked) -> Sequence[Told]:
    """What was held back though nobody answers for it: by no suppression with an owner and a reason, nor taken out of service."""
    by = (
        select(suppressed.c.finding)
        .join(suppression, suppression.c.id == suppressed.c.suppression)
        .where(suppressed.c.finding == o.finding, suppression.c.owner != "", suppression.c.reason != "")
    )
    taken = select(alarm_event.c.alarm).where(
        alarm_event.c.alarm == _name(),
        alarm_event.c.step == str(AlarmStep.REMOVE_FROM_SERVICE),
        alarm_event.c.reason != "",
    )
    wanted = (
        select(o.finding, _name().label("alarm"), o.asset, o.component, o.condition, o.at_ns, o.ticket)
        .where(
            *_raised(asked),
            o.rule.in_(sorted(map(str, SUPPRESSED))),
            ~by.exists(),
            or_(o.rule != str(FoldRule.SUPPRESSED_OOSRV), ~taken.exists()),
        )
        .order_by(o.at_ns, o.finding)
    )
    return [Told(**row) for row in conn.execute(wanted).mappings()]


def first_ns(conn: Connection) -> int | None:
    """When the first alarm of all was raised or ended; None if there was none yet."""
    words = o.action.in_([str(Action.RAISE), str(Action.CLEAR)])
    found: int | None = conn.execute(select(func.min(o.at_ns)).where(words)).scalar_one()
    return found


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
