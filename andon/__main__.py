"""The command `andon`: one verb per task."""

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from andon.commands import Refused
from andon.config import ConfigError
from andon.parts import run_part


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code: 0 done, 1 something is wrong, 2 unusable arguments."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["_part"]:
        return run_part()
    parsed = _parser().parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is said is heard at once, through a pipe too
    try:
        return int(importlib.import_module(f"andon.commands.{parsed.verb}").run(parsed))
    except (ConfigError, Refused) as error:
        print(f"andon: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="andon", description="Turns what machines say into work that people finish."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    demo = verbs.add_parser(
        "demo", help="a simulated plant at work, everything embedded, console in the browser"
    )
    demo.add_argument(
        "--headless", action="store_true", help="no browser, no screen; ends by itself with --seconds"
    )
    demo.add_argument("--seconds", type=_positive, help="end after so many seconds")
    demo.add_argument(
        "--seed", type=int, help="which machines fail, and when (default 1; kept for a second start)"
    )
    demo.add_argument("--speed", type=_positive, default=60.0, help="story seconds per second (default 60)")
    demo.add_argument("--healthy", action="store_true", help="nothing fails in this plant")
    demo.add_argument("--port", type=int, help="port of the console (default 8080, or any free one)")
    demo.add_argument(
        "--data", type=Path, help="where to keep it (default var/demo; --headless: a folder that goes)"
    )
    demo.add_argument(
        "--json", type=Path, metavar="FILE", help="write tickets, problems, counters and truth here"
    )

    run = verbs.add_parser("run", help="the installation that andon.toml describes")
    run.add_argument("--config", type=Path, default=Path("andon.toml"))
    run.add_argument("--plant", type=Path, metavar="FILE", help="plant document to bring into force first")

    replay = verbs.add_parser("replay", help="a recording through the same line, as fast as it goes")
    replay.add_argument("--recording", required=True, choices=["femto"], help="what kind of recording it is")
    replay.add_argument("file", type=Path)
    replay.add_argument(
        "--data", type=Path, help="keep the data directory here (default: a folder that goes)"
    )
    replay.add_argument("--json", type=Path, metavar="FILE", help="write tickets with their evidence here")

    check = verbs.add_parser(
        "check", help="what is wrong with a configuration or machine, and how to mend it"
    )
    check.add_argument(
        "--config", type=Path, help="the andon.toml to check (default: andon.toml, if it is there)"
    )
    check.add_argument("--data", type=Path, help="the data directory to check")
    check.add_argument(
        "--json", type=Path, metavar="FILE", help="write the verdicts here ('-': standard output)"
    )

    plant = verbs.add_parser("plant", help="the plant document: export it, or import a changed one")
    plant.add_argument("what", choices=["export", "import"])
    plant.add_argument("file", type=Path)
    plant.add_argument("--data", type=Path, required=True)
    plant.add_argument("--dry-run", action="store_true", help="import: only say what would change")

    letters = verbs.add_parser("deadletters", help="messages that could not be used, newest first")
    letters.add_argument("--data", type=Path, required=True)
    letters.add_argument("--limit", type=int, default=20)
    letters.add_argument("--json", type=Path, metavar="FILE")

    device = verbs.add_parser(
        "device", help="credentials for one device: a password shown once, and the lines for andon.toml"
    )
    device.add_argument("name")
    device.add_argument("--source", default="floor", help="the listener in andon.toml (default floor)")
    device.add_argument(
        "--topic", action="append", default=[], help="it may publish here and below (default: anywhere)"
    )

    bench = verbs.add_parser("bench", help="measure this machine: what the demo costs")
    bench.add_argument("what", choices=["demo"])
    bench.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
