"""Evidence as charts: what the browser draws, and the same in words and as a table for those who do not see it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from andon.events import SECOND_NS, Json
from api.catalogue import Words
from api.web.formats import PlantTime, number, quantity, unit

MOST_ROWS = 24
BAND = re.compile(r"band_(\d+)_(\d+)(?:\.\d+)?")
MOST_PEAKS = 6
MOST_BARS = 16
_TERMS = re.compile(r"\b(?:axial|load|mains|speed)\b")
_STEPS = frozenset({"active", "state", "stops"})
"""Quantities that stay what they are until the next value: drawn as steps."""

MAIN_MARKER = {
    "bearing_outer_race": "BPFO",
    "bearing_inner_race": "BPFI",
    "bearing_rolling_element": "BSF",
    "bearing_cage": "FTF",
    "imbalance": "1x",
    "misalignment": "2x",
    "looseness": "½x",
    "electrical": "2×mains",
}
"""Condition -> the frequency whose markers stand out."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure, `label` on its tab: `spec` is drawn by api/web/static/charts.js, `rows` are its numbers under `columns`.

    `more` are the rows of a course's second table: from, to, lane, what.
    """

    name: str
    label: str
    title: str
    summary: str
    spec: Mapping[str, Json]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: tuple[tuple[str, ...], ...] = ()


def charts_of(
    evidence: Mapping[str, Json], condition: str, words: Words, time: PlantTime, onset_ns: int | None = None
) -> list[Chart]:
    """The charts that the evidence holds, the most telling one for that condition first; the trend marks the onset."""
    charts = []
    for name in ("trend", "trend_beside", "contributions", "envelope", "spectrum"):
        shape = evidence.get(name)
        if not shape or not shape.get("value"):
            continue
        if name == "trend":
            charts.append(
                trend({**shape, "onset_ns": onset_ns, "forecast": evidence.get("forecast")}, words, time)
            )
        elif name == "trend_beside":
            beside = trend({**shape, "forecast": evidence.get("forecast_beside")}, words, time)
            charts.append(replace(beside, name=name))
        elif name == "contributions":
            charts.append(_contributions(shape, evidence, words))
        else:
            charts.append(_spectrum(name, shape, MAIN_MARKER.get(condition, ""), words))
    first = "envelope" if condition.startswith("bearing_") else "trend"
    return sorted(charts, key=lambda chart: chart.name != first)


def term(name: str, words: Words) -> str:
    """The name of a line or a state with the words in it in the reader's language: `2×mains`, `speed 24.7 Hz`."""
    return _TERMS.sub(lambda found: words(f"term.{found[0]}"), name)


def quantity_name(channel: str, words: Words) -> str:
    """What a channel measures, in words where the catalogue has some: `DE/velocity_rms` is "velocity RMS, DE"."""
    point, _, measured = channel.rpartition("/")
    key = f"quantity.{measured}"
    name = words(key) if key in words else measured
    if (band := BAND.fullmatch(measured)) is not None:
        name = words("chart.band", low=number(float(band[1])), high=number(float(band[2])))
    place = words(f"place.{point}") if f"place.{point}" in words else point
    return words("chart.channel", name=name, point=place) if point else name


def trend(shape: Mapping[str, Json], words: Words, time: PlantTime) -> Chart:
    """A value over time, with zones, limit and baseline where it has them.

    `event_ns` marks a moment, and `until_ns` is how far the axis goes then, so that silence shows. `onset_ns` marks
    where a condition began, and `forecast` draws when a limit is reached, if that can be said.
    """
    at_ns: Sequence[int] = shape["at_ns"]
    value: Sequence[float | None] = shape["value"]
    sign, name = shape["unit"], quantity_name(shape["channel"], words)
    limit, baseline = shape.get("limit"), shape.get("baseline")
    said = {"limit": words("chart.limit", value=quantity(limit, sign)) if limit is not None else ""}
    said["baseline"] = words("chart.baseline", value=quantity(baseline, sign)) if baseline is not None else ""
    spec: dict[str, Json] = {
        "kind": "trend",
        "name": name,
        "unit": unit(sign),
        "at_ms": [time.shifted_ms(at) for at in at_ns],
        "times": [time.at(at) for at in at_ns],
        "value": value,
        "limit": limit,
        "baseline": baseline,
        "zones": with_last_zone(shape.get("zones") or ()),
        "words": said,
        "steps": shape["channel"].rpartition("/")[2] in _STEPS,
        "marks": [],
    }
    if shape.get("onset_ns") is not None and at_ns[0] <= shape["onset_ns"] <= at_ns[-1]:
        spec["marks"].append({"at_ms": time.shifted_ms(shape["onset_ns"]), "name": words("chart.onset")})
    if shape.get("event_ns"):
        spec["marks"].append({"at_ms": time.shifted_ms(shape["event_ns"]), "name": words("chart.event")})
        spec["until_ms"] = time.shifted_ms(shape["until_ns"])
    spec |= foretold(shape.get("forecast"), sign, words, time)
    full = _trend_summary(shape, name, words, time)
    columns = (words("chart.time"), f"{name}, {unit(sign)}" if unit(sign) else name)
    rows = tuple((time.at(at_ns[i]), number(value[i])) for i in spread(len(value)))
    label = quantity_name(shape["channel"].rpartition("/")[2], words)
    return Chart("trend", label, words("chart.trend_title", name=name), full, spec, columns, rows)


