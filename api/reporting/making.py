"""Makes one report of an installation: looks everything up in one snapshot, says how far it is, and sets it."""

from pathlib import Path

from sqlalchemy import Engine

from andon import plants
from andon.access.roles import Principal, Right, Role
from andon.config import ConfigError
from andon.database import reading
from api.catalogue import Language, words_of
from api.context import Context
from api.places import Sight
from api.reporting.order import Order
from api.reporting.papers import PAPERS, Step
from api.reporting.setting import fonts, set_pdf
from api.visit import Visit, zone_named
from api.web.formats import PlantTime
from ingest.series import SeriesStore
from ticketing.errors import TicketingError
from ticketing.service import Tickets


class NoReport(ConfigError):
    """What was asked for cannot be made; the text says why."""


def make(database: Engine, data: Path, order: Order, out: Path, *, now_ns: int, step: Step) -> None:
    """Write that report; NoReport or NoFont where it cannot be made."""
    paper = PAPERS.get(order.name)
    if paper is None:
        raise NoReport(f"there is no report {order.name!r}; one of: {', '.join(PAPERS)}")
    fonts(order.language)  # refused before the work, not after it
    with reading(database) as conn:
        visit = _reader(database, data, order.language, now_ns)
        try:
            sheet = paper.gather(conn, visit, order.about, step)
        except (ValueError, TicketingError) as error:
            raise NoReport(f"{order.name}: {error}") from error
    made = visit.words("paper.made_at", at=visit.time.at(now_ns))
    set_pdf(sheet, out, plant=visit.plant.name, made=made, language=order.language)


def _reader(database: Engine, data: Path, language: Language, now_ns: int) -> Visit:
    """Whoever opens the file sees the whole plant: who may ask for it, its route says."""
    plant = plants.Current(database)
    context = Context(
        database=database,
        series=SeriesStore(data / "series.sqlite", read_only=True),
        tickets=Tickets(database, photos=data / "photos", channels=()),
        plant=plant,
        now=lambda: now_ns,
        status=dict,
        token=None,
        readiness=list,
        photos=data / "photos",
    )
    document, words = plant(), words_of(language)
    everywhere = Principal("report", frozenset({Role.VIEWER}), frozenset({Right.READ}))
    return Visit(
        context=context,
        plant=document,
        words=words,
        time=PlantTime(zone_named(document.time_zone), now_ns, words),
        theme="light",
        actor="report",
        sight=Sight.of(everywhere, document),
    )
