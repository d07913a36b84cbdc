"""Whether a good number is a good one (rule 58): who closes fast and how, whose tickets rise, how tickets are closed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from andon.events import MINUTE_NS
from ticketing.metrics.cohorts import CLOSED, WORKED_ON, flag, no_fault, subject, t, within
from ticketing.metrics.metric import Question
from ticketing.metrics.periods import months_before
from ticketing.metrics.readings import BEFORE
from ticketing.ticket import Closure
from ticketing.urgency import ORDER

FEWEST = 5
"""So many tickets of one person, and of the others, are needed to compare them."""
RISING = 3
"""So many tickets of a requester are the least that is called a rise."""


@dataclass(frozen=True, slots=True)
class Handler:
    """How one person's closed tickets compare: minutes from acceptance to repair, against the others' on the same types.

    `shorter` in percent, None where there is too little to compare. `cherries`: much shorter, and fewer of the urgent
    ones than the others: cherry picking? `hasty`: much shorter, and more of them reopened.
    """

    person: str
    tickets: int
    minutes: float
    others_minutes: float | None
    shorter: float | None
    urgent: float
    others_urgent: float
    reopened: float
    others_reopened: float
    unsigned: float
    suspicious: bool

    @property
    def cherries(self) -> bool:
        """Whether the fast ones are the easy ones."""
        return self.suspicious and self.urgent < self.others_urgent

    @property
    def hasty(self) -> bool:
        """Whether the fast ones come back."""
        return self.suspicious and self.reopened > self.others_reopened


@dataclass(frozen=True, slots=True)
class Rising:
    """A requester whose tickets rise: those of the period, and the mean of the three months before."""

    requester: str
    tickets: int
    before: float


@dataclass(frozen=True, slots=True)
class Standard:
    """How tickets of a period were closed: shares in percent, and how long their summaries are; None of none."""

    period: str
    tickets: int
    unsigned: float | None
    reopened: float | None
    summary_length: float | None


@dataclass
class _Sum:
    """Tickets added up."""

    tickets: int = 0
    took_ns: int = 0
    urgent: int = 0
    reopened: int = 0
    unsigned: int = 0

    def add(self, other: "_Sum", sign: int = 1) -> "_Sum":
        """With the other's, or without."""
        for name in ("tickets", "took_ns", "urgent", "reopened", "unsigned"):
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        return self

    def share(self, name: str) -> float:
        """In percent of the tickets; 0 of none."""
        return 100 * float(getattr(self, name)) / self.tickets if self.tickets else 0.0


def handlers(conn: Connection, asked: Question) -> Sequence[Handler]:
    """Everybody who closed tickets in the period, the shortest against the others first."""
    by_type: dict[str, dict[str, _Sum]] = defaultdict(dict)
    for row in conn.execute(
        _WORK.where(within(t.closed_ns, asked), *asked.wheres).group_by(t.handler, t.type)
    ):
        by_type[row.type][row.handler] = _Sum(*(int(value or 0) for value in row[2:]))
    types = {name: _total(of_person.values()) for name, of_person in by_type.items()}
    everybody = _total(types.values())
    people = sorted({person for of_person in by_type.values() for person in of_person})
    found = [_compared(person, by_type, types, everybody, asked) for person in people]
    return sorted(found, key=lambda one: (-(one.shorter or -100.0), one.person))


_WORK = (
    select(
        t.type,
        t.handler,
        func.count().label("n"),
        func.sum(t.resolved_ns - t.accepted_ns),
        func.sum(flag(t.priority >= ORDER.index("high"))),
        func.sum(flag(t.reopen_count > 0)),
        func.sum(flag(t.closure == str(Closure.UNSIGNED))),
    )
    .where(CLOSED, t.closure.in_(WORKED_ON), ~no_fault())
    .where(t.handler.is_not(None), t.accepted_ns.is_not(None), t.resolved_ns >= t.accepted_ns)
)


def _total(some: Iterable[_Sum]) -> _Sum:
    total = _Sum()
    for one in some:
        total.add(one)
    return total


def _compared(
    person: str,
    by_type: dict[str, dict[str, _Sum]],
    types: dict[str, _Sum],
    everybody: _Sum,
    asked: Question,
) -> Handler:
    own = _total(of_person[person] for of_person in by_type.values() if person in of_person)
    others = _Sum().add(everybody).add(own, -1)
    both, took_ns, expected_ns = 0, 0, 0.0
    for name, of_person in by_type.items():
        mine = of_person.get(person)
        theirs = _Sum().add(types[name]).add(mine, -1) if mine else _Sum()
        if mine and theirs.tickets:
            both += mine.tickets
            took_ns += mine.took_ns
            expected_ns += mine.tickets * theirs.took_ns / theirs.tickets
    enough = both >= FEWEST and others.tickets >= FEWEST and expected_ns > 0
    shorter = 100 * (1 - took_ns / expected_ns) if enough else None
    return Handler(
        person=person,
        tickets=own.tickets,
        minutes=own.took_ns / own.tickets / MINUTE_NS,
        others_minutes=expected_ns / both / MINUTE_NS if enough else None,
        shorter=shorter,
        urgent=own.share("urgent"),
        others_urgent=others.share("urgent"),
        reopened=own.share("reopened"),
        others_reopened=others.share("reopened"),
        unsigned=own.share("unsigned"),
        suspicious=shorter is not None and shorter >= asked.plant.metrics.shorter,
    )


def rising(conn: Connection, asked: Question, limit: int = 20) -> Sequence[Rising]:
    """Requesters whose tickets of the period are at least 1.5 x the mean of the three months before, the most first."""
    zone = asked.plant.time_zone
    before = months_before(asked.span, BEFORE, zone)
    here = func.sum(flag(within(t.opened_ns, asked)))
    earlier = func.sum(flag(t.opened_ns < asked.span.from_ns))
    since = t.opened_ns >= before[0].from_ns, t.opened_ns < asked.span.to_ns
    wanted = (
        select(t.requester, here, earlier)
        .where(*since, ~no_fault(), subject().like("p/%"), *asked.wheres)
        .group_by(t.requester)
        .having(here >= RISING, here * BEFORE >= asked.plant.metrics.soaring * earlier)
        .order_by(here.desc(), t.requester)
        .limit(limit)
    )
    return [Rising(name, int(now), int(then) / BEFORE) for name, now, then in conn.execute(wanted)]


def standard(conn: Connection, asked: Question) -> Sequence[Standard]:
    """How tickets were closed, in the three months before and in the period."""
    spans = (*months_before(asked.span, BEFORE, asked.plant.time_zone), asked.span)
    return [_standard(conn, Question(span, asked.now_ns, asked.plant, asked.wheres)) for span in spans]


def _standard(conn: Connection, asked: Question) -> Standard:
    unsigned = flag(t.closure == str(Closure.UNSIGNED))
    length = func.avg(case((t.summary != "", func.length(t.summary))))
    wanted = select(func.count(), func.sum(unsigned), func.sum(flag(t.reopen_count > 0)), length)
    worked = CLOSED, t.closure.in_(WORKED_ON), ~no_fault(), within(t.closed_ns, asked)
    number, no_name, again, words = conn.execute(wanted.where(*worked, *asked.wheres)).one()
    return Standard(
        period=asked.span.name or "",
        tickets=number,
        unsigned=100 * int(no_name) / number if number else None,
        reopened=100 * int(again) / number if number else None,
        summary_length=float(words) if words is not None else None,
    )
