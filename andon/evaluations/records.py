"""What the product's bearing detector says of one long record: the way of a portable instrument, not of a sensor.

There is one block and no history, so what a single look shows is said at once.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from andon.events import Action, Float32, Json, Origin, Waveform
from andon.plant import Asset, Bearing, DetectorSettings, Plant, Point
from detectors import build

KIND = "bearing_element"
PARAMETERS: dict[str, Json] = {
    "decide_revolutions": 20.0,
    "confirm": 1,
    "unknown_confirm": 1,
    "unknown_rise": 0.0,
}
"""One record is all there is: nothing to compare it with, and nobody to ask again."""

ELEMENTS = {
    "bearing_inner_race": "inner",
    "bearing_outer_race": "outer",
    "bearing_rolling_element": "ball",
    "bearing_unknown": "unknown",
}


def diagnosis(samples: Float32, rate_hz: float, speed_hz: float, bearing: Bearing) -> dict[str, Json]:
    """Whether damage was seen, the element that was named, and how sure that is; `samples` (n, sensors) in g."""
    point = Point(id="DE", component="bearing", kind="waveform", bearing=bearing, speed_hz=speed_hz)
    kind = DetectorSettings(kind=KIND, parameters=PARAMETERS)
    asset = Asset(
        id="rig", name="rig", asset_class="rig", path="e/s/a/l/c", points=(point,), detectors=(kind,)
    )
    (detector,) = build(asset, Plant(name="rig", assets=(asset,)))
    record = Waveform(asset.id, point.id, 0, rate_hz, samples, "g", None, Origin("recording", 0, 0))
    raised = [finding for finding in detector.update(record) if finding.action is Action.RAISE]
    return {
        "detected": bool(raised),
        "element": ELEMENTS[raised[0].condition] if raised else "none",
        "confidence": raised[0].confidence if raised else 0.0,
    }


def counts(rows: Sequence[dict[str, Json]], truth: Callable[[str], str]) -> dict[str, Json]:
    """How many records were named right, left unknown, not seen, named wrong, and flagged though healthy."""
    found = Counter(_word(row, truth(row["file"])) for row in rows)
    words = ("right", "unknown", "not_seen", "wrong", "healthy_silent", "healthy_flagged")
    return {"records": len(rows), **{word: found[word] for word in words}}


def _word(row: dict[str, Json], truth: str) -> str:
    if truth == "none":
        return "healthy_flagged" if row["detected"] else "healthy_silent"
    if row["element"] == truth:
        return "right"
    return {"none": "not_seen", "unknown": "unknown"}.get(row["element"], "wrong")
