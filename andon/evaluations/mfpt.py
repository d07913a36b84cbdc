"""The MFPT society's bearing rig: which damaged race is named from one record of a few seconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from andon.evaluations import records
from andon.evaluations.reading import reading
from andon.events import Json
from andon.plant import Bearing

SHAFT_HZ = 25.0
BEARING = Bearing(designation="MFPT", rolling_elements=8, element_diameter=0.235, pitch_diameter=1.245)
_TRUTH = {"Inner": "inner", "Outer": "outer"}

PARAMETERS: dict[str, Json] = {
    records.KIND: records.PARAMETERS,
    "bearing": BEARING.model_dump(),
    "speed_hz": SHAFT_HZ,
}


def files(folder: Path) -> list[Path]:
    """The records, by name. FileNotFoundError if there are none."""
    found = sorted(folder.rglob("*.mat"))
    if not found:
        raise FileNotFoundError(f"there is no *.mat in {folder}")
    return found


def rate(path: Path, folder: Path, scores: Path | None) -> dict[str, Json]:
    """What is said of one record; its sampling rate stands in it."""
    del scores
    with reading(path):
        record = loadmat(path, squeeze_me=True)["bearing"]
        samples = np.asarray(record["gs"].item(), np.float32).reshape(-1, 1)
        rate_hz = float(record["sr"])
        if not (samples.size and 0 < rate_hz < np.inf):
            raise ValueError(f"{samples.size} samples at {rate_hz:g} Hz")
    said = records.diagnosis(samples, rate_hz, SHAFT_HZ, BEARING)
    return {"file": str(path.relative_to(folder)), **said}


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """How many records were named right, left unknown, not seen and named wrong."""
    return records.counts(rows, _truth)


def _truth(file: str) -> str:
    return next((race for word, race in _TRUTH.items() if Path(file).name.startswith(word)), "none")
