"""Why this person: a decision of routing as a table, everyone weighed with the score, its parts and what speaks against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from andon.events import Json
from api.visit import Visit
from api.web.formats import MISSING, number
from api.web.wording import person_name, rule_name, skills_text
from ticketing.dispatch import Decision, case_of
from ticketing.offers import Offer, OfferState
from ticketing.routing import lacks, need_of
from ticketing.ticket import Candidate, Ticket, TicketState

PARTS = ("load", "distance", "experience", "seniority")
"""The parts of a score, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One row: `parts` has for each part what was found and what it gives to the score, empty where that is nothing."""

    name: str
    company: str
    score: str
    parts: Mapping[str, tuple[str, str]]
    against: list[str]
    named: str


@dataclass(frozen=True, slots=True)
class Why:
    """One decision in the visitor's words."""

    at_ns: int
    what_for: str
    rule: str
    routing: str
    skills: str
    person: str
    backup: str
    offered: list[str]
    plant_version: int
    rows: list[Weighed]


@dataclass(frozen=True, slots=True)
class Asked:
    """One person who was asked, and what became of it."""

    name: str
    state: str
    at_ns: int
    until_ns: int
    reason: str


def why(decision: Decision, visit: Visit) -> Why:
    """A decision as it is shown."""
    words = visit.words
    return Why(
        at_ns=decision.at_ns,
        what_for=words(f"routing.why_{decision.why}"),
        rule=words(f"routing.rule_{decision.rule}"),
        routing=rule_name(decision.routing, visit.plant, words),
        skills=skills_text(decision.need["skills"]) or words("routing.no_skill"),
        person=person_name(decision.person, visit.plant),
        backup=person_name(decision.backup, visit.plant),
        offered=[person_name(one, visit.plant) for one in decision.offer_to],
        plant_version=decision.plant_version,
        rows=[_row(one, decision, visit) for one in decision.candidates],
    )


def asked(offers: Sequence[Offer], visit: Visit) -> list[Asked]:
    """The newest round of offers as it is shown."""
    return [
        Asked(
            name=person_name(one.person, visit.plant),
            state=visit.words(f"offer.{one.state}"),
            at_ns=one.answered_ns or one.at_ns,
            until_ns=one.until_ns,
            reason=one.reason,
        )
        for one in offers
        if one.round == offers[0].round
    ]


def why_of(
    ticket: Ticket, decisions: Sequence[Decision], offers: Sequence[Offer], visit: Visit
) -> Mapping[str, Json]:
    """What the ticket's page says of who does it and why, with the way to try such a ticket out."""
    head = ticket.headline
    kinds = (head.text.get("category", ""), head.condition, str(head.family))
    like = {
        "asset": ticket.asset,
        "type": ticket.type,
        "fault_type": ticket.fault_type or "",
        "kind": next((kind for kind in kinds if kind in visit.plant.skills), ""),
        "priority": ticket.priority,
        "urgent": str(ticket.urgent).lower(),
    }
    return {
        "decisions": [why(one, visit) for one in decisions],
        "asked": asked(offers, visit),
        "collaborators": [
            (person_name(who, visit.plant), visit.words(f"raci.{role}"))
            for who, role in ticket.collaborators.items()
        ],
        "parts": PARTS,
        "take": _way_to_take(ticket, offers, visit),
        "try_link": f"/routing?{urlencode(like)}",
    }


def _way_to_take(ticket: Ticket, offers: Sequence[Offer], visit: Visit) -> str:
    """How the visitor can take the ticket: "offer", "claim", or not at all."""
    person = next((one for one in visit.plant.people if one.id == visit.actor), None)
    if ticket.state is not TicketState.PENDING_DISPATCH or person is None:
        return ""
    if any(one.person == person.id and one.state is OfferState.OPEN for one in offers):
        return "offer"
    return "" if lacks(need_of(case_of(ticket), visit.plant), person) else "claim"


def _row(one: Candidate, decision: Decision, visit: Visit) -> Weighed:
    words = visit.words
    found = {
        "load": words("routing.of", n=one.load, most=one.max_load),
        "distance": MISSING if one.distance_m is None else f"{number(one.distance_m)} m",
        "experience": number(one.done_here),
        "seniority": number(one.seniority),
    }
    roles = {"person": decision.person, "backup": decision.backup}
    return Weighed(
        name=one.name,
        company=one.company,
        score=f"{one.score:.2f}",
        parts={
            part: (found[part], f"+{one.parts[part]:.2f}" if one.parts.get(part) else "") for part in PARTS
        },
        against=[words(f"routing.miss_{miss}") for miss in one.misses],
        named=next((words(f"routing.named_{role}") for role, who in roles.items() if who == one.person), ""),
    )
