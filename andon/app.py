"""The wiring: which piece is given to which. The one place where the middle folders meet."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Engine as Database

from andon import history
from andon.clock import Now
from andon.config import Keeping
from andon.engine import TakeAndCommit
from andon.pipeline import Pipeline
from andon.plant import Plant
from andon.ports import Journal
from detectors import build
from detectors.features import features_of
from detectors.hearing import heard
from ingest import freshness, gaps
from ingest.decode import MessageDecoder
from ingest.retention import rotate_ns
from ingest.series import SeriesStore
from ticketing import maintenance
from ticketing.book import BUS
from ticketing.plans.readings import Feeding
from ticketing.service import Tickets

_KEEPING = Keeping()


def check_detectors(plant: Plant) -> None:
    """ConfigError if a detector that the plant document names does not exist or cannot take its settings."""
    for asset in plant.assets:
        build(asset, plant)


def make_tickets(data: Path, database: Database, *, notify: bool) -> Tickets:
    """The tickets of a data directory; `notify` lets them tell of themselves on the bus."""
    return Tickets(database, photos=data / "photos", channels=(BUS,) if notify else ())


def make_engine(
    data: Path,
    journals: Mapping[str, Journal],
    database: Database,
    now: Now,
    *,
    notify: bool = False,
    keeping: Keeping = _KEEPING,
) -> TakeAndCommit:
    """The engine of a data directory."""
    return TakeAndCommit(
        database=database,
        journals=journals,
        pipeline=Pipeline(MessageDecoder(), features_of, build, heard),
        series=SeriesStore(data / "series.sqlite"),
        apply_findings=make_tickets(data, database, notify=notify).apply,
        take_declared=maintenance.take,
        save_gaps=gaps.save,
        save_heard=freshness.save,
        take_meters=Feeding().take,
        snapshot_folder=data / "snapshots",
        keep_order=lambda batches: history.keep(data, batches, now(), rotate_ns(keeping)),
        dead_letters_max=keeping.dead_letters,
        now=now,
    )
