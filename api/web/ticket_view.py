"""The page of one ticket, as it is looked at and as it comes back when a form on it was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from andon import declarations
from andon.database import reading
from andon.declarations import Entry
from andon.events import Json
from api.pages import render
from api.visit import Visit
from api.web import history, request_files
from api.web.charts import Chart, charts_of
from api.web.choices import choices_of
from api.web.clock_rows import shown
from api.web.course import Course, course_of, spec_of
from api.web.evidence import evidence_of
from api.web.explained import grounds, number_row
from api.web.folding import folding_of
from api.web.learned import beside
from api.web.measures import Elsewhere, elsewhere_of
from api.web.next_step import suggested_of, what_next
from api.web.partner_pages import Kept, kept_of
from api.web.reader import Reader
from api.web.refused import FIELDS, Refused
from api.web.remembered import Solved, closed_like, last_time, likely_causes
from api.web.report_page import about
from api.web.sources import forecast_of
from api.web.spectra import equipped
from api.web.ticket_money import Check, Money, checks_of, lacking_of, money_of
from api.web.ticket_operations import operations_of
from api.web.ticket_parts import Waiting, waiting_of
from api.web.weighed import why_of
from api.web.wording import asset_name, component_name, condition_name, limit_sources, score_text, verdict
from api.web.work import work_of
from ticketing import dispatch, findings, offers, reports, store
from ticketing.clocks import readings
from ticketing.dispatch import Decision
from ticketing.offers import Offer
from ticketing.requests import attachments
from ticketing.requests.attachments import Attachment
from ticketing.states import OUTCOMES
from ticketing.suppressing import InForce
from ticketing.suppression import Suppression
from ticketing.ticket import Occurrence, TicketState

SHOWN = 6  # occurrences on a page at first
MOST = 2000
DEEDS = 10
"""Lines of the activity on a page at first."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that the page is made of, read in one snapshot."""

    detail: store.TicketDetail
    evidence: Mapping[str, Json]
    head: Occurrence | None
    own: Mapping[str, Json]
    reported: Sequence[Occurrence]
    files: Sequence[Attachment]
    decided: Sequence[Decision]
    offered: Sequence[Offer]
    began: Entry | None
    held: Sequence[Suppression]
    course: Chart | None
    like: Sequence[Solved]
    money: Money
    checks: Sequence[Check]
    kept_by: Sequence[Kept]
    parts: Sequence[Waiting]
    elsewhere: Elsewhere | None
    operations: Mapping[str, Json]


def show(
    request: Request,
    visit: Visit,
    ticket_id: int,
    *,
    everything: bool = False,
    refused: Refused | None = None,
) -> Response:
    """The page; what was `refused` stands in its form again, with what is wrong beside its field."""
    here = f"/tickets/{ticket_id}"
    with reading(visit.context.database) as conn:
        found = _look(conn, visit, ticket_id, MOST if everything else SHOWN)
        learned = beside(conn, found.detail.ticket, visit)
    values = _at_the_top(found, visit) | _grounds(found, visit) | _course(found, visit)
    values |= _forms(found, visit, refused) | learned
    values["printing"] = visit.context.printing is not None
    answer = render(request, visit, "ticket.html", "tickets", here=here if refused else None, **values)
    if refused:
        answer.status_code = 422
        answer.headers["HX-Replace-Url"] = here
    return answer


def _look(conn: Connection, visit: Visit, ticket_id: int, most: int) -> _Found:
    detail = visit.sight.of_detail(store.ticket(conn, ticket_id, limit=most))
    ticket = detail.ticket
    machine = visit.plant.asset(ticket.asset)
    course = _course_of(conn, detail, visit)
    reported = reports.told(conn, ticket_id)
    return _Found(
        detail=detail,
        evidence=course.evidence,
        head=course.head,
        own=store.evidence(conn, ticket.headline.finding) or {},
        reported=reported,
        files=attachments.of_ticket(conn, ticket_id) if reported else (),
        decided=dispatch.decisions(conn, ticket_id),
        offered=offers.of(conn, ticket_id),
        began=declarations.maintained(conn, ticket.asset).get(ticket.asset),
        held=InForce(conn, visit.plant, visit.context.now()).on(machine) if machine else [],
        course=course_of(conn, course, Reader.of(visit)),
        like=closed_like(conn, ticket),
        money=money_of(conn, ticket, visit),
        checks=checks_of(conn, ticket, visit),
        kept_by=kept_of(conn, ticket_id, visit),
        parts=waiting_of(conn, detail.requisitions, visit),
        elsewhere=elsewhere_of(conn, ticket, visit),
        operations=operations_of(conn, ticket, visit),
    )


def _course_of(conn: Connection, detail: store.TicketDetail, visit: Visit) -> Course:
    ticket = detail.ticket
    head = findings.finding(conn, ticket.headline.finding)
    return Course(ticket, head, evidence_of(conn, detail), history.activity(detail.events, visit))


