"""Suppressions as they are kept: begun and ended by people, windows and alarms, each deed on record for ever.

What ends is noted at once; what it held is looked at by a timer, so that it survives whatever stops in between.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from andon.database import append_only, behind
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from andon.plant import Plant
from andon.rules.suppression import Matcher, Suppressing
from ticketing.book import MACHINE, Book
from ticketing.errors import DeedRefused
from ticketing.sql import Row, metadata
from ticketing.suppression import Suppression, SuppressionKind
from ticketing.timers import Timer, cancel, set_timer

OVER, REMINDER, MARK = "suppression_over", "suppression_reminder", "alarm_marks"
"""Kinds of timers."""
DECLARED = "declaration"
"""The origin of declared maintenance."""
_LATE_NS = 26 * HOUR_NS
"""So long a window that is over still says of what is heard late that it happened inside."""
_DAY_NS = 24 * HOUR_NS

suppression = Table(
    "suppression",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(24), nullable=False),
    Column("matcher", Text, nullable=False),
    Column("starts_ns", BigInteger, nullable=False),
    Column("ends_ns", BigInteger),
    Column("ended_ns", BigInteger),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("one_shot", Boolean, nullable=False),
    Column("made_ns", BigInteger, nullable=False),
)
Index("suppression_by_end", suppression.c.ended_ns)

suppression_event = Table(
    "suppression_event",
    metadata,
    Column("suppression", ForeignKey("suppression.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason", Text, nullable=False),
)
append_only(suppression_event)

suppressed = Table(
    "suppressed_occurrence",
    metadata,
    Column("finding", ForeignKey("occurrence.finding"), primary_key=True),
    Column("suppression", ForeignKey("suppression.id"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("held_ns", BigInteger, nullable=False),
    Column("outcome", String(8)),
    Column("outcome_ns", BigInteger),
)
"""What was held, and by what; `outcome` is None while it is, then "folded" or "over", or "passed" to its alarm's being out of service."""
Index("suppressed_by_suppression", suppressed.c.suppression, suppressed.c.outcome)
Index("suppressed_by_asset", suppressed.c.asset, suppressed.c.outcome)


@dataclass(frozen=True, slots=True)
class SuppressionEvent:
    """Who did what to a suppression, when and why."""

    at_ns: int
    actor: str
    channel: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A suppression with what it holds: `held` now, `folded` into tickets and `over` when they were looked at."""

    suppression: Suppression
    held: int
    folded: int
    over: int
    events: tuple[SuppressionEvent, ...] = ()


def active(conn: Connection, now_ns: int) -> list[Suppression]:
    """Those that have not ended, and the maintenance windows that ended lately: what is late may have happened inside."""
    c = suppression.c
    lately = and_(c.kind == SuppressionKind.MAINTENANCE_WINDOW, c.ended_ns > now_ns - _LATE_NS)
    wanted = select(suppression).where(or_(c.ended_ns.is_(None), lately))
    rows = sorted(
        conn.execute(wanted).mappings(), key=itemgetter("id")
    )  # asked for in order, SQLite reads all
    return [suppression_of(row) for row in rows]


def windows_at(plant: Plant, at_ns: int) -> Iterable[Suppression]:
    """The plant document's windows that are open at that moment, as suppressions that nobody has written down yet."""
    for window in plant.maintenance_windows:
        span = window.span_at(at_ns, plant.time_zone)
        if span is not None:
            yield Suppression(
                id=0,
                kind=SuppressionKind.MAINTENANCE_WINDOW,
                matcher=window.matcher,
                starts_ns=span[0],
                ends_ns=span[1],
                reason=window.reason or window.name,
                owner=window.owner,
                origin=f"window/{window.name}",
            )


def one(conn: Connection, number: int) -> Suppression:
    """The suppression of that number; DeedRefused if there is none."""
    row = conn.execute(select(suppression).where(suppression.c.id == number)).mappings().first()
    if row is None:
        raise DeedRefused("suppression_not_found", f"there is no suppression {number}")
    return suppression_of(row)


def asked(
    book: Book,
    plant: Plant,
    *,
    kind: SuppressionKind,
    matcher: Matcher,
    reason: str,
    owner: str,
    starts_ns: int | None = None,
    ends_ns: int | None = None,
    one_shot: bool = False,
    channel: str = "api",
) -> Suppression:
    """What a person asks for: a shelf from now on, or a maintenance window; DeedRefused says what is wrong."""
    starts_ns = book.now_ns if starts_ns is None else starts_ns
    if ends_ns is None and kind is SuppressionKind.SHELVE:
        ends_ns = starts_ns + round(plant.suppression.shelve_h * HOUR_NS)
    wanted = Suppression(0, kind, matcher, starts_ns, ends_ns, reason.strip(), owner, one_shot=one_shot)
    _check(wanted, plant, book.now_ns)
    return begin(book, wanted, channel=channel, rules=plant.suppression)


