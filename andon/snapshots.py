"""Snapshots of the engine's state: arrays and JSON in one file, replaced by atomic rename, never pickle.

Detectors keep thousands of short arrays: those of one type are stored as one, since each costs the same to write.
"""

import json
import logging
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from andon.durable import sync
from andon.events import Json
from andon.ports import State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """The state after batch `number`, so that it changes no more: arrays by type, the rest as JSON in `words`."""

    number: int
    arrays: Mapping[str, np.ndarray[Json, Json]]


def picture(number: int, parts: Mapping[str, State]) -> Picture:
    """The picture of these parts."""
    columns: dict[str, list[np.ndarray[Json, Json]]] = {}
    shapes: list[tuple[str, str, str, tuple[int, ...]]] = []
    words: dict[str, dict[str, Json]] = {}
    for part, state in parts.items():
        words[part] = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                columns.setdefault(value.dtype.str, []).append(value.ravel())
                shapes.append((part, name, value.dtype.str, value.shape))
            else:
                words[part][name] = value
    text = json.dumps({"number": number, "parts": words, "shapes": shapes}).encode()
    arrays = {kind: np.concatenate(columns[kind]) for kind in columns}
    return Picture(number, {**arrays, "words": np.frombuffer(text, np.uint8)})


def save(folder: Path, taken: Picture, keep: int = 2) -> Path:
    """Write the picture, fsync it, and drop all but the newest `keep` files."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{taken.number:012d}.partial"
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **taken.arrays)
        file.flush()
        os.fsync(file.fileno())
    final = partial.with_suffix(".npz")
    partial.rename(final)
    sync(folder)
    for old in sorted(folder.glob("*.npz"))[:-keep]:
        old.unlink()
    return final


def load_latest(folder: Path) -> tuple[int, dict[str, State]] | None:
    """The newest snapshot that can be read as (batch number, parts), None if there is none."""
    for path in sorted(folder.glob("*.npz"), reverse=True):
        try:
            return _load(path)
        except (ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error):
            log.exception("a snapshot is damaged; an older one is taken", extra={"path": str(path)})
    return None


def _load(path: Path) -> tuple[int, dict[str, State]]:
    with np.load(path, allow_pickle=False) as stored:
        words = json.loads(bytes(stored["words"]))
        parts: dict[str, dict[str, Json]] = words["parts"]
        columns = {kind: stored[kind] for kind in stored.files}
    at = dict.fromkeys(columns, 0)
    for part, name, kind, shape in words["shapes"]:
        first, at[kind] = at[kind], at[kind] + math.prod(shape)
        parts[part][name] = columns[kind][first : at[kind]].reshape(shape).copy()
    return int(words["number"]), dict(parts)


def oldest(folder: Path) -> int:
    """The batch number of the oldest kept snapshot, 0 if there is none."""
    files = sorted(folder.glob("*.npz"))
    return int(files[0].stem) if files else 0