def foretold(
    forecast: Mapping[str, Json] | None, sign: str, words: Words, time: PlantTime
) -> dict[str, Json]:
    """The forecast's interval for the drawing; nothing where it does not know."""
    if forecast is None or forecast["at_ns"] == "unknown":
        return {}
    at_ns = [forecast["at_ns"][name] for name in ("low", "median", "high")]
    foretold = {
        "at_ms": [time.shifted_ms(at) for at in at_ns],
        "times": [time.at(at) for at in at_ns],
        "limit": forecast["limit"],
        "name": words("chart.forecast", value=quantity(forecast["limit"], sign)),
    }
    return {"forecast": foretold}


def _contributions(shape: Mapping[str, Json], evidence: Mapping[str, Json], words: Words) -> Chart:
    """How much each channel carries, the largest first."""
    carried = sorted(zip(shape["channel"], shape["value"], strict=True), key=lambda pair: -abs(pair[1]))
    named = [(quantity_name(channel, words), value) for channel, value in carried[:MOST_BARS]]
    trend_of = evidence.get("trend") or {}
    sign, limit = trend_of.get("unit", ""), trend_of.get("limit")
    spec = {
        "kind": "bars",
        "unit": unit(sign),
        "name": [name for name, _ in named],
        "value": [value for _, value in named],
        "limit": limit,
        "words": {"limit": words("chart.limit", value=quantity(limit, sign)) if limit is not None else ""},
    }
    title = words("chart.contributions_title")
    summary = words("chart.contributions_summary", name=named[0][0], value=quantity(named[0][1], sign))
    columns = (words("asset.channel"), words("chart.contribution"))
    rows = tuple((name, quantity(value, sign)) for name, value in named)
    return Chart("contributions", title, title, summary, spec, columns, rows)


def _trend_summary(shape: Mapping[str, Json], name: str, words: Words, time: PlantTime) -> str:
    at_ns, sign = shape["at_ns"], shape["unit"]
    known = [here for here in shape["value"] if here is not None]
    said = []
    if known:
        first, last, highest = (quantity(one, sign) for one in (known[0], known[-1], max(known)))
        span = time.span((at_ns[-1] - at_ns[0]) / SECOND_NS)
        said.append(
            words("chart.trend_summary", name=name, first=first, last=last, highest=highest, span=span)
        )
    said += [
        words(f"chart.trend_{line}", value=quantity(shape[line], sign))
        for line in ("limit", "baseline")
        if shape.get(line) is not None
    ]
    return " ".join(said)


def _spectrum(name: str, shape: Mapping[str, Json], main: str, words: Words) -> Chart:
    value: Sequence[float] = shape["value"]
    step_hz, sign = shape["dx_hz"], shape["unit"]
    markers = [
        {"name": term(m["name"], words), "hz": m["hz"], "main": bool(main) and main in m["name"]}
        for m in shape.get("markers", ())
    ]
    spec: dict[str, Json] = {
        "kind": "spectrum",
        "name": words(f"chart.{name}_title"),
        "unit": unit(sign),
        "unit_code": sign,
        "dx_hz": step_hz,
        "value": value,
        "markers": markers,
    }
    highest = max(range(len(value)), key=value.__getitem__)
    summary = words(
        "chart.spectrum_summary",
        amplitude=quantity(value[highest], sign),
        frequency=quantity(highest * step_hz, "Hz"),
    )
    spec["words"] = {
        "summary": words.patterns("chart.spectrum_summary")["other"],
        "amplitude": words.patterns("chart.amplitude")["other"],
        "marked": "",
    }
    marked = [m["name"] for m in markers if m["main"]] or [m["name"] for m in markers]
    if marked:
        spec["words"]["marked"] = words("chart.spectrum_marked", names=words("list.and").join(marked))
        summary = f"{summary} {spec['words']['marked']}"
    columns = (words("chart.marker"), words("chart.frequency"), words("chart.amplitude", unit=unit(sign)))
    rows = tuple(_peak_rows(value, step_hz, markers))
    title = words(f"chart.{name}_title")
    return Chart(name, title, title, summary, spec, columns, rows)


def _peak_rows(
    value: Sequence[float], step_hz: float, markers: Sequence[Mapping[str, Json]]
) -> Iterator[tuple[str, str, str]]:
    """Each marker with the highest line beside it, then the highest lines that no marker explains."""
    explained: set[int] = set()
    for marker in markers:
        centre = round(marker["hz"] / step_hz)
        beside = [i for i in range(centre - 2, centre + 3) if 0 <= i < len(value)]
        if not beside:
            continue
        explained.update(beside)
        yield marker["name"], number(marker["hz"]), number(max(value[i] for i in beside))
    peaks = [
        i for i in range(1, len(value) - 1) if value[i - 1] < value[i] >= value[i + 1] and i not in explained
    ]
    for i in sorted(peaks, key=value.__getitem__, reverse=True)[:MOST_PEAKS]:
        yield "", number(i * step_hz), number(value[i])


def with_last_zone(zones: Sequence[Mapping[str, Json]]) -> list[Json]:
    """The zones with the one that lies above the last limit."""
    if not zones or zones[-1]["to"] is None:
        return list(zones)
    return [*zones, {"name": chr(ord(zones[-1]["name"]) + 1), "to": None}]


def spread(count: int) -> list[int]:
    """At most MOST_ROWS indices, evenly spread, the first and the last among them."""
    if count <= MOST_ROWS:
        return list(range(count))
    return [round(i * (count - 1) / (MOST_ROWS - 1)) for i in range(MOST_ROWS)]
