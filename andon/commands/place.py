"""Which data directory a verb works on: the one that andon.toml names, or the one that is given."""

import argparse
from pathlib import Path

from sqlalchemy import Engine as Database
from sqlalchemy.exc import DatabaseError

from andon.commands import Refused
from andon.config import load_config
from andon.datadir import has_store, open_store, store_at


def place_arguments(parser: argparse.ArgumentParser) -> None:
    """Two ways to say it."""
    parser.add_argument(
        "--config", type=Path, default=Path("andon.toml"), help="the andon.toml that names the data directory"
    )
    parser.add_argument("--data", type=Path, help="the data directory itself")


def data_of(arguments: argparse.Namespace) -> Path:
    """The data directory; ConfigError if it is to be read from a file that cannot be."""
    data: Path | None = arguments.data
    return data if data is not None else load_config(arguments.config).data


def store_of(arguments: argparse.Namespace) -> Database:
    """The database of that data directory; Refused if nothing was ever installed there."""
    data = data_of(arguments)
    if not has_store(data):
        raise Refused(f"{data} holds no installation")
    try:
        return open_store(data)
    except DatabaseError as error:
        raise Refused(f"{store_at(data)} cannot be used: {error.orig}") from error
