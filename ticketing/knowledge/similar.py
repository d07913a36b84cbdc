"""Tickets that were like this one and what fixed them, each with why it is like it: same machine, model, fault, words.

Few are looked at, all by an index: the newest of the machine, those of the same condition of it and of its sisters, and
those that hold a word of what was said. Each likeness has a weight; the sum ranks, the likenesses are the explanation.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, select, union_all

from andon.database import Machines
from andon.events import Family
from andon.plant import Asset, Plant
from ticketing.knowledge.article import keywords_of
from ticketing.knowledge.articles import pieces_of
from ticketing.search import holding_any, words_of
from ticketing.sql import chunks
from ticketing.tables import ticket as tickets
from ticketing.ticket import NOT_A_FAILURE, Closure, Headline, Ticket

OWN, SISTERS, EACH, BY_WORDS = 120, 16, 15, 80
"""How many are looked at: of the machine itself, how many sisters and of each (of the same condition), by words."""
SAME_MACHINE, SAME_MODEL, SAME_CLASS = 2.0, 1.5, 0.5
SAME_CONDITION, SAME_COMPONENT, SAME_FAULT, OF_WORDS = 3.0, 1.0, 2.0, 3.0
"""What a likeness weighs; words at most `OF_WORDS`, each the more the fewer of those looked at have it."""
_SHOWN_WORDS = 5
_COLUMNS = (
    *(tickets.c.id, tickets.c.number, tickets.c.asset, tickets.c.family, tickets.c.component),
    *(tickets.c.condition, tickets.c.fault_type, tickets.c.description, tickets.c.summary, tickets.c.cause),
    *(
        tickets.c.handler,
        tickets.c.accepted_ns,
        tickets.c.resolved_ns,
        tickets.c.closed_ns,
        tickets.c.closure,
    ),
)


@dataclass(frozen=True, slots=True)
class Alike:
    """A solved ticket that is like another one. `why` are its likenesses, the weightiest first; `words` those in common.

    `came_back`: the same was there again after it was closed, so what was done did not hold.
    """

    ticket: int
    number: str
    asset: str
    component: str
    condition: str
    summary: str
    cause: str
    handler: str | None
    accepted_ns: int | None
    resolved_ns: int | None
    closed_ns: int
    score: float
    why: tuple[str, ...]
    words: tuple[str, ...] = ()
    came_back: bool = False

    @property
    def same_trouble(self) -> bool:
        """Whether it was the same trouble, and not only the same machine."""
        return not {"condition", "component", "fault", "words"}.isdisjoint(self.why)


def alike(conn: Connection, ticket: Ticket, plant: Plant, machines: Machines) -> list[Alike]:
    """Solved tickets like that one on machines that are seen, the most like it first, then the newest."""
    machine = plant.asset(ticket.asset)
    if machine is None:
        return []
    sisters = _sisters(machine, plant, machines)
    rows = {row["id"]: row for row in _candidates(conn, ticket, list(sisters), machines)}
    rows.pop(ticket.id, None)
    weighed = _weighed(ticket, list(rows.values()), sisters)
    return sorted(weighed, key=lambda one: (-one.score, -one.ticket))


def said_pieces(ticket: Ticket) -> list[str]:
    """What the reporter's words are compared by: those that say something, cut as the index is."""
    return pieces_of(*keywords_of(ticket.description))


def _sisters(machine: Asset, plant: Plant, machines: Machines) -> Mapping[str, str]:
    """Machines of the same model, then of the same class, those of its own line first; and which of both each is."""

    def near(one: Asset) -> tuple[bool, bool, str]:
        return not _same_model(one, machine), one.line != machine.line, one.id

    of_class = [
        one for one in plant.assets if one.asset_class == machine.asset_class and one.id != machine.id
    ]
    seen = sorted((one for one in of_class if machines is None or one.id in machines), key=near)
    return {one.id: "model" if _same_model(one, machine) else "class" for one in seen[:SISTERS]}


def _same_model(one: Asset, other: Asset) -> bool:
    return bool(one.model) and one.model == other.model


def came_back(conn: Connection, found: Sequence[Alike]) -> frozenset[int]:
    """Those of them after which the same was there again."""
    c = tickets.c
    back: set[int] = set()
    for some in chunks(one.ticket for one in found):
        back.update(conn.execute(select(c.recurrence_of).where(c.recurrence_of.in_(some))).scalars())
    return frozenset(back)


