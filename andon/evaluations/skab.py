"""The water circuit of SKAB: which rows of eight channels are flagged, learned from the first 400 of each file.

Counted as the benchmark counts: rows from the 401st on, of all files together. Beside it the naive way:
Hotelling's T² of the eight values, smoothed as the detector smooths, at the 99.9 % quantile of its first rows.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from andon.evaluations.reading import reading
from andon.events import SECOND_NS, Float64, Json, Origin, Readings
from andon.plant import Asset, DetectorSettings, Plant, Point
from detectors import build
from detectors.process_multivariate import Detector

LEARNED_ROWS = 400
_TRUTH = ("anomaly", "changepoint")
_TRUE, _JUDGED = ("hit", "missed"), ("hit", "missed", "false", "right")
_WINDOW = 30  # rows of the naive way's moving average

PARAMETERS: dict[str, Json] = {Detector.kind: {"learn_rows": LEARNED_ROWS, "learn_most_rows": LEARNED_ROWS}}


def files(folder: Path) -> list[Path]:
    """The recordings, group by group, by number. FileNotFoundError if there are none."""
    found = [path for path in folder.glob("data/*/*.csv") if path.is_file()]
    if not found:
        raise FileNotFoundError(f"there is no data/<group>/<n>.csv in {folder}")
    return sorted(found, key=lambda path: (path.parent.name, len(path.stem), path.stem))


def rate(path: Path, folder: Path, scores: Path | None) -> dict[str, Json]:
    """One recording, row by row through the product's detector."""
    with reading(path):
        stamps, names, values, truth = _read(path)
    judged = _judged(names, stamps, values)
    if scores is not None:
        _write(scores / path.relative_to(folder / "data"), stamps, judged)
    flagged = np.array([alarm for _, alarm in judged])
    return {
        "file": str(path.relative_to(folder)),
        "rows": len(stamps),
        "flagged": int(flagged.sum()),
        **_counts("", flagged, truth),
        **_counts("naive_", _naive(values), truth),
    }


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """Outlier F1, false and missed alarms in per cent of the files with faults; healthy files apart."""
    faulty = [row for row in rows if row["hit"] + row["missed"]]
    healthy = [row for row in rows if not row["hit"] + row["missed"]]
    found: dict[str, Json] = {"files": len(faulty)}
    for prefix in ("", "naive_"):
        found |= {f"{prefix}{name}": value for name, value in _rates(faulty, prefix).items()}
    true, judged = (sum(row[word] for row in faulty for word in words) for words in (_TRUE, _JUDGED))
    found["all_ones_f1"] = 2 * true / max(1, true + judged)
    for row in healthy:
        found[f"flagged_pct {row['file']}"] = 100 * row["false"] / max(1, row["false"] + row["right"])
    return found


def _rates(rows: Sequence[dict[str, Json]], prefix: str) -> dict[str, float]:
    hit, missed, false, right = (
        sum(row[prefix + word] for row in rows) for word in ("hit", "missed", "false", "right")
    )
    far, mar = 100 * false / max(1, false + right), 100 * missed / max(1, hit + missed)
    f1 = 2 * hit / max(1, 2 * hit + false + missed)
    return {"f1": f1, "far_pct": far, "mar_pct": mar, "far_and_mar_pct": far + mar}


def _counts(prefix: str, flagged: NDArray[np.bool_], truth: Float64) -> dict[str, Json]:
    said, true = flagged[LEARNED_ROWS:].astype(bool), truth[LEARNED_ROWS:] > 0
    words = {"hit": said & true, "missed": ~said & true, "false": said & ~true, "right": ~said & ~true}
    return {f"{prefix}{word}": int(rows.sum()) for word, rows in words.items()}


def _read(path: Path) -> tuple[list[str], list[str], Float64, Float64]:
    """Stamps, channel names, values (rows, channels) and the truth, 0 where a file has none."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = [row for row in csv.reader(file, delimiter=";") if row] or [[]]
    if not rows:
        raise ValueError("it holds no rows")
    channels = [i for i, name in enumerate(head) if i and name not in _TRUTH]
    values = np.array([[float(row[i] or "nan") for i in channels] for row in rows])
    truth = [float(row[head.index("anomaly")]) if "anomaly" in head else 0.0 for row in rows]
    return [row[0] for row in rows], [head[i] for i in channels], values, np.array(truth)


def _judged(names: Sequence[str], stamps: Sequence[str], values: Float64) -> list[tuple[float, bool]]:
    """Score and decision of each row; a row that the detector does not judge keeps those of the one before."""
    points = tuple(
        Point(id=f"P{i}", component="circuit", quantities={"value": "1"}) for i in range(len(names))
    )
    setting = DetectorSettings(kind=Detector.kind, parameters=PARAMETERS[Detector.kind])
    asset = Asset(id="rig", name="", asset_class="rig", path="e/s/a/l/c", points=points, detectors=(setting,))
    detector = cast("Detector", build(asset, Plant(name="", assets=(asset,)))[0])
    judged = []
    for number, (stamp, row) in enumerate(zip(stamps, values, strict=True)):
        detector.update(_event(points, number, stamp, row))
        judged.append((detector.score, detector.flagged))
    return judged


def _event(points: Sequence[Point], number: int, stamp: str, row: Float64) -> Readings:
    at_ns = int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()) * SECOND_NS
    n = len(points)
    return Readings(
        asset="rig",
        channels=tuple(f"{point.id}/value" for point in points),
        units=("1",) * n,
        at_ns=np.full(n, at_ns, np.int64),
        channel=np.arange(n, dtype=np.int32),
        value=row,
        quality=np.zeros(n, np.uint32),
        origin=Origin("recording", number, at_ns),
    )


def _naive(values: Float64) -> NDArray[np.bool_]:
    """Hotelling's T² of each row's values."""
    first = values[:LEARNED_ROWS]
    centred = values - first.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(first, rowvar=False))
    squared = np.einsum("ij,jk,ik->i", centred, inverse, centred)
    sums = np.cumsum(np.concatenate([np.zeros(_WINDOW), squared]))
    smooth = (sums[_WINDOW:] - sums[:-_WINDOW]) / _WINDOW
    found: NDArray[np.bool_] = smooth > np.quantile(smooth[_WINDOW:LEARNED_ROWS], 0.999)
    return found


def _write(path: Path, stamps: Sequence[str], judged: Sequence[tuple[float, bool]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{stamp},{score:.6g},{int(alarm)}" for stamp, (score, alarm) in zip(stamps, judged, strict=True)
    ]
    path.write_text("\n".join(["datetime,anomaly_score,anomaly", *lines]) + "\n", encoding="utf-8")
