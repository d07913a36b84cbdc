"""What a ticket's page says of knowledge and of those who wait: tickets like it, articles, enquiries, departments."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from sqlalchemy import Connection

from andon.access.roles import Right
from andon.events import SECOND_NS, Family, Json
from api.knowledge import SHOWN, told
from api.visit import Visit
from api.web.history import cause_label
from api.web.wording import asset_name, component_name, condition_name, person_name
from ticketing.knowledge import articles
from ticketing.knowledge.article import Article
from ticketing.knowledge.similar import Alike, alike, came_back
from ticketing.knowledge.suggesting import Suggested, suggested
from ticketing.ticket import NOT_A_FAILURE, Ticket
from ticketing.voice import acknowledgements, enquiries, nps
from ticketing.voice.acknowledgements import Acknowledgement, departments


@dataclass(frozen=True, slots=True)
class Like:
    """A solved ticket, or an article, with why it is like this one, in words."""

    one: Alike | Article
    why: list[str]
    where: str = ""
    cause: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """What one department asked of another, in words; `tone` is that of a chip."""

    way: str
    said: str
    tone: str


def beside(conn: Connection, ticket: Ticket, visit: Visit) -> dict[str, Json]:
    """All of it. Of a ticket that is done only what it used and taught is read."""
    seen = visit.sight.assets
    cited = articles.cited_by(conn, ticket.id, seen)
    looks = ticket.is_open and bool(ticket.asset)
    return {
        "alike": _alike(conn, ticket, visit) if looks else [],
        "known": _known(conn, ticket, visit, {one.id for one in cited}) if looks else [],
        "cited": cited,
        "taught": [] if ticket.is_open else articles.of_ticket(conn, ticket.id),
        "may_cite": visit.may(Right.WORK) and ticket.closure not in NOT_A_FAILURE,
        "search_for": f"/knowledge?{urlencode({'text': _words(ticket, visit)})}" if looks else "",
        **_waiting(conn, ticket, visit),
    }


def _alike(conn: Connection, ticket: Ticket, visit: Visit) -> list[Like]:
    found = told(alike(conn, ticket, visit.plant, visit.sight.assets))
    back = came_back(conn, found)
    return [
        Like(
            one=replace(one, came_back=one.ticket in back),
            why=_why(one.why, one.words, visit),
            where=asset_name(visit.plant.asset(one.asset), one.asset, visit.words),
            cause=cause_label(one.cause, visit),
            who=person_name(one.handler, visit.plant),
        )
        for one in found
    ]


def _known(conn: Connection, ticket: Ticket, visit: Visit, cited: set[int]) -> list[Like]:
    found = suggested(conn, ticket, visit.plant, visit.sight.assets)
    new: list[Suggested] = [one for one in found if one.article.id not in cited]
    return [Like(one.article, _why(one.why, one.words, visit)) for one in new[:SHOWN]]


def _why(why: tuple[str, ...], found: tuple[str, ...], visit: Visit) -> list[str]:
    words = visit.words
    return [words(f"knowledge.why_{name}", words=words("list.and").join(found)) for name in why]


def _words(ticket: Ticket, visit: Visit) -> str:
    """What to look for in the knowledge base: the machine's model, or the finding's name where nothing else is said."""
    machine = visit.plant.asset(ticket.asset)
    if machine is not None and machine.model:
        return machine.model
    if ticket.headline.family is Family.REPORT:
        return ""
    known = component_name(ticket.headline.component, visit.words)
    return known or condition_name(ticket.headline.condition, visit.words)


def _waiting(conn: Connection, ticket: Ticket, visit: Visit) -> Mapping[str, Json]:
    plant, words, time = visit.plant, visit.words, visit.time
    asked = acknowledgements.of_ticket(conn, ticket.id) if departments(plant) else ()
    mine = departments(plant).get(visit.actor, "")
    counted = [one for one in enquiries.of_ticket(conn, ticket.id) if one.counted]
    answer = None if ticket.is_open else nps.of_round(conn, ticket)
    return {
        "ways": [_way(one, visit) for one in asked],
        "may_acknowledge": visit.may(Right.WORK)
        and any(one.waits and one.to_department == mine for one in asked),
        "may_enquire": ticket.is_open and visit.may(Right.REPORT),
        "works_on_it": visit.actor in {ticket.assignee, ticket.handler},
        "enquired": words("voice.enquired", n=len(counted), ago=time.ago(counted[0].at_ns))
        if counted
        else "",
        "enquiry_min": f"{plant.voice.enquiry_every_min:g}",
        "nps": words("voice.nps_given", n=answer) if answer is not None else "",
    }


def _way(one: Acknowledgement, visit: Visit) -> Way:
    words, time = visit.words, visit.time
    way = words("voice.way", one=one.from_department, other=one.to_department)
    if one.acknowledged_ns is not None:
        span = time.span((one.acknowledged_ns - one.asked_ns) / SECOND_NS)
        late = one.acknowledged_ns > one.due_ns
        said = words("voice.acknowledged", name=person_name(one.by, visit.plant), span=span)
        return Way(way, said, "high" if late else "")
    if one.void_ns is not None:
        return Way(way, words("voice.void"), "")
    late = time.now_ns > one.due_ns
    return Way(
        way,
        words("voice.late" if late else "voice.waits", at=time.short(one.due_ns)),
        "critical" if late else "high",
    )
