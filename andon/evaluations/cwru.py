"""Case Western Reserve University's bearing rig: which damaged element is named from one record of ten seconds.

The bearing that a file's name says (DE: drive end, FE: fan end) is judged from the accelerometers at both ends.
Nothing is learned, so the healthy record is one among the others and may be missing.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from andon.evaluations import records
from andon.evaluations.reading import reading
from andon.events import Float32, Json
from andon.plant import Bearing

SENSORS = ("DE", "FE")
BEARINGS = {
    "DE": Bearing(designation="6205-2RS", rolling_elements=9, element_diameter=0.3126, pitch_diameter=1.537),
    "FE": Bearing(designation="6203-2RS", rolling_elements=8, element_diameter=0.2656, pitch_diameter=1.122),
}
RATES_HZ = {"12": 12_000.0, "48": 48_000.0}
_NAME = re.compile(r"(\d+)_(Normal|IR|OR|B)(?![A-Za-z])(?:.*_(DE|FE)(12|48))?.*\.npz")
_TRUTH = {"Normal": "none", "IR": "inner", "OR": "outer", "B": "ball"}

PARAMETERS: dict[str, Json] = {
    records.KIND: records.PARAMETERS,
    "bearings": {end: bearing.model_dump() for end, bearing in BEARINGS.items()},
    "sensors": list(SENSORS),
    "rates_hz": list(RATES_HZ.values()),
}


def files(folder: Path) -> list[Path]:
    """The records, by name. FileNotFoundError if there are none."""
    found = sorted(path for path in folder.rglob("*.npz") if _NAME.fullmatch(path.name))
    if not found:
        raise FileNotFoundError(f"there is no <rpm>_<fault>*.npz in {folder}")
    return found


def rate(path: Path, folder: Path, scores: Path | None) -> dict[str, Json]:
    """What is said of one record; shaft speed, bearing and sampling rate (else drive end, 12 kHz) stand in its name."""
    del scores
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name}: wanted is <rpm>_<fault>*.npz")
    with reading(path):
        sensors = _read(path)
    n = min(sensor.size for sensor in sensors)
    samples = np.stack([sensor[:n] for sensor in sensors], axis=1)
    bearing, rate_hz = BEARINGS[match[3] or "DE"], RATES_HZ[match[4] or "12"]
    said = records.diagnosis(samples, rate_hz, float(match[1]) / 60, bearing)
    return {"file": str(path.relative_to(folder)), **said}


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The counts, and those of each element apart."""
    kinds = {_truth(row["file"]) for row in rows}
    apart = {kind: [row for row in rows if _truth(row["file"]) == kind] for kind in sorted(kinds)}
    each = {f"right_{kind}": records.counts(some, _truth)["right"] for kind, some in apart.items()}
    each.pop("right_none", None)
    return records.counts(rows, _truth) | each


def _read(path: Path) -> list[Float32]:
    """The samples of each sensor that the record holds."""
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise TypeError("it is one array, not an archive of them")
        sensors = [np.asarray(archive[key], np.float32).ravel() for key in SENSORS if key in archive.files]
    if not any(sensor.size for sensor in sensors):
        raise ValueError(f"it holds no samples of {' or '.join(SENSORS)}")
    return sensors


def _truth(file: str) -> str:
    match = _NAME.fullmatch(Path(file).name)
    return _TRUTH[match[2]] if match else ""
