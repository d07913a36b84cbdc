"""The command `andon`: one verb per task."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from andon.commands import Refused
from andon.config import ConfigError
from andon.parts import run_part

VERBS = {
    "demo": "a simulated plant at work, everything embedded, console in the browser",
    "init": "asks what a plant's first start needs and makes it: andon.toml, plant document, store, first account, certificates",
    "run": "the installation that andon.toml describes",
    "story": "the story of a plant, a file of dated steps, told through the same line and checked step by step",
    "replay": "a recording, or an installation's own history, through the same line, as fast as it goes",
    "explain": "one finding with all that it rests on, as a page in one file",
    "evaluate": "what the detectors make of a recorded data set, as a table and JSON",
    "check": "what is wrong with a configuration or machine, and how to mend it",
    "discover": "listens to a broker, browses an OPC UA server or looks at what came in, and brings the mapping into force",
    "simulate": "a simulated plant that drives any installation from outside, with its truth written down",
    "plant": "the plant document: export it, or import a changed one",
    "parts": "spare parts, suppliers and stock: from CSV files, into them, and what is below its safety stock",
    "declare": "what was done to a machine: a repair, an operating change, maintenance; list what was declared",
    "deadletters": "messages that could not be used: list, show one whole, take them anew once it is mended",
    "outbox": "what is told to people and systems: list, show one with every call, send dead ones again, the topics",
    "gaps": "data that is known to be missing, and why",
    "journal": "what was received, as it was received: how much, whether it is sound, and out of it",
    "user": "accounts: add, list, roles, places, reset, disable, enable, unlock, and the log of it all",
    "key": "keys of programs: add one that is shown once, list, revoke",
    "device": "who may publish to the listener, and where: add, list, revoke, rotate",
    "certificate": "Andon's own OPC UA certificate, for the keeper of a server that shall trust it",
    "trust": "OPC UA servers that are trusted or were refused; trust one of these",
    "backtest": "stored history through changed detectors and the same ticket rules, beside the active ones",
    "detectors": "which detectors watch the plant: show, diff, promote a change, go back to an earlier version",
    "label": "what is known to have happened to a machine, for back-tests to be judged by",
    "resume": "let a source out of quarantine, once what it died of is mended",
    "backup": "one consistent set of an installation that goes on working, in one file",
    "restore": "an installation made again out of a backup, every byte checked before it is in place",
    "report": "a report as PDF: closing quality, heat map, TOP 10, drift list, the dossier of a ticket",
    "verify": "whether a data directory or a backup is whole: every checksum, chain and count",
    "bench": "measure this machine",
}
"""The verbs and what each is for; the file of the same name in andon/commands does it."""

_OURS_ALONE = 0o077
"""What is written is for its owner: a data directory that was there before may be open to others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code: 0 done, 1 something is wrong, 2 unusable arguments."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(_OURS_ALONE)
    if words == ["_part"]:
        return run_part()
    parsed = parser(words[0] if words else None).parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is said is heard at once, through a pipe too
    try:
        return int(importlib.import_module(f"andon.commands.{parsed.verb}").run(parsed))
    except (ConfigError, Refused) as error:
        print(f"andon: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser of all verbs; only the file of the one that was asked for is loaded, to say what it takes."""
    of_all = argparse.ArgumentParser(
        prog="andon", description="Turns what machines say into work that people finish."
    )
    verbs = of_all.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, help_text in VERBS.items():
        of_verb = verbs.add_parser(name, help=help_text)
        if name == verb:
            importlib.import_module(f"andon.commands.{name}").arguments(of_verb)
    return of_all


if __name__ == "__main__":
    sys.exit(main())