def _candidates(
    conn: Connection, ticket: Ticket, sisters: Sequence[str], machines: Machines
) -> Iterator[RowMapping]:
    c = tickets.c
    reported = ticket.headline.family is Family.REPORT
    same = () if reported else (c.condition == ticket.headline.condition,)
    walks = [_newest(c.asset == ticket.asset, limit=OWN)]
    walks += [_newest(c.asset == one, *same, limit=EACH) for one in sisters]
    walks += [] if reported else [_newest(c.asset == ticket.asset, *same, limit=EACH)]
    walked = union_all(*(select(one.subquery().c.id) for one in walks))
    ids = {*conn.execute(walked).scalars(), *holding_any(conn, said_pieces(ticket), machines, BY_WORDS)}
    for some in chunks(ids):
        yield from conn.execute(select(*_COLUMNS).where(c.id.in_(some), _solved())).mappings()


def _newest(*wheres: ColumnElement[bool], limit: int) -> Select[tuple[int]]:
    done_ns = tickets.c.resolved_ns
    return select(tickets.c.id).where(*wheres, done_ns.is_not(None)).order_by(done_ns.desc()).limit(limit)


def _solved() -> ColumnElement[bool]:
    c = tickets.c
    worked = [str(one) for one in Closure if one not in NOT_A_FAILURE]
    return c.closure.in_(worked) & c.cause.is_not(None)


def _weighed(ticket: Ticket, rows: Sequence[RowMapping], sisters: Mapping[str, str]) -> Iterator[Alike]:
    """Each with its likenesses and their sum."""
    said = frozenset(said_pieces(ticket))
    held = [said & frozenset(pieces_of(row["description"], row["summary"])) for row in rows]
    often = Counter(piece for pieces in held for piece in pieces)
    rare = {piece: log((1 + len(rows)) / n) for piece, n in often.items()}
    for row, pieces in zip(rows, held, strict=True):
        weights = _likenesses(ticket, row, sisters)
        told = phrases(ticket.description, pieces)
        if told:
            weights["words"] = min(OF_WORDS, sum(rare[piece] for piece in pieces))
        why = tuple(sorted(weights, key=lambda name: -weights[name]))
        yield Alike(
            **{name: row[name] for name in _AS_THEY_ARE},
            ticket=row["id"],
            score=round(sum(weights.values()), 3),
            why=why,
            words=told[:_SHOWN_WORDS],
        )


_AS_THEY_ARE = (
    *("number", "asset", "component", "condition", "summary", "cause"),
    *("handler", "accepted_ns", "resolved_ns", "closed_ns"),
)


def _likenesses(ticket: Ticket, row: RowMapping, sisters: Mapping[str, str]) -> dict[str, float]:
    head = ticket.headline
    near = {"machine": SAME_MACHINE, "model": SAME_MODEL, "class": SAME_CLASS}
    place = "machine" if row["asset"] == ticket.asset else sisters.get(row["asset"], "")
    weights = {place: near[place]} if place else {}
    same_component = bool(head.component) and row["component"] == head.component
    if same_condition(head, row["condition"], row["component"]):
        weights["condition"] = SAME_CONDITION
    if same_component and place == "machine":
        weights["component"] = SAME_COMPONENT
    by_people = Family.REPORT in {head.family, row["family"]}  # a machine's follows from what it says anyway
    if by_people and ticket.fault_type and row["fault_type"] == ticket.fault_type:
        weights["fault"] = SAME_FAULT
    return weights


def same_condition(head: Headline, condition: str, component: str) -> bool:
    """Whether a machine said the same: a stop is the same by its reason; a person's report says it in words alone."""
    if head.family is Family.REPORT or condition != head.condition:
        return False
    return head.family is not Family.STOP or component == head.component


_RUNS = re.compile(r"[^\W_]+")


def phrases(text: str, pieces: Iterable[str]) -> tuple[str, ...]:
    """The words of a text that are among these pieces, pairs of Chinese that overlap put together again.

    >>> phrases("主轴密封失效，漏油 V8000", {"密封", "封失", "失效", "v8000"})
    ('密封失效', 'v8000')
    """
    wanted = frozenset(pieces)
    found: dict[str, None] = {}
    for word in (part for said in words_of(text) for part in _RUNS.findall(said)):
        if word in wanted:
            found[word] = None
            continue
        inside = [n for n in range(len(word) - 1) if word[n : n + 2] in wanted and word[n] > "\u2fff"]
        for _, run in groupby(enumerate(inside), lambda one: one[1] - one[0]):
            at = [n for _, n in run]
            found[word[at[0] : at[-1] + 2]] = None
    return tuple(found)
