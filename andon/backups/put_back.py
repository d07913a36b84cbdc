"""Putting a backup back: read whole and checked before anything of it is in place, then all of it from one moment to the next."""

import shutil
from pathlib import Path

from andon.backups import NotDone
from andon.backups.archive import Advance, read
from andon.backups.stores import DUMP, put_dump
from andon.backups.take import CONFIG, DATA
from andon.datadir import URL_FILE
from andon.durable import sync
from andon.events import Json
from andon.schema import HEAD, REVISIONS


def put_back(
    backup: Path, data: Path, *, passphrase: str | None, store_url: str | None, advance: Advance
) -> dict[str, Json]:
    """Make `data` of a backup; it is there whole or not at all. Gives the manifest.

    NotDone if `data` holds anything, or the backup is of a later schema; Broken, NotOpened: see `archive`, `sealed`.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise NotDone(
            f"{data} is not empty: a backup is only put where nothing is; move that away, or give another --data"
        )
    data.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = data.absolute().with_name(f".{data.name}.restoring")
    if staging.exists():
        shutil.rmtree(staging)  # of an attempt that was broken off
    staging.mkdir(mode=0o700)
    try:
        manifest = read(backup, passphrase, staging, advance)
        _check(manifest, store_url)
        inside = staging / DATA
        if (staging / CONFIG).exists():
            (staging / CONFIG).rename(inside / CONFIG)
        if manifest["store"] == "postgresql" and store_url is not None:
            put_dump(staging / DUMP, store_url)
            (inside / URL_FILE).write_text(store_url + "\n", "utf-8")
        _sync_all(inside)
        if data.exists():
            data.rmdir()
        inside.rename(data)
        sync(data.absolute().parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _check(manifest: dict[str, Json], store_url: str | None) -> None:
    schema = manifest["schema"]
    if schema and schema not in REVISIONS:
        raise NotDone(
            f"it was taken by a later Andon ({manifest['andon']}, schema {schema}; this one knows up to {HEAD}): "
            "install that version"
        )
    if manifest["store"] == "postgresql" and store_url is None:
        raise NotDone(
            "its store was a PostgreSQL database: make an empty one and give --store-url postgresql://user@host/database"
        )
    if manifest["store"] == "sqlite" and store_url is not None:
        raise NotDone("its store is a SQLite file: leave --store-url out")


def _sync_all(folder: Path) -> None:
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
        sync(path)
    sync(folder)
