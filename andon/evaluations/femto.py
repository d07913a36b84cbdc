"""FEMTO-ST PRONOSTIA: how long before the end of a bearing's life its one ticket comes.

The end of a recording is the failure (vibration over 20 g); seconds count from its first snapshot.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from andon.evaluations.line import Line
from andon.events import MINUTE_NS, SECOND_NS, Action, Json, Origin, Waveform
from simulators import recordings

PARAMETERS: dict[str, Json] = {"band_energy": "defaults", "bearing_element": "defaults"}


def files(folder: Path) -> list[Path]:
    """The bearings, by name. FileNotFoundError if there are none."""
    found = sorted(folder.glob("Bearing*_*.npz"))
    if not found:
        raise FileNotFoundError(f"there is no Bearing*_*.npz in {folder}")
    return found


def rate(path: Path, folder: Path, scores: Path | None) -> dict[str, Json]:
    """One bearing from new to failed."""
    del scores
    recording = recordings.femto(path, 0)
    asset = recording.plant.assets[0]
    with Line(asset, recording.plant) as line:
        for number, samples in enumerate(recording.samples):
            at_ns = number * recordings.PERIOD_NS
            block = samples.astype("float32") * recordings.MILLI_G
            origin = Origin("recording", number, at_ns)
            line.take(Waveform(asset.id, "DE", at_ns, recordings.RATE_HZ, block, "g", None, origin))
        tickets = line.tickets()
        raised = [finding for finding in line.findings if finding.action is Action.RAISE]
        cleared = [finding for finding in line.findings if finding.action is Action.CLEAR]
    ticket_s = tickets[0].anchor_ns / SECOND_NS if tickets else None
    end_s = recording.end_ns / SECOND_NS
    return {
        "file": str(path.relative_to(folder)),
        "onset_s": raised[0].onset_ns / SECOND_NS if raised else None,
        "ticket_s": ticket_s,
        "end_s": end_s,
        "lead_s": None if ticket_s is None else end_s - ticket_s,
        "tickets": len(tickets),
        "withdrawn": len(cleared),
    }


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The leads in minutes, and what there should be none of."""
    minute_s = MINUTE_NS / SECOND_NS
    leads = [row["lead_s"] / minute_s for row in rows if row["lead_s"] is not None]
    return {
        "bearings": len(rows),
        "found": len(leads),
        "median_lead_min": median(leads) if leads else None,
        "shortest_lead_min": min(leads, default=None),
        "earliest_share_of_life": min(
            (row["ticket_s"] / row["end_s"] for row in rows if row["tickets"]), default=None
        ),
        "more_than_one_ticket": sum(row["tickets"] > 1 for row in rows),
        "withdrawn": sum(row["withdrawn"] for row in rows),
    }
