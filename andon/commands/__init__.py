"""One file per verb of the command line, each with `arguments(parser)` and `run(arguments) -> exit code`."""

import argparse


class Refused(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def positive(text: str) -> float:
    """A number more than 0, for the parser."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value
