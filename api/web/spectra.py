"""What a spectrum's cursors go by: the shaft's speed and how far it varies, the bearing's orders, the block in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from andon.events import MINUTE_NS, Family, Json, Quality
from andon.plant import Point
from api.catalogue import Words
from api.web.bearings import NAMED_ORDERS
from api.web.charts import Chart
from api.web.formats import number
from api.web.reader import Reader
from detectors.bearing import fault_orders
from ingest.originals import original
from ticketing.ticket import Occurrence

SLIP = 0.01
"""Rolling elements slip: real fault frequencies lie up to so much beside the geometry's (Randall and Antoni, 2011)."""
_SPEED_NS = 30 * MINUTE_NS
_ENDS = (5, 95)  # percentiles: a start-up within the half hour is not the speed of the block
SAID_OF_CURSORS = ("orders", "of_block", "of_mean", "beside", "harmonic", "sideband")
"""What cursors.js says: keys below `cursor`; it fills in the blanks."""
SAID_OF_BLOCKS = ("gone", "summary", "summary_speed")
"""What waveform.js says: keys below `wave`."""
_BEARING_LINES = ("BPFO", "BPFI", "BSF", "FTF")


@dataclass(frozen=True, slots=True)
class Shaft:
    """The shaft at a measuring point when a finding was made: its speed, and from where to where that went then."""

    point: Point
    speed_hz: float
    low_hz: float
    high_hz: float


def shaft_of(head: Occurrence, reader: Reader) -> Shaft | None:
    """The shaft at the finding's point; None where neither the series nor the plant document tells its speed.

    The range is that of the half hour before, or ±1 % of the nominal speed where no speed is measured.
    """
    asset = reader.plant.asset(head.asset)
    point = asset.point(head.text.get("point", "")) if asset else None
    if point is None:
        return None
    since_ns = head.at_ns - _SPEED_NS
    _, value, quality = reader.series.read(head.asset, f"{point.id}/speed_hz", since_ns, head.at_ns)
    good = value[(quality < Quality.BAD) & np.isfinite(value) & (value > 0)]
    if good.size:
        low, high = (float(end) for end in np.percentile(good, _ENDS))
        now = float(good[-1])
        return Shaft(point, now, min(low, now), max(high, now))
    if point.speed_hz:
        return Shaft(point, point.speed_hz, point.speed_hz * 0.99, point.speed_hz * 1.01)
    return None


def equipped(
    charts: Sequence[Chart], head: Occurrence | None, reader: Reader, journals: Path | None
) -> list[Chart]:
    """The spectra with what their cursors need, and the block that they were made of as a figure of its own.

    Where the journal has let the block go, nothing asks for it, and its figure says so.
    """
    if head is None or head.family is not Family.MACHINE_CONDITION:
        return list(charts)
    shaft = shaft_of(head, reader)
    kept = journals is not None and original(journals, head.trace_id) is not None
    address = f"/api/v1/findings/{quote(head.finding)}" if kept else ""
    told = [
        replace(chart, spec=_with_cursors(chart, shaft, address, reader.words))
        if chart.spec["kind"] == "spectrum"
        else chart
        for chart in charts
    ]
    if any(chart.spec["kind"] == "spectrum" for chart in charts):
        told.append(_waveform(address, head.at_ns, reader))
    return told


def _with_cursors(chart: Chart, shaft: Shaft | None, address: str, words: Words) -> dict[str, Json]:
    said = {
        "cursors": {
            "address": f"{address}/{chart.name}" if address else "",
            "speed": _speed(shaft) if shaft else None,
            "orders": _orders(shaft),
            "bearing": _bearing(shaft, words),
            "words": {key: words.patterns(f"cursor.{key}")["other"] for key in SAID_OF_CURSORS},
        },
        "markers": [{**marker, **_range(marker, shaft)} for marker in chart.spec["markers"]],
    }
    return {**chart.spec, **said}


def _speed(shaft: Shaft) -> dict[str, float]:
    return {"hz": shaft.speed_hz, "low": shaft.low_hz, "high": shaft.high_hz}


def _orders(shaft: Shaft | None) -> list[dict[str, Json]]:
    """What a cursor can be sent to, and sidebands spaced by: the shaft and the bearing's four, in orders."""
    if shaft is None:
        return []
    bearing = shaft.point.bearing
    found = [{"name": "1x", "order": 1.0}]
    if bearing is not None:
        orders = fault_orders(bearing)
        found += [{"name": name, "order": getattr(orders, element)} for name, element in NAMED_ORDERS]
    return found


def _range(marker: Mapping[str, Json], shaft: Shaft | None) -> dict[str, float]:
    """From where to where a fault's line may lie: the speed is not constant, and elements slip."""
    if shaft is None or "mains" in marker["name"]:
        return {}
    slip = SLIP if any(line in marker["name"] for line in _BEARING_LINES) else 0.0
    low, high = (end / shaft.speed_hz for end in (shaft.low_hz, shaft.high_hz))
    return {"low": marker["hz"] * low * (1 - slip), "high": marker["hz"] * high * (1 + slip)}


def _bearing(shaft: Shaft | None, words: Words) -> str:
    """The bearing's settings in one line; nothing where there is none."""
    bearing = shaft.point.bearing if shaft else None
    if bearing is None:
        return ""
    return words(
        "cursor.bearing",
        designation=bearing.designation,
        n=bearing.rolling_elements,
        element=number(bearing.element_diameter),
        pitch=number(bearing.pitch_diameter),
        angle=number(bearing.contact_angle_deg),
    )


def _waveform(address: str, at_ns: int, reader: Reader) -> Chart:
    """The figure of the block: the browser fetches what it shows of it."""
    words, time = reader.words, reader.time
    spec = {
        "kind": "waveform",
        "shift_ms": time.shifted_ms(at_ns) - at_ns // 1_000_000,
        "offset": time.at(at_ns).rpartition(" ")[2],
        "address": f"{address}/block" if address else "",
        "words": {key: words.patterns(f"wave.{key}")["other"] for key in SAID_OF_BLOCKS},
    }
    title = words("wave.title")
    columns = (words("wave.time"), words("wave.low"), words("wave.high"))
    return Chart("waveform", title, title, words("wave.about"), spec, columns, ())
