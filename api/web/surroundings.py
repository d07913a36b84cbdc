"""What a machine measured around an event that brings no drawing of its own: a stop, a sensor that fell silent."""

from dataclasses import dataclass

import numpy as np

from andon.events import HOUR_NS, MINUTE_NS, Json, Quality
from api.web.charts import Chart, trend
from api.web.reader import Reader
from ingest.series import SeriesStore
from ticketing.ticket import Ticket

BEFORE_NS = 2 * HOUR_NS
AFTER_NS = 30 * MINUTE_NS
POINTS = 400
_LEAST = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened to a machine, and at which of its points, where that is known."""

    asset: str
    point: str
    at_ns: int


def moment_of(ticket: Ticket) -> Moment:
    """The ticket's last event."""
    return Moment(ticket.asset, ticket.headline.text.get("point", ""), ticket.last_event_ns)


def around(moment: Moment, reader: Reader) -> list[Chart]:
    """The trend of the machine's most telling channel around that moment, if it has any."""
    channels = {name: unit for name, unit, _, _ in reader.series.channels(moment.asset)}
    for channel in sorted(channels, key=lambda name: (not name.startswith(f"{moment.point}/"), rank(name))):
        shape = _shape(moment, channel, reader.series, reader.time.now_ns)
        if shape is not None:
            return [trend({**shape, "unit": channels[channel]}, reader.words, reader.time)]
    return []


def rank(channel: str) -> tuple[bool, bool, str]:
    """How much a channel tells of a machine's health: the lowest rank tells most."""
    return channel == "state" or "band_" in channel, not channel.endswith("velocity_rms"), channel


def _shape(moment: Moment, channel: str, series: SeriesStore, now_ns: int) -> dict[str, Json] | None:
    from_ns = moment.at_ns - BEFORE_NS
    until_ns = max(min(moment.at_ns + AFTER_NS, now_ns), moment.at_ns)
    at_ns, value, quality = series.read(moment.asset, channel, from_ns, until_ns, POINTS)
    good = (quality < Quality.BAD) & np.isfinite(value)
    if good.sum() < _LEAST:
        return None
    return {
        "channel": channel,
        "at_ns": [int(at) for at in at_ns],
        "value": [float(f"{v:.5g}") if ok else None for v, ok in zip(value, good, strict=True)],
        "event_ns": moment.at_ns,
        "until_ns": until_ns,
    }
