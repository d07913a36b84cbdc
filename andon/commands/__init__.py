"""One file per verb of the command line, each with `arguments(parser)` and `run(arguments) -> exit code`."""

import argparse

from andon.events import nanoseconds


class Refused(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def moment(text: str) -> int:
    """A time in nanoseconds UTC, written as RFC 3339, for the parser."""
    try:
        return nanoseconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-11-23T06:00:00Z") from error


def positive(text: str) -> float:
    """A number more than 0, for the parser."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value
