"""Over REST: the message that made a finding speak, the block of samples in it, and that block's spectra in full."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json, Waveform, rfc3339
from andon.plant import Point
from andon.ports import RecordKind
from api.context import Context
from api.rights import needs
from api.visit import ContextOf
from detectors.block import centred_g, spectrum_of
from detectors.envelope import envelope_of
from detectors.evidence import significant
from detectors.validity import problem_of, speed_of
from ingest.originals import Original, block_in, original
from ticketing import findings
from ticketing.ticket import Occurrence

router = APIRouter(tags=["tickets"])
MOST_LINES = 65_536
"""Lines of a spectrum that are given; of a longer block the lowest."""
HEAD_BYTES = 4096
GONE = "the record is not kept any more: retention has dropped it, or it never was in a journal here"


@dataclass(frozen=True, slots=True)
class _Block:
    """A block with the finding that it made, and its measuring point as the plant knows it."""

    finding: Occurrence
    wave: Waveform
    point: Point | None


class Cut(BaseModel):
    """Which part of a block: seconds from its beginning, which axis, and how many values at the most."""

    model_config = ConfigDict(extra="forbid")
    since: float = Field(default=0.0, alias="from", ge=0, allow_inf_nan=False)
    until: float | None = Field(default=None, alias="to", ge=0, allow_inf_nan=False)
    axis: int = Field(default=1, ge=1, le=64)
    points: int = Field(default=2000, ge=16, le=20_000)


@router.get("/findings/{finding}/block", dependencies=[needs(Right.READ)])
def block(context: ContextOf, finding: str, cut: Annotated[Cut, Query()]) -> Response:
    """The block of samples that made the finding, out of the journal, thinned so that peaks stay.

    Where more samples lie in the stretch than were asked for, `low` and `high` are the ends of each `each` of them;
    else they are the samples themselves. 404 where the block is not kept any more.
    """
    found = _block(context, finding)
    wave = found.wave
    n, axes = wave.samples.shape
    if cut.axis > axes:
        raise HTTPException(404, f"the block has {axes} axes")
    first = min(int(cut.since * wave.rate_hz), n - 1)
    after = n if cut.until is None else min(n, max(first + 2, int(cut.until * wave.rate_hz) + 1))
    low, high, each = extremes(wave.samples[first:after, cut.axis - 1], cut.points)
    body = {
        "at": rfc3339(wave.at_ns),
        "point": wave.point,
        "unit": wave.unit,
        "rate_hz": wave.rate_hz,
        "speed_hz": wave.speed_hz,
        "samples": n,
        "axes": axes,
        "seconds": n / wave.rate_hz,
        "from_s": first / wave.rate_hz,
        "step_s": each / wave.rate_hz,
        "each": each,
        "low": _told(low),
        "high": _told(high),
    }
    return JSONResponse(body)


@router.get("/findings/{finding}/spectrum", dependencies=[needs(Right.READ)])
def spectrum(context: ContextOf, finding: str) -> Response:
    """The RMS spectrum of that block in g with every line of it, under a Hann window, its axes added.

    A sine of amplitude A that stands on a line reads A/√2 there, as in the drawing stored with the finding.
    """
    wave = _block(context, finding).wave
    shown = spectrum_of(wave)
    return JSONResponse(_lines(shown.rms(), shown.step_hz, "g", wave))


@router.get("/findings/{finding}/envelope", dependencies=[needs(Right.READ)])
def envelope(context: ContextOf, finding: str) -> Response:
    """The envelope spectrum of that block alone with every line, in multiples of its background.

    The finding's own drawing is the mean over the last blocks. 404 where the shaft's speed is not known.
    """
    found = _block(context, finding)
    speed_hz = speed_of(found.wave, found.point) if found.point else found.wave.speed_hz
    if not speed_hz:
        raise HTTPException(404, "the shaft's speed is not known")
    shown = envelope_of(centred_g(found.wave), found.wave.rate_hz, speed_hz, speed_hz)
    lines = np.sqrt(shown.power.mean(axis=(0, 1)))
    return JSONResponse(
        _lines(lines / np.median(lines), shown.step_order * speed_hz, "× background", found.wave)
    )


@router.get("/findings/{finding}/message", dependencies=[needs(Right.REDRIVE)])
def message(context: ContextOf, finding: str) -> Response:
    """The message itself: where it lies, its topic, and its first 4 KiB as text and as base64."""
    return JSONResponse(message_of(_original(context, _finding(context, finding))))


def message_of(found: Original) -> Mapping[str, Json]:
    """A record as it is told: every byte of its head is there."""
    record = found.record
    head = record.body[:HEAD_BYTES]
    return {
        "source": found.source,
        "position": found.position,
        "received_at": rfc3339(record.received_ns),
        "kind": RecordKind(record.kind).name.lower(),
        "topic": record.topic.decode("utf-8", "backslashreplace"),
        "bytes": len(record.body),
        "text": printable(head) if _is_text(head) else None,
        "head": base64.b64encode(head).decode(),
    }


def printable(head: bytes) -> str:
    r"""Text in which what does not print is escaped.

    >>> printable(b"a\x00\xff")
    'a\\x00\\xff'
    """
    text = head.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def extremes(
    values: NDArray[np.floating], points: int
) -> tuple[NDArray[np.floating], NDArray[np.floating], int]:
    """The lowest and the highest of each stretch of samples, and how many samples a stretch has; at most `points` values.

    >>> low, high, each = extremes(np.array([0.0, 5.0, -3.0, 1.0, 2.0]), 4)
    >>> low.tolist(), high.tolist(), each
    ([-3.0, 1.0], [5.0, 2.0], 3)
    """
    if values.size <= points:
        return values, values, 1
    each = -(-values.size // (points // 2))
    starts = np.arange(0, values.size, each)
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts), each


def _lines(amplitude: NDArray[np.floating], step_hz: float, unit: str, wave: Waveform) -> Mapping[str, Json]:
    kept = amplitude[:MOST_LINES]
    return {
        "at": rfc3339(wave.at_ns),
        "point": wave.point,
        "unit": unit,
        "window": "hann",
        "dx_hz": step_hz,
        "value": significant(np.nan_to_num(kept.astype(np.float64))),
    }


def _told(values: NDArray[np.floating]) -> list[float | None]:
    """Five digits; null where a sample is not a number."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values.tolist()]


def _is_text(head: bytes) -> bool:
    return sum(byte >= 32 or byte in b"\t\n\r" for byte in head) >= 0.95 * len(head) and head[:4] != b"AWB1"


def _finding(context: Context, finding: str) -> Occurrence:
    with reading(context.database) as conn:
        found = findings.finding(conn, finding)
    if found is None:
        raise HTTPException(404, "there is no such finding")
    return found


def _original(context: Context, finding: Occurrence) -> Original:
    found = original(context.journals, finding.trace_id) if context.journals else None
    if found is None:
        raise HTTPException(404, GONE)
    return found


def _block(context: Context, finding_id: str) -> _Block:
    finding, plant = _finding(context, finding_id), context.plant()
    point = finding.text.get("point", "")
    wave = block_in(_original(context, finding), plant, point)
    if wave is None or problem_of(wave) is not None:
        raise HTTPException(
            404, "the message that made this finding holds no block of samples that can be read"
        )
    asset = plant.asset(finding.asset)
    return _Block(finding, wave, asset.point(wave.point) if asset else None)
