"""Where limits come from and why a forecast does not know, in the reader's language: detectors say both in English."""

import re
from collections.abc import Mapping

from andon.events import Json
from api.catalogue import Words
from api.web.charts import quantity_name
from api.web.formats import PlantTime, quantity

_SIGMAS = r"(?P<sigmas>[\d.e+]+) sigma and (?P<margin>[\d.e+]+) x "
PARTS = tuple(
    (re.compile(pattern), f"source.{name}")
    for name, pattern in (
        ("baseline", r"frozen baseline v(?P<n>\d+)"),
        ("first_blocks", r"first blocks"),
        ("not_learned", r"baseline not yet learned"),
        ("own_steps", _SIGMAS + "its own steps"),
        ("furthest_day", _SIGMAS + "its furthest day"),
        ("returned", _SIGMAS + "what returned before"),
        ("ratio", r"ratio (?P<ratio>[\d.e+]+)"),
        ("standstill", r"(?P<times>[\d.e+]+) x its longest standstill"),
        ("periods", r"(?P<times>[\d.e+]+) × period"),
        ("at_least", r"at least (?P<span>[\d.e+]+) s"),
        ("within", r"within (?P<span>[\d.e+]+) s"),
        ("usual_delay", r"its usual delay"),
        ("ten_minutes", r"first ten minutes"),
        ("intervals", r"own habit of the first (?P<n>\d+) intervals"),
        ("neighbours", r"its neighbours"),
        ("no_word", r"no good word for so long"),
        ("own_past", r"own past of the channel"),
        ("running_hours", r"its own (?P<n>\d+) running hours"),
        ("first_stops", r"its first stops"),
        ("comb", r"comb against unrelated orders"),
        ("envelope", r"background of its envelope spectrum"),
        ("last_rows", r"its last rows"),
        ("unknown_state", r"readings in a row in no known state"),
        ("chattering", r"ISA-18\.2: activations within a minute"),
        ("fleeting", r"ISA-18\.2: fleeting alarms within an hour"),
        ("standing", r"ISA-18\.2: stale alarm"),
        ("quarter", r"a quarter of B/C"),
        ("baseline_quarter", r"baseline \+ a quarter of B/C"),
    )
)
"""A part of what a detector says, and the key of its sentence; what is not here is a name ("ISO 10816-3:2009")."""

REASONS = {
    "no clear rise": "no_rise",
    "the rise is uneven: it was not foreseeable so far": "uneven",
    "too far ahead for what was seen so far": "too_far",
    "no limit is known for this channel": "no_limit",
    "too few values since it began": "too_few",
    "values that are not above 0": "not_positive",
    "times that do not rise": "times",
    "the limit has been reached": "reached",
}
"""What `detectors.forecast` gives as its reason, and the key of the same in words."""


def limit_source(source: str, words: Words, time: PlantTime) -> str:
    """Where a limit comes from: `4 sigma and 2 x its own steps, frozen baseline v2`, part by part."""
    return words("list.and").join(_part(part, words, time) for part in source.split(", ")) if source else ""


def _part(part: str, words: Words, time: PlantTime) -> str:
    for pattern, key in PARTS:
        if (match := pattern.fullmatch(part)) is not None:
            arguments = match.groupdict()
            if "span" in arguments:
                arguments["span"] = time.span(float(arguments["span"]))
            return words(key, **arguments)
    return part


def forecast_of(evidence: Mapping[str, Json], words: Words, time: PlantTime) -> str:
    """When each trend that is shown reaches its limit, or why that cannot be said; nothing where nothing is foretold."""
    pairs = (("forecast", "trend"), ("forecast_beside", "trend_beside"))
    said = [
        _foretold(evidence[forecast], evidence[trend], words, time)
        for forecast, trend in pairs
        if evidence.get(forecast) and evidence.get(trend)
    ]
    return " ".join(said)


def _foretold(forecast: Mapping[str, Json], trend: Mapping[str, Json], words: Words, time: PlantTime) -> str:
    name, at_ns = quantity_name(trend["channel"], words), forecast["at_ns"]
    if at_ns == "unknown":
        key = REASONS.get(forecast["reason"])
        reason = words(f"forecast.{key}") if key else forecast["reason"]
        return words("explain.no_forecast", name=name, reason=reason)
    times = {moment: time.at(at_ns[moment]) for moment in ("low", "median", "high")}
    limit, share = quantity(forecast["limit"], trend["unit"]), f"{100 * forecast['confidence']:.0f} %"
    return words("explain.forecast_sentence", name=name, limit=limit, share=share, **times)
