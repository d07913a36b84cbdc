"""Reports as PDF from the console: chosen, watched while they are made, and kept (rule 77)."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from api import papers
from api.catalogue import LANGUAGES
from api.pages import render
from api.refused import Refused
from api.reporting.order import Order
from api.reporting.papers import PAPERS, Asks
from api.rights import needs
from api.visit import VisitOf
from api.web.forms import Form, field_of
from ticketing.metrics.periods import ROLLING, month_at, months_before

router = APIRouter(dependencies=[needs(Right.READ)])
PLACE = "/papers"
MONTHS = 12


@router.get(PLACE)
def all_papers(request: Request, visit: VisitOf) -> Response:
    """The reports that can be had, and those that were made lately."""
    zone = visit.plant.time_zone
    current = month_at(visit.time.now_ns, zone)
    months = [one.name for one in (current, *reversed(months_before(current, MONTHS, zone)))]
    return render(
        request,
        visit,
        "papers.html",
        "kpi",
        monthly=[one.name for one in PAPERS.values() if one.asks is Asks.MONTH],
        daily=[one.name for one in PAPERS.values() if one.asks is Asks.DAY],
        months=[months[1], months[0], *months[2:], ROLLING],
        languages=LANGUAGES,
        recent=papers.recent(visit),
    )


@router.post(PLACE)
def order(visit: VisitOf, form: Form) -> Response:
    """Have one made, and go where it can be watched."""
    name, language = field_of(form, "name"), field_of(form, "language")
    if name not in PAPERS or language not in LANGUAGES:
        raise Refused(422, "no_such_report", "there is no such report, or not in that language")
    about = field_of(form, "about").strip()
    paper_id = papers.ordered_by(visit, Order(name, about, "zh" if language == "zh" else "en"))
    return RedirectResponse(f"{PLACE}/{paper_id}", 303)


@router.get(PLACE + "/{paper_id}")
def paper(request: Request, visit: VisitOf, paper_id: str) -> Response:
    """How far it is; the page looks again each second until it is done."""
    return render(request, visit, "paper.html", "kpi", paper=papers.printed(visit, paper_id))


@router.get(PLACE + "/{paper_id}/pdf")
def pdf(visit: VisitOf, paper_id: str) -> Response:
    """The file."""
    return papers.file_of(papers.printed(visit, paper_id))
