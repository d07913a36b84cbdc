"""Whom a finding is told: with the plant as it is now and its series, in the reader's words and by the plant's clock."""

from dataclasses import dataclass

from andon.plant import Plant
from api.catalogue import Words
from api.visit import Visit
from api.web.formats import PlantTime
from ingest.series import SeriesStore


@dataclass(frozen=True, slots=True)
class Reader:
    """A visitor of the console, or whoever will open a file."""

    plant: Plant
    series: SeriesStore
    words: Words
    time: PlantTime

    @classmethod
    def of(cls, visit: Visit) -> "Reader":
        """The visitor."""
        return cls(visit.plant, visit.context.series, visit.words, visit.time)
