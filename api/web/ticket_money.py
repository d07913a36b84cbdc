"""What stands on a ticket's page about money and safety: sums, who agreed to what, downtime, checklists to sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from andon.events import Family
from andon.plant import Plant
from api.visit import Visit
from api.web.money import money
from api.web.wording import person_name
from ticketing.approving import costs, requests, standstill
from ticketing.approving.requests import Approval, Decision, Request, RequestState
from ticketing.approving.standstill import Standstill
from ticketing.safety import signoff
from ticketing.safety.signoff import Signed
from ticketing.ticket import UNRESOLVED, Ticket

Said = Literal["good", "waits", "bad", ""]


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of hours or of what was paid."""

    id: int
    what: str
    amount: str
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Money:
    """The card of costs. `sums` are pairs of a key of the catalogue and an amount."""

    sums: Sequence[tuple[str, str]]
    lacking: tuple[str, ...]
    stands: str
    sign: Said
    decisions: Sequence[str]
    lines: Sequence[LineRow]
    downtime: str
    stood_from: str
    stood_until: str
    request: int | None
    level: str
    level_name: str
    may_decide: bool
    may_ask: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A checklist; `signed` says by whom, or nothing."""

    code: str
    name: str
    items: Sequence[str]
    before: str
    signed: str
    may_sign: bool


@dataclass(frozen=True, slots=True)
class Lacking:
    """Levels that still have to agree, and checklists to be signed before work begins and before it ends."""

    levels: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    unended: tuple[str, ...] = ()


def money_of(conn: Connection, ticket: Ticket, visit: Visit) -> Money:
    """The card of costs as the visitor sees it."""
    how = requests.standing(conn, visit.plant, ticket)
    stood = None
    if ticket.headline.family in {Family.STOP, Family.REPORT} or how.sums.amount_cents:
        stood = standstill.of_ticket(conn, ticket.id, visit.context.now())
    waits = how.request if how.request and how.request.state is RequestState.PENDING else None
    (who,) = requests.waiting(conn, visit.plant, [waits], visit.context.now()) if waits else (None,)
    names = _names(who.may, visit.plant) if who and who.may is not None else ""
    stands, sign = _stands(how, names, visit)
    return Money(
        sums=_sums(how, visit),
        lacking=how.lacking,
        stands=stands,
        sign=sign,
        decisions=[_decided(one, visit) for one in how.decisions],
        lines=_lines(conn, ticket, visit) if how.sums.actual_cents or how.sums.labour_minutes else (),
        downtime=_downtime(stood, visit),
        stood_from=visit.time.iso(stood.from_ns)[:16] if stood else "",
        stood_until=visit.time.iso(stood.until_ns)[:16] if stood else "",
        request=waits.id if waits else None,
        level=waits.level or "" if waits else "",
        level_name=level_name(waits.level or "", visit) if waits else "",
        may_decide=who is not None and who.is_for(visit.actor),
        may_ask=bool(how.lacking) and waits is None,
    )


def checks_of(conn: Connection, ticket: Ticket, visit: Visit) -> list[Check]:
    """The checklists that the ticket needs."""
    asked = signoff.asked(visit.plant, ticket)
    signed = signoff.of_ticket(conn, ticket) if asked else ()
    return [
        Check(
            code=one.code,
            name=_label(one, visit),
            items=[_label(item, visit) for item in one.items],
            before=one.before,
            signed=_signed(one.code, signed, ticket, visit),
            may_sign=ticket.state in UNRESOLVED and visit.actor == ticket.assignee,
        )
        for one in asked
    ]


def lacking_of(money: Money, checks: Sequence[Check]) -> Lacking:
    """What the steps of the ticket still need of both."""
    unsigned = [one for one in checks if not one.signed]
    return Lacking(
        levels=money.lacking,
        unsigned=tuple(one.code for one in unsigned if one.before == "work"),
        unended=tuple(one.code for one in unsigned if one.before == "end"),
    )


def level_name(code: str, visit: Visit) -> str:
    """A level as the plant calls it; its code where the plant has it no more."""
    level = visit.plant.approvals.level(code)
    return code.replace("_", " ") if level is None else _label(level, visit)


def _label(one: object, visit: Visit) -> str:
    return str(getattr(one, visit.words.language))


def _names(people: Mapping[str, object], plant: Plant) -> str:
    return ", ".join(person_name(one, plant) for one in sorted(people))


def _sums(how: Approval, visit: Visit) -> list[tuple[str, str]]:
    total, currency = how.sums, visit.plant.currency
    rows: list[tuple[str, int | None]] = [
        ("estimate", total.estimate_cents),
        ("labour", total.labour_cents or None),
        ("parts", total.parts_cents or None),
        ("besides", total.other_cents or None),
        ("actual", total.actual_cents or None),
        ("approved", how.approved_cents or None),
    ]
    shown = [(key, money(cents, currency)) for key, cents in rows if cents is not None]
    if total.labour_minutes:
        hours = ("hours", visit.time.span(total.labour_minutes * 60))
        shown.insert(next((n for n, (key, _) in enumerate(shown) if key == "labour"), len(shown)), hours)
    return shown


def _stands(how: Approval, names: str, visit: Visit) -> tuple[str, Said]:
    """In one sentence how the approval stands."""
    words, asked = visit.words, how.request
    if asked is not None and asked.state is RequestState.PENDING:
        return _waits(asked, names, visit), "waits"
    if how.lacking:
        levels = ", ".join(level_name(one, visit) for one in how.lacking)
        refused = next((one for one in reversed(how.decisions) if one.verdict == "refused"), None)
        if asked is not None and refused is not None and asked.state is RequestState.REFUSED:
            who = person_name(refused.by, visit.plant)
            return words("costs.was_refused", who=who, reason=refused.note), "bad"
        return words("costs.lacks", levels=levels), "bad"
    return (words("costs.agreed"), "good") if how.needed else ("", "")


def _waits(asked: Request, names: str, visit: Visit) -> str:
    return visit.words(
        "costs.waits" if names else "costs.waits_for_anybody",
        amount=money(asked.cents, visit.plant.currency),
        level=level_name(asked.level or "", visit),
        names=names,
    )


def _decided(one: Decision, visit: Visit) -> str:
    return visit.words(
        f"costs.decided_{one.verdict}",
        level=level_name(one.level, visit),
        who=decider_name(one, visit),
        amount=money(one.cents, visit.plant.currency),
        at=visit.time.short(one.at_ns),
        note=f" {one.note}" if one.note else "",
    )


def decider_name(one: Decision, visit: Visit) -> str:
    """Who decided, and for whom."""
    name = person_name(one.by, visit.plant)
    if one.on_behalf_of is None:
        return name
    return visit.words(f"costs.via_{one.via}", who=name, whom=person_name(one.on_behalf_of, visit.plant))


def _lines(conn: Connection, ticket: Ticket, visit: Visit) -> list[LineRow]:
    found = costs.lines(conn, ticket.id)
    gone = {one.takes_back for one in found}
    rows = []
    for one in found:
        if one.takes_back is not None or one.id in gone:
            continue  # what was wrong and its negative: the audit has them
        spent = visit.time.span(one.minutes * 60)
        hours = visit.words("costs.hours_of", span=spent, who=person_name(one.person, visit.plant))
        what = f"{hours} {one.note}".strip() if one.kind == costs.Kind.LABOUR else one.note
        rows.append(
            LineRow(
                one.id,
                what,
                money(one.cents, visit.plant.currency),
                person_name(one.by, visit.plant),
                one.at_ns,
            )
        )
    return rows


def _downtime(stood: Standstill | None, visit: Visit) -> str:
    if stood is None:
        return ""
    key = "costs.stands_still" if stood.stands else f"costs.stood_{stood.said}"
    return visit.words(key, span=visit.time.span(stood.minutes * 60), since=visit.time.short(stood.from_ns))


def _signed(code: str, signed: Sequence[Signed], ticket: Ticket, visit: Visit) -> str:
    mine = [one for one in signed if one.checklist == code and one.by == ticket.assignee]
    if not mine:
        return ""
    last = mine[-1]
    said = visit.words("safety.signed", who=person_name(last.by, visit.plant), at=visit.time.at(last.at_ns))
    return f"{said} {last.note}".strip()
