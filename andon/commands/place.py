"""Which data directory a verb works on: the one that andon.toml names, or the one that is given."""

import argparse
from pathlib import Path

from andon.config import load_config


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
