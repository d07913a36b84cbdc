"""The wiring: which piece is given to which. The one place where the middle folders meet."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Engine as Database

from andon.clock import Now
from andon.engine import TakeAndCommit
from andon.pipeline import Pipeline
from andon.ports import Journal
from detectors import build
from detectors.features import features_of
from ingest import deadletters, gaps
from ingest.decode import MessageDecoder
from ingest.series import SeriesStore
from ticketing.service import Tickets


def make_engine(data: Path, journals: Mapping[str, Journal], database: Database, now: Now) -> TakeAndCommit:
    """The engine of a data directory."""
    return TakeAndCommit(
        database=database,
        journals=journals,
        pipeline=Pipeline(MessageDecoder(), features_of, build),
        series=SeriesStore(data / "series.sqlite"),
        apply_findings=Tickets(database).apply,
        save_dead_letters=deadletters.save,
        save_gaps=gaps.save,
        snapshot_folder=data / "snapshots",
        now=now,
    )
