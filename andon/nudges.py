"""How a source tells the engine that there is something to read, and how long the engine rests between two looks.

A turn costs much the same whether it takes one message or hundreds, so after each the engine rests several times
as long as it worked. An alarm ends the rest at once; what else comes is read together, a tenth of a second later
at most.
"""

import logging
import socket
import time
from collections.abc import Sequence
from typing import Self

from andon.ports import Record
from ingest.group_commit import ALARM

REST = 8.0
REST_MIN_S, REST_MAX_S = 0.02, 0.1
NUDGE_EVERY_S = 0.01
"""Less than a rest, so that what came without a nudge is found by the look after it."""
POLL_S = 0.25  # where a nudge gets lost
_CAME, _ALARM_CAME = b".", b"!"
log = logging.getLogger(__name__)


class Nudger:
    """What a source does after each commit: a datagram, at once if it holds an alarm, else now and then."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._nudged_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def __call__(self, records: Sequence[Record]) -> None:
        """Nudge; a lost nudge is made good by the engine's polling."""
        alarm = any(ALARM in record.topic for record in records)
        now_s = time.monotonic()
        if not alarm and now_s - self._nudged_s < NUDGE_EVERY_S:
            return
        self._nudged_s = now_s
        try:
            self._socket.sendto(_ALARM_CAME if alarm else _CAME, self._address)
        except OSError:
            log.debug("the engine was not there to be nudged")


class Nudged:
    """Where the engine waits. A context manager: leaving it closes the port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self) -> None:
        """Wait until there is something to read, or it is time to look anyway."""
        self._alarm_within(POLL_S)

    def rest(self, worked_s: float) -> None:
        """Rest after a turn that took so long, unless an alarm comes, or came meanwhile."""
        until_s = time.monotonic() + min(max(REST * worked_s, REST_MIN_S), REST_MAX_S)
        while (left_s := until_s - time.monotonic()) > 0 and not self._alarm_within(left_s):
            pass

    def _alarm_within(self, wait_s: float) -> bool:
        """Whether the next nudge, or one of those that came with it, is that of an alarm."""
        alarm = False
        self._socket.settimeout(wait_s)
        try:
            while True:
                alarm = self._socket.recv(16) == _ALARM_CAME or alarm
                self._socket.setblocking(False)  # many commits are one nudge
        except (TimeoutError, BlockingIOError):
            return alarm
