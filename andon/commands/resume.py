"""`andon resume`: let a source out of quarantine, once what it died of is mended."""

import argparse

from andon.commands import Refused
from andon.commands.place import data_of, place_arguments
from andon.quarantine import Quarantine


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("source", help="its name in andon.toml")
    place_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Take it out; an Andon that runs starts it within a second."""
    quarantine = Quarantine(data_of(arguments))
    why = quarantine.why(arguments.source)
    if why is None:
        there = ", ".join(quarantine.names()) or "nothing"
        raise Refused(f"{arguments.source} is not in quarantine; there is: {there}")
    quarantine.lift(arguments.source)
    print(f"{arguments.source} may start again; it {why}")
    return 0
