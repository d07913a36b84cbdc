"""Taking a backup while everything works: in which order what is copied, so that the parts fit each other.

What is derived is pinned before what it is derived from: snapshots, the order of history and the series first, then the
store, and the journals last. So nothing in the set points past anything else in it: to the restored installation the
backup looks like a power cut at the moment when the store was pinned, which it is made to get over. See docs/backup.md.
"""

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from andon import history, manifest
from andon.backups import NotDone
from andon.backups.archive import Pace, Writing, written
from andon.backups.stores import DUMP, SQLITE, copy_sqlite, sqlite_at_one_moment, store_at_one_moment
from andon.clock import Now
from andon.datadir import has_store, store_at
from andon.durable import sync
from andon.events import Json, rfc3339
from andon.schema import revision_of
from ingest.journal import SqliteJournal
from ingest.journal_copy import copy_rows
from ingest.series_sealing import alone
from ingest.series_tail import segments_of
from ingest.volume import Volume

DATA, CONFIG = "data", "andon.toml"
_TRIES, _AGAIN_S = 50, 0.2
_SEALING_S = 300.0
_LEFT_OUT = frozenset(
    {"run", "logs", "lock", "reserve", "journal", history.FOLDER, "snapshots", "series", "photos"}
)
"""What is of this moment and machine only, and what is copied by a way of its own."""
_SQLITE_HEAD = b"SQLite format 3\0"


@dataclass
class Pinned:
    """One moment of an installation: everything that changes by itself, as it was then."""

    snapshots: Sequence[tuple[str, BinaryIO]]
    history_end: int
    series: sqlite3.Connection | None
    copy_store: Callable[[Path, Callable[[int], None]], None]
    schema: str
    batch: int
    taken: dict[str, int]
    needed: dict[str, int]


@dataclass
class Backup:
    """What is being taken of `data`. `staging` is a folder for what has to be a file before it can go in."""

    data: Path
    staging: Path
    archive: Writing
    pace: Pace
    ends: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def take(self, config: Path | None) -> Pinned:
        """Put all of it into the archive."""
        with not_sealing(self.data):
            with pinned(self.data) as moment:
                self._store(moment)
                for name, file in moment.snapshots:
                    self.archive.add(f"{DATA}/snapshots/{name}", file, os.fstat(file.fileno()).st_size)
                segments = self._series(moment)
            self._journals(
                moment
            )  # what is pinned is let go before: a long look keeps writers' logs from shrinking
            self._journal(self.data / history.FOLDER, moment.history_end)
            for name in segments:
                self.archive.add_path(f"{DATA}/series/{name}", self.data / "series" / name)
        for path in sorted((self.data / "photos").glob("[0-9a-f]*")):
            self.archive.add_path(f"{DATA}/photos/{path.name}", path)
        self._rest()
        if config is not None:
            self.archive.add_path(CONFIG, config)
        return moment

    def _store(self, moment: Pinned) -> None:
        name = SQLITE if isinstance(store_at(self.data), Path) else DUMP
        staged = self.staging / name
        moment.copy_store(staged, lambda _size: self.pace.took(0))
        self._staged(staged, f"{DATA}/{name}" if name == SQLITE else name)

    def _journals(self, moment: Pinned) -> None:
        """Every source's, newest file first: what is dropped for its age meanwhile is then at the beginning."""
        for folder in sorted(path for path in (self.data / "journal").glob("*") if path.is_dir()):
            start, end = self._journal(folder, None)
            self.ends[folder.name] = end
            if start > moment.needed.get(folder.name, start) or end < moment.taken.get(folder.name, 0):
                raise NotDone(
                    f"the journal of {folder.name} lost files that a restart needs while they were copied: "
                    "give it more room ([journal] keep_bytes), or a higher --rate, and try again"
                )

    def _journal(self, folder: Path, before: int | None) -> tuple[int, int]:
        """One journal; gives from which position up to which it is in."""
        limit = {} if before is None else {"before": before}
        start = end = before or 0
        firsts = [first for first in Volume.firsts(folder) if before is None or first <= before]
        for number, first in enumerate(reversed(firsts)):
            name = Volume.name(first)
            staged = self.staging / "volume"
            try:
                after = copy_rows(folder, first, staged, step=lambda _size: self.pace.took(0), **limit)
                self._staged(staged / name, f"{DATA}/{folder.relative_to(self.data)}/{name}")
            except (FileNotFoundError, sqlite3.OperationalError):
                if (folder / name).exists():
                    raise
                break  # dropped meanwhile, and all before it
            except sqlite3.DatabaseError:
                (staged / name).unlink(missing_ok=True)
                self.damaged.append(str((folder / name).relative_to(self.data)))
                for part in (folder / name, folder / f"{name}-wal"):
                    if part.exists():
                        self.archive.add_path(f"{DATA}/{part.relative_to(self.data)}", part)
                after = first
            segment = (folder / name).with_suffix(".segment")
            with contextlib.suppress(FileNotFoundError):
                self.archive.add_path(f"{DATA}/{segment.relative_to(self.data)}", segment)
            start, end = first, max(end, after) if number else after
        return start, end

    def _series(self, moment: Pinned) -> list[str]:
        """The tail and manifest of the series; gives the files that it names."""
        if moment.series is None:
            return []
        staged = self.staging / "series.sqlite"
        copy_sqlite(moment.series, staged, lambda _size: self.pace.took(0))
        self._staged(staged, f"{DATA}/series.sqlite")
        return [segment.file for segment in segments_of(moment.series)]

    def _rest(self) -> None:
        """What else is there, as files: devices, certificates, where the store is, the console's secret."""
        copied = {SQLITE, "series.sqlite"}
        for path in sorted(self.data.rglob("*")):
            inside = path.relative_to(self.data)
            if inside.parts[0] in _LEFT_OUT or path.is_symlink() or not path.is_file():
                continue
            if (
                path.name.endswith((".partial", "-wal", "-shm"))
                or str(inside) in copied
                or path.name == "lock"
            ):
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if file.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD:
                    staged = self.staging / "other.sqlite"
                    with sqlite_at_one_moment(path) as conn:
                        copy_sqlite(conn, staged, lambda _size: self.pace.took(0))
                    self._staged(staged, f"{DATA}/{inside}")
                    continue
                file.seek(0)
                self.archive.add(f"{DATA}/{inside}", file, os.fstat(file.fileno()).st_size)

    def _staged(self, path: Path, name: str) -> None:
        self.archive.add_path(name, path)
        path.unlink()


