"""The mirror's process: sends the series to InfluxDB as they come, and waits for a server that is away."""

import contextlib
import random
import threading
import time
from pathlib import Path

from andon.clock import Now
from andon.config import Influx
from andon.parts import Job, ready, status, tell
from ingest.influx import VALUE_BYTES, Away, Mirror, make_post

POLL_S = 0.5
STATUS_EVERY_S = 1.0
AWAY_AFTER_S = 60.0
"""A server that has been away for so long is told; a restart of it is not worth a ticket."""
AWAY, DROPPED, REJECTED = "mirror_away", "mirror_dropped", "mirror_rejected"


def run(job: Job, now: Now, stopping: threading.Event) -> None:  # noqa: ARG001 - the clock is in the readings
    """Mirror until told to stop."""
    settings = Influx.model_validate(job["influx"])
    post, close = make_post(settings)
    with contextlib.closing(
        Mirror(
            Path(job["data"]) / "series.sqlite",
            post,
            measurement=settings.measurement,
            lines=settings.lines,
            spool_values=settings.spool_mb * 1_000_000 // VALUE_BYTES,
        )
    ) as mirror:
        try:
            Following(mirror, settings).run(stopping)
        finally:
            close()


class Following:
    """Sends what there is, waits where there is nothing, and longer each time the server cannot take it."""

    def __init__(self, mirror: Mirror, settings: Influx) -> None:
        self._mirror = mirror
        self._settings = settings
        self._failures = 0
        self._away_since_s: float | None = None
        self._why = ""
        self._told: dict[str, bool] = {}
        self._dropped_before = mirror.counts.dropped
        self._said_s = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; what is left then is sent after the next start."""
        ready(self._settings.url)
        wait_s = 0.0
        while not stopping.wait(wait_s):
            wait_s = self.turn()
            if time.monotonic() - self._said_s >= STATUS_EVERY_S:
                self._said_s = time.monotonic()
                self._say()

    def turn(self) -> float:
        """Send once; gives how long to wait before the next time."""
        try:
            sent = self._mirror.step()
        except Away as away:
            self._why = str(away)
            self._away_since_s = self._away_since_s or time.monotonic()
            self._failures += 1
            doubled_s = self._settings.retry_min_s * 2.0 ** min(self._failures - 1, 20)
            longest_s = min(self._settings.retry_max_s, doubled_s)
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 - so that many do not come at once
            return max(longest_s * jitter, away.wait_s or 0.0)
        if sent:
            self._failures, self._away_since_s = 0, None
        return 0.0 if sent else POLL_S

    def _say(self) -> None:
        counts = self._mirror.look()
        away_s = time.monotonic() - self._away_since_s if self._away_since_s else 0.0
        status(
            {
                "connected": self._away_since_s is None,
                "sent": counts.sent,
                "rejected": counts.rejected,
                "dropped": counts.dropped,
                "waiting": counts.waiting,
                "error": self._why if self._away_since_s else "",
            }
        )
        self._note(AWAY, f"{self._settings.url}: {self._why}", active=away_s > AWAY_AFTER_S)
        if not counts.waiting:
            self._dropped_before = counts.dropped
        lost = counts.dropped - self._dropped_before
        self._note(DROPPED, f"{lost} readings are not in {self._settings.url}", active=lost > 0)
        self._note(REJECTED, self._mirror.last_rejection, active=counts.rejected > 0)

    def _note(self, code: str, detail: str, *, active: bool) -> None:
        if self._told.get(code) != active:
            self._told[code] = active
            word = {"word": "notice", "code": code, "subject": "influx", "active": active}
            tell("engine", {**word, "severity": 500, "detail": detail})
