"""A line in a part's log says why: what is told beside the message stands in it, on one line, before any traceback."""

import logging
import sys

from andon.parts import Told


def line(**beside: object) -> str:
    try:
        int("no number")
    except ValueError:
        raised = sys.exc_info()
    record = logging.getLogger("ingest.mqtt").makeRecord(
        "ingest.mqtt", logging.WARNING, "file.py", 1, "no %s", ("connection",), raised, extra=beside
    )
    return Told("%(levelname)s %(name)s: %(message)s").format(record)


def test_what_is_told_beside_a_message_stands_in_its_line() -> None:
    first, *rest = line(why="refused\nby 192.0.2.1", lost=3).splitlines()
    assert first == "WARNING ingest.mqtt: no connection why='refused\\nby 192.0.2.1' lost=3"
    assert rest[-1].startswith("ValueError: ")
    assert line().splitlines()[0] == "WARNING ingest.mqtt: no connection"
