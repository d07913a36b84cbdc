"""What a machine measured around an event that brings no drawing of its own: a stop, a sensor that fell silent."""

import numpy as np

from andon.events import HOUR_NS, MINUTE_NS, Quality
from api.visit import Visit
from api.web.charts import Chart, trend
from ticketing.ticket import Ticket

BEFORE_NS = 2 * HOUR_NS
AFTER_NS = 30 * MINUTE_NS
POINTS = 400
_LEAST = 5


def around(ticket: Ticket, visit: Visit) -> list[Chart]:
    """The trend of the machine's most telling channel around the ticket's last event, if it has any."""
    point = ticket.headline.text.get("point", "")
    channels = {name: unit for name, unit, _, _ in visit.context.series.channels(ticket.asset)}
    for channel in sorted(channels, key=lambda name: (not name.startswith(f"{point}/"), _rank(name))):
        chart = _chart(ticket, channel, channels[channel], visit)
        if chart is not None:
            return [chart]
    return []


def _rank(channel: str) -> tuple[bool, bool, str]:
    return channel == "state" or "band_" in channel, not channel.endswith("velocity_rms"), channel


def _chart(ticket: Ticket, channel: str, sign: str, visit: Visit) -> Chart | None:
    from_ns = ticket.last_event_ns - BEFORE_NS
    until_ns = max(min(ticket.last_event_ns + AFTER_NS, visit.time.now_ns), ticket.last_event_ns)
    at_ns, value, quality = visit.context.series.read(ticket.asset, channel, from_ns, until_ns, POINTS)
    good = (quality < Quality.BAD) & np.isfinite(value)
    if good.sum() < _LEAST:
        return None
    shape = {
        "channel": channel,
        "unit": sign,
        "at_ns": [int(at) for at in at_ns],
        "value": [float(f"{v:.5g}") if ok else None for v, ok in zip(value, good, strict=True)],
        "event_ns": ticket.last_event_ns,
        "until_ns": until_ns,
    }
    return trend(shape, visit.words, visit.time)