def closer(visit: Visit, ticket_id: int, seen_ms: tuple[int, int], whole_ms: tuple[int, int]) -> Json:
    """The course again, its channels as fine as the stretch that is looked at allows; None where nothing is stored."""
    time = visit.time
    seen, whole = ((time.unshifted_ns(a), time.unshifted_ns(b)) for a, b in (seen_ms, whole_ms))
    with reading(visit.context.database) as conn:
        course = _course_of(conn, store.ticket(conn, ticket_id, limit=1), visit)
        return spec_of(conn, course, Reader.of(visit), whole, seen)


def _at_the_top(found: _Found, visit: Visit) -> dict[str, Json]:
    """The headline, the state, and who is responsible."""
    ticket, words = found.detail.ticket, visit.words
    return {
        "ticket": ticket,
        "what": condition_name(ticket.headline.condition, words),
        "asset_name": asset_name(visit.plant.asset(ticket.asset), ticket.asset, words),
        "component": component_name(ticket.headline.component, words),
        "verdict": verdict(ticket.headline, words, visit.time),
        "confidence": score_text(ticket.headline.confidence),
        "sources": limit_sources(ticket.headline.numbers, words),
        "states": list(TicketState),
        "reached": list(TicketState).index(ticket.state),
        "maintenance": found.began,
        "held": found.held,
        "chain": history.chain(found.detail, visit),
    }


def _grounds(found: _Found, visit: Visit) -> dict[str, Json]:
    """What the machine showed, and why that is a finding."""
    ticket, head, words, reader = found.detail.ticket, found.head, visit.words, Reader.of(visit)
    rows = [number_row(one, words, visit.time) for one in ticket.headline.numbers]
    drawn = charts_of(found.evidence, ticket.headline.condition, words, visit.time)
    charts = [chart for chart in drawn if chart.spec["kind"] != "trend"]
    if found.course is not None:
        charts.insert(1 if charts and ticket.headline.condition.startswith("bearing_") else 0, found.course)
    return {
        "head": head,
        "forecast": forecast_of(found.evidence, words, visit.time),
        "limits": [row for row in rows if row.limit],
        "grounds": grounds(head, found.own, reader) if head else [],
        "charts": equipped(charts, head, reader, visit.context.journals),
        "tuned_at": _tuned_at(head, visit) if head else "",
    }


def _tuned_at(head: Occurrence, visit: Visit) -> str:
    """Where the detector that found it is tuned: by its class, unless the machine has detectors of its own."""
    asset = visit.plant.asset(head.asset)
    if asset is None or head.detector not in {one.kind for one in visit.plant.detectors_of(asset)}:
        return ""
    is_own = any(one.kind == head.detector for one in asset.detectors)
    whose = f"asset:{asset.id}" if is_own else f"class:{asset.asset_class}"
    return f"/detectors?{urlencode({'whose': whose, 'kind': head.detector})}"


def _course(found: _Found, visit: Visit) -> dict[str, Json]:
    """What happened to it: occurrences, people, deeds, what solved it."""
    detail = found.detail
    ticket = detail.ticket
    deeds = history.activity(detail.events, visit)
    return {
        **folding_of(detail, visit),
        "clocks": shown(readings(ticket, detail.events, visit.plant, visit.context.now()), visit),
        "activity": deeds[:DEEDS],
        "earlier": deeds[DEEDS:],
        "solution": history.solution(ticket, visit),
        "photos": [history.picture(photo, visit) for photo in detail.photos],
        "files": request_files.shown(ticket.id, found.files, visit),
        "related": history.related(detail, visit),
        "elsewhere": found.elsewhere,
        **found.operations,
        **why_of(ticket, found.decided, found.offered, visit),
    }


def _forms(found: _Found, visit: Visit, refused: Refused | None) -> dict[str, Json]:
    """What can be done next, and what its forms offer."""
    steps = what_next(found.detail, visit, lacking_of(found.money, found.checks))
    edited = refused if refused and refused.step == FIELDS else None
    return {
        "main": steps.main,
        "others": steps.others,
        "suggested": suggested_of(found.detail.ticket),
        "outcomes": OUTCOMES,
        "proposal": found.detail.proposal,
        "likely": likely_causes(found.like, found.detail.ticket, visit),
        "last_time": last_time(found.like, found.detail.ticket, visit),
        "choices": choices_of(found.detail, visit),
        "work": work_of(found.detail, found.parts, visit),
        "money": found.money,
        "checks": found.checks,
        "kept_by": found.kept_by,
        "refused": refused,
        "wrong": edited.wrong if edited else {},
        **about(found.detail.ticket, found.reported, visit, edited.given if edited else None),
    }
