"""The Numenta Anomaly Benchmark: what the scalar detector finds, and a score per row for the benchmark's own judge.

One limit for all files, lower than the one the product ships with: the benchmark weighs a miss nine times a false alarm. Beside it, in the same run, river's Gaussian scorer.
"""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from andon.evaluations.nab_scoring import PROFILES, Judged, at_threshold, best, summed_up
from andon.evaluations.naive import gaussian_scores
from andon.evaluations.reading import reading
from andon.events import SECOND_NS, Action, Float64, Int64, Json, Origin, Readings
from andon.plant import Asset, DetectorSettings, Plant, Point
from detectors import build
from detectors.surprise import Detector

PARAMETERS: dict[str, Json] = {"surprise": {"limit": 0.95, "learn_count": 150}}

_CHANNEL, _UNIT = "P/value", "1"
_SPEAKS = 0.5  # the score from which the product itself says something
_NAIVE_FROM = 0.8
_ASSET = Asset(
    id="N",
    name="",
    asset_class="channel",
    path="e/s/a/l/c",
    points=(Point(id="P", component="channel", quantities={"value": _UNIT}),),
    detectors=(DetectorSettings(kind="surprise", parameters=PARAMETERS["surprise"]),),
)


def files(folder: Path) -> list[Path]:
    """The recordings, by group and name. FileNotFoundError if there are none."""
    found = sorted((folder / "data").glob("*/*.csv"))
    if not found:
        raise FileNotFoundError(f"there is no data/<group>/<name>.csv in {folder}")
    return found


def rate(path: Path, folder: Path, scores: Path | None) -> dict[str, Json]:
    """One recording, row by row; the labels are read afterwards, to be written beside the scores."""
    with reading(path):
        rows = _read(path)
        at_s = np.array([_seconds(text) for text, _ in rows], np.int64)
        values = [float(value or "nan") for _, value in rows]
    score, findings = _told(at_s, values)
    naive = gaussian_scores(values)
    name = f"{path.parent.name}/{path.name}"
    windows = _windows(folder, name, at_s)
    if scores is not None:
        _write(scores / name, rows, score, windows)
    return {
        "file": name,
        "rows": len(rows),
        "findings": findings,
        "windows": None if windows is None else windows.tolist(),
        "spoke": _sparse(score, _SPEAKS),
        "naive": _sparse(naive, _NAIVE_FROM),
    }


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The benchmark's normalised scores (0: never speaks, 100: perfect), ours and the naive way's, where labels are."""
    told: dict[str, Json] = {"files": len(rows), "findings": sum(row["findings"] for row in rows)}
    labelled = [row for row in rows if row["windows"] is not None]
    if not any(row["windows"] for row in labelled):
        return told
    ours, naive = ([_judged(row, key) for row in labelled] for key in ("spoke", "naive"))
    standard = PROFILES["standard"]
    told |= {**summed_up(ours), "standard_at_own_limit": round(at_threshold(ours, standard, _SPEAKS), 2)}
    threshold = best(ours, standard)[1]
    told["standard_by_group"] = _by_group(labelled, ours, threshold)
    return told | {f"gaussian_scorer_{name}": value for name, value in summed_up(naive).items()}


def _told(at_s: Int64, values: Sequence[float]) -> tuple[Float64, int]:
    """A score per row, at or above a half where the detector speaks, and how many findings it raised."""
    (detector,) = build(_ASSET, Plant(name="", assets=(_ASSET,)))
    if not isinstance(detector, Detector):
        raise TypeError("the plant document asks for another detector")
    score, findings, limit = np.zeros(at_s.size), 0, PARAMETERS["surprise"]["limit"]
    for k, (second, value) in enumerate(zip(at_s.tolist(), values, strict=True)):
        said = detector.update(_reading(second * SECOND_NS, value, k))
        findings += sum(finding.action is Action.RAISE for finding in said)
        surprise = detector.surprise(_CHANNEL)
        speaks = any(finding.action is not Action.CLEAR for finding in said)
        score[k] = surprise / (surprise + limit) if speaks else min(0.49, 0.49 * surprise / limit)
    return np.maximum(score, 0), findings


def _reading(at_ns: int, value: float, k: int) -> Readings:
    origin = Origin("recording", k, at_ns)
    one = np.zeros(1, np.int32), np.array([value]), np.zeros(1, np.uint32)
    return Readings(_ASSET.id, (_CHANNEL,), (_UNIT,), np.array([at_ns], np.int64), *one, origin)


def _read(path: Path) -> list[tuple[str, str]]:
    """Time and value of each row, as they are written. ValueError if it is no such file."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = [row for row in csv.reader(file) if row] or [[]]
    if head[:2] != ["timestamp", "value"]:
        raise ValueError("its first line is not timestamp,value")
    return [(row[0], row[1]) for row in rows]


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _windows(folder: Path, name: str, at_s: Int64) -> Int64 | None:
    """First and last row of each labelled window, or None where there are no labels for this file."""
    path = folder / "labels" / "combined_windows.json"
    with reading(path):
        labels = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if name not in labels:
            return None
        spans = [(_seconds(a), _seconds(b)) for a, b in labels[name]]
    inside = [np.flatnonzero((at_s >= a) & (at_s <= b)) for a, b in spans]
    return np.array([[rows[0], rows[-1]] for rows in inside if rows.size], np.int64).reshape(-1, 2)


def _write(path: Path, rows: Sequence[tuple[str, str]], score: Float64, windows: Int64 | None) -> None:
    label = np.zeros(len(rows), np.int64)
    for first, last in windows.tolist() if windows is not None else ():
        label[first : last + 1] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("timestamp", "value", "anomaly_score", "label"))
        out.writerows(
            (at, value, f"{s:.6f}", n)
            for (at, value), s, n in zip(rows, score.tolist(), label.tolist(), strict=True)
        )


def _sparse(score: Float64, least: float) -> list[Json]:
    """Row and score of all that is at or above `least`."""
    rows = np.flatnonzero(score >= least)
    return [[int(k), round(float(score[k]), 6)] for k in rows]


def _judged(row: dict[str, Json], key: str) -> Judged:
    score = np.zeros(row["rows"])
    for k, value in row[key]:
        score[k] = value
    return Judged(score, np.array(row["windows"], np.int64).reshape(-1, 2))


def _by_group(rows: Sequence[dict[str, Json]], files: Sequence[Judged], threshold: float) -> dict[str, Json]:
    groups: dict[str, list[Judged]] = {}
    for row, file in zip(rows, files, strict=True):
        groups.setdefault(row["file"].partition("/")[0], []).append(file)
    return {
        group: round(at_threshold(members, PROFILES["standard"], threshold), 1)
        for group, members in groups.items()
        if any(len(file.windows) for file in members)
    }