def begin(
    book: Book, wanted: Suppression, *, channel: str = MACHINE, rules: Suppressing | None = None
) -> Suppression:
    """Write a suppression down, with its timers."""
    made = replace(wanted, id=book.next_number("suppression"), made_ns=book.now_ns)
    book.conn.execute(insert(suppression).values(_row(made)))
    _record(book, made.id, "begun", actor=made.owner or made.origin, reason=made.reason, channel=channel)
    if made.ends_ns is not None:
        set_timer(book, Timer(OVER, _subject(made.id), made.ends_ns))
        remind_ns = made.ends_ns - round((rules.remind_min if rules else 0) * MINUTE_NS)
        if made.kind is SuppressionKind.SHELVE and made.starts_ns < remind_ns < made.ends_ns:
            set_timer(book, Timer(REMINDER, _subject(made.id), remind_ns))
    _mark_alarms(book, made.starts_ns)
    return made


def end_early(book: Book, number: int, *, actor: str, reason: str, channel: str) -> Suppression:
    """What a person asks for; declared maintenance ends where it was begun, so that the detectors hear of it too."""
    found = one(book.conn, number)
    if found.origin == DECLARED:
        raise DeedRefused(
            "suppression_declared",
            f"maintenance of {found.matcher.asset} was declared: declare that it is over (maintenance_ends)",
        )
    return end(book, number, actor=actor, reason=reason, channel=channel)


def end(
    book: Book, number: int, *, actor: str, reason: str, channel: str = MACHINE, after_ns: int = 0
) -> Suppression:
    """End it now; what it held is looked at `after_ns` later. DeedRefused if it has ended or no reason is given."""
    found = one(book.conn, number)
    if found.ended_ns is not None:
        raise DeedRefused("suppression_ended", f"suppression {number} has ended already")
    if not reason.strip():
        raise DeedRefused("suppression_without_reason", "say why it ends before its time")
    cancel(book, REMINDER, _subject(number))
    cancel(book, OVER, _subject(number))
    _ended(book, number, "ended", actor=actor, reason=reason.strip(), channel=channel)
    look_again(book, number, book.now_ns + after_ns)
    return replace(found, ended_ns=book.now_ns)


def expired(book: Book, found: Suppression) -> None:
    """Note that its time is over."""
    _ended(book, found.id, "expired", actor="timer")


def look_again(book: Book, number: int, at_ns: int) -> None:
    """Have what an ended suppression holds looked at then."""
    set_timer(book, Timer(OVER, _subject(number), at_ns, cycle=book.now_ns))


def number_of(timer: Timer) -> int:
    """The suppression that a timer is about."""
    return int(timer.subject.partition("/")[2])


def reminded(book: Book, number: int) -> None:
    """Put on record that its owner was told that it ends."""
    _record(book, number, "reminded", actor="timer")


def listed(
    conn: Connection,
    now_ns: int,
    *,
    ended: bool = False,
    seen: Callable[[Matcher], bool] | None = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Listed, ...]:
    """Those that stand (also those that are to begin), or those that have ended; the newest first, as far as they are `seen`."""
    c = suppression.c
    over = or_(c.ended_ns.is_not(None), c.ends_ns <= now_ns)
    wanted = select(suppression).where(
        over if ended else c.ended_ns.is_(None) & (c.ends_ns.is_(None) | (c.ends_ns > now_ns))
    )
    order = (c.id.desc(),)
    wanted = wanted.where(behind(order, after)).order_by(*order)
    rows = conn.execute(wanted.limit(limit) if seen is None else wanted).mappings()
    found = (one for one in map(suppression_of, rows) if seen is None or seen(one.matcher))
    return _listed(conn, [*islice(found, limit)])  # what a matcher means is no column


def only_planned(plant: Plant, now_ns: int, written: Iterable[Listed]) -> Iterable[Listed]:
    """The plant document's windows that are open and have held nothing yet."""
    known = {(one.suppression.origin, one.suppression.starts_ns) for one in written}
    for window in windows_at(plant, now_ns):
        if (window.origin, window.starts_ns) not in known:
            yield Listed(window, 0, 0, 0)


def detail(conn: Connection, number: int) -> Listed:
    """One of them; DeedRefused if there is none."""
    return _listed(conn, [one(conn, number)])[0]


def hold(book: Book, finding: str, asset: str, by: Suppression, *, maintenance: bool) -> None:
    """Note what holds an occurrence from now on; `maintenance`: it happened inside a maintenance window, which stays so."""
    row: Row = {"finding": finding, "suppression": by.id, "asset": asset, "maintenance": maintenance}
    book.upsert(
        suppressed, row | {"held_ns": book.now_ns, "outcome": None, "outcome_ns": None}, ("suppression",)
    )