def back_up(
    data: Path,
    target: Path,
    *,
    config: Path | None,
    passphrase: str | None,
    pace: Pace,
    now: Now,
    version: str,
) -> dict[str, Json]:
    """Write a backup of `data` to `target`, which is there whole or not at all; gives the facts of its manifest."""
    if not has_store(data):
        raise NotDone(f"{data} holds no installation")
    if target.exists():
        raise NotDone(f"{target} is there already: a backup never takes the place of another")
    if target.resolve().is_relative_to(data.resolve()):
        raise NotDone(f"{target} lies in the data directory: put it where a lost disk does not take it too")
    began_ns = now()
    partial = target.with_name(f".{target.name}.partial")
    try:
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".andon-backup-") as staging,
            os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file,
        ):
            with written(file, passphrase) as out, Writing(out, began_ns, pace) as archive:
                backup = Backup(data, Path(staging), archive, pace)
                moment = backup.take(config)
                facts = _facts(backup, moment, began_ns, now(), version, sealed=passphrase is not None)
                archive.end(facts)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    sync(target.parent)
    return facts


@contextlib.contextmanager
def pinned(data: Path) -> Iterator[Pinned]:
    """Hold one moment: taken again where the engine kept its state between the first look and the last."""
    folder = data / "snapshots"
    for _ in range(_TRIES):
        with contextlib.ExitStack() as stack:
            before = _kept(data)
            try:
                files = [(name, stack.enter_context((folder / name).open("rb"))) for name in before[0]]
            except FileNotFoundError:
                continue  # an older one went as a newer one was kept
            series = None
            if (data / "series.sqlite").exists():
                series = stack.enter_context(sqlite_at_one_moment(data / "series.sqlite"))
            conn, copy_store = stack.enter_context(store_at_one_moment(store_at(data)))
            if _kept(data) != before:
                time.sleep(_AGAIN_S)
                continue
            taken, needed = manifest.where_each_source_stands(conn), {}
            oldest = min((int(Path(name).stem) for name in before[0]), default=0)
            for _, _, slices in reversed(manifest.since(conn, oldest)):
                needed.update({part.source: part.first for part in slices})
            yield Pinned(
                snapshots=files,
                history_end=before[1],
                series=series,
                copy_store=copy_store,
                schema=revision_of(conn) or "",
                batch=manifest.last_number(conn),
                taken=taken,
                needed=taken | needed,
            )
            return
    raise NotDone("the installation keeps its state faster than it can be looked at: try again")


def _kept(data: Path) -> tuple[list[str], int]:
    """The snapshots that there are, and where the order of history ends."""
    names = sorted(path.name for path in (data / "snapshots").glob("*.npz"))
    folder = data / history.FOLDER
    if not folder.exists():
        return names, 0
    with contextlib.closing(SqliteJournal(folder, read_only=True)) as journal:
        return names, journal.end()


@contextlib.contextmanager
def not_sealing(data: Path) -> Iterator[None]:
    """Keep the sealing of the series away for as long as this lasts: no file of them that is listed goes."""
    path = data / "series.sqlite"
    until_s = time.monotonic() + _SEALING_S
    while path.exists():
        with alone(path) as mine:
            if mine:
                yield
                return
        if time.monotonic() > until_s:
            raise NotDone("the series are being sealed for five minutes now: try again later")
        time.sleep(_AGAIN_S)
    yield


def _facts(
    backup: Backup, moment: Pinned, began_ns: int, ended_ns: int, version: str, *, sealed: bool
) -> dict[str, Json]:
    return {
        "andon": version,
        "schema": moment.schema,
        "store": "sqlite" if isinstance(store_at(backup.data), Path) else "postgresql",
        "began_at": rfc3339(began_ns),
        "ended_at": rfc3339(ended_ns),
        "sealed": sealed,
        "batch": moment.batch,
        "sources": {
            name: {"taken": moment.taken.get(name, 0), "end": end}
            for name, end in sorted(backup.ends.items())
        },
        "damaged": backup.damaged,
    }
