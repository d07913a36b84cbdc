"""Snapshots of the engine's state: arrays and JSON in one file, replaced by atomic rename, never pickle."""

import json
import logging
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from andon.events import Json
from andon.ports import State

log = logging.getLogger(__name__)


def save(folder: Path, number: int, parts: Mapping[str, State], keep: int = 2) -> Path:
    """Write the state after batch `number`, fsync it, and drop all but the newest `keep` files."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray[Json, Json]] = {}
    words: dict[str, dict[str, Json]] = {}
    for part, state in parts.items():
        words[part] = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                arrays[f"{part}|{name}"] = value
            else:
                words[part][name] = value
    text = json.dumps({"number": number, "parts": words}).encode()
    arrays["words"] = np.frombuffer(text, np.uint8)
    partial = folder / f"{number:012d}.partial"
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    final = partial.with_suffix(".npz")
    partial.rename(final)
    _sync_folder(folder)
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
        for key in stored.files:
            part, bar, name = key.partition("|")
            if bar:
                parts[part][name] = stored[key]
    return int(words["number"]), dict(parts)


def oldest(folder: Path) -> int:
    """The batch number of the oldest kept snapshot, 0 if there is none."""
    files = sorted(folder.glob("*.npz"))
    return int(files[0].stem) if files else 0


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