def held_on(conn: Connection, asset: str) -> int:
    """How many occurrences of a machine are held just now."""
    c = suppressed.c
    return conn.execute(select(func.count()).where(c.asset == asset, c.outcome.is_(None))).scalar_one()


def suppression_of(row: RowMapping) -> Suppression:
    """The suppression of a row of its table."""
    values = {**row, "kind": SuppressionKind(row["kind"])}
    return Suppression(**{**values, "matcher": Matcher.model_validate_json(row["matcher"])})


def _listed(conn: Connection, found: Sequence[Suppression]) -> tuple[Listed, ...]:
    numbers = [each.id for each in found]
    c, e = suppressed.c, suppression_event.c
    counts: dict[tuple[int, str], int] = {}
    counted = select(c.suppression, c.outcome, func.count()).where(c.suppression.in_(numbers))
    for number, outcome, n in conn.execute(counted.group_by(c.suppression, c.outcome)):
        counts[number, outcome or "held"] = n
    events: dict[int, list[SuppressionEvent]] = {}
    told = select(suppression_event).where(e.suppression.in_(numbers)).order_by(e.suppression, e.seq)
    for row in conn.execute(told):
        said = SuppressionEvent(row.at_ns, row.actor, row.channel, row.action, row.reason)
        events.setdefault(row.suppression, []).append(said)
    return tuple(
        Listed(
            each,
            held=counts.get((each.id, "held"), 0),
            folded=counts.get((each.id, "folded"), 0),
            over=counts.get((each.id, "over"), 0),
            events=tuple(events.get(each.id, ())),
        )
        for each in found
    )


def _check(wanted: Suppression, plant: Plant, now_ns: int) -> None:
    rules = plant.suppression
    if not wanted.reason:
        raise DeedRefused("suppression_without_reason", "say why these alarms are not to be told")
    if not wanted.matcher.says_something:
        raise DeedRefused(
            "suppression_of_everything", "say which alarms are meant: an asset, a place (under), a family ..."
        )
    place = wanted.matcher.asset or wanted.matcher.under or wanted.matcher.asset_class
    if place and not any(wanted.touches(asset) for asset in plant.assets):
        raise DeedRefused("unknown_asset", f"there is no asset {place[:64]!r}, or none that is all of this")
    if wanted.ends_ns is None:
        raise DeedRefused("suppression_without_end", "say when it ends: ends_at or for_s")
    if wanted.starts_ns < now_ns or wanted.ends_ns <= wanted.starts_ns:
        raise DeedRefused("suppression_times", "it begins now or later, and ends after it begins")
    shelf = wanted.kind is SuppressionKind.SHELVE
    if shelf and wanted.starts_ns != now_ns:
        raise DeedRefused(
            "suppression_times", "an alarm is shelved from now on; open a maintenance window for later"
        )
    longest_ns = round(rules.shelve_max_h * HOUR_NS if shelf else rules.window_max_days * _DAY_NS)
    if wanted.ends_ns - wanted.starts_ns > longest_ns:
        raise DeedRefused(
            "suppression_too_long",
            f"the plant allows {longest_ns / HOUR_NS:g} h at most; it can be begun again when it has ended",
        )


def _ended(
    book: Book, number: int, action: str, *, actor: str, reason: str = "", channel: str = MACHINE
) -> None:
    book.conn.execute(update(suppression).where(suppression.c.id == number).values(ended_ns=book.now_ns))
    _record(book, number, action, actor=actor, reason=reason, channel=channel)
    _mark_alarms(book, book.now_ns)


def _mark_alarms(book: Book, from_ns: int) -> None:
    """Have the alarms say what holds them back, in the next second: once for all that begins and ends in this one."""
    due_s = from_ns // SECOND_NS + 1
    set_timer(book, Timer(MARK, "alarms", due_s * SECOND_NS, cycle=due_s))


def _record(
    book: Book, number: int, action: str, *, actor: str, reason: str = "", channel: str = MACHINE
) -> None:
    e = suppression_event.c
    last = book.conn.execute(
        select(func.coalesce(func.max(e.seq), 0)).where(e.suppression == number)
    ).scalar_one()
    values = {"suppression": number, "seq": last + 1, "at_ns": book.now_ns, "actor": actor}
    values |= {"channel": channel, "action": action, "reason": reason}
    book.conn.execute(insert(suppression_event).values(values))


def _row(made: Suppression) -> Mapping[str, object]:
    row = {column.name: getattr(made, column.name) for column in suppression.columns}
    return row | {"kind": str(made.kind), "matcher": made.matcher.model_dump_json()}


def _subject(number: int) -> str:
    return f"suppression/{number}"
