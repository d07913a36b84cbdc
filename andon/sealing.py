"""Has the series sealed now and then, by a process that ends when it is done: what it needs is held for seconds only."""

import contextlib
import json
import logging
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from andon.clock import Now
from andon.config import Series
from andon.events import Json
from ingest.series_order import Order, unsealed

LOOK_EVERY_S = 10.0
TELL_AFTER = 3
"""So many failures in a row are told: one may be a disk that was full for a moment."""
_log = logging.getLogger(__name__)


class Sealing:
    """Starts the sealing of the series at `path` when it is due, and hears how it went.

    `mirrored` says that a mirror reads the tail, which then stays until it has.
    """

    def __init__(self, path: Path, settings: Series, now: Now, *, mirrored: bool) -> None:
        self._path = path
        self._settings = settings
        self._now = now
        self._mirrored = mirrored
        self._process: subprocess.Popen[str] | None = None
        self._looked_s = self._began_s = time.monotonic()
        self._failed = 0
        self._why = ""
        self.report: dict[str, Json] = {}

    @property
    def failure(self) -> str:
        """Why it has failed again and again; empty if it has not."""
        return self._why if self._failed >= TELL_AFTER else ""

    def turn(self) -> None:
        """Start it if it is due, or take its report if it has ended. Never waits."""
        if self._process is not None:
            if self._process.poll() is not None:
                self._end(self._process)
        elif time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            if self._is_due():
                self._begin()

    def stop(self) -> None:
        """End it, wherever it is: what it has not finished is done the next time."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _is_due(self) -> bool:
        if not self._path.exists():
            return False
        waited_s = time.monotonic() - self._began_s
        with contextlib.suppress(sqlite3.OperationalError):
            waiting = unsealed(self._path)
            return waiting >= self._settings.seal_values or (
                waiting > 0 and waited_s >= self._settings.seal_minutes * 60
            )
        return False

    def _begin(self) -> None:
        order = Order(
            path=str(self._path),
            now_ns=self._now(),
            raw_days=self._settings.raw_days,
            view_days=self._settings.view_days,
            mirrored=self._mirrored,
        )
        self._began_s = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "ingest.series_sealing", json.dumps(asdict(order))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _end(self, process: subprocess.Popen[str]) -> None:
        said, wrong = process.communicate()
        self._process = None
        if process.returncode == 0:
            self.report = {**json.loads(said), "took_s": round(time.monotonic() - self._began_s, 3)}
            self._failed = 0
            return
        self._failed += 1
        last = wrong.strip().splitlines()
        self._why = last[-1] if last else f"ended with code {process.returncode}"
        _log.error("the series could not be sealed; it is tried again", extra={"why": self._why})
