"""A copy of all readings in InfluxDB, or in what takes its line protocol: the tail's batches, in order, one by one.

A cursor in the series says which batch was taken last; it moves when the server has said that it has the readings.
Sent again they change nothing there: a point is its tags and its time. While the server is away the tail keeps what
it has not got; the tail is the spool.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Protocol

from andon.config import ConfigError, Influx
from ingest.series_tail import columns_of, open_series

VALUE_BYTES = 24
"""What one reading takes in the tail."""
_ESCAPED = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": " ", "\t": " ", "\r": " "})


class Away(Exception):
    """The server cannot be reached, or does not take anything now; `wait_s` is what it asked for, if it did."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Rejected(Exception):
    """The server will not take these lines, now or ever; `too_large` if fewer of them at once might do."""

    def __init__(self, text: str, *, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class Post(Protocol):
    """Sends lines; Away or Rejected if it cannot."""

    def __call__(self, lines: bytes) -> None:
        """Send; returns when the server has them."""


@dataclass(slots=True)
class Counts:
    """What has become of the readings since the mirror was started; `dropped` since it was first set up."""

    sent: int = 0
    rejected: int = 0
    dropped: int = 0
    waiting: int = 0


class Mirror:
    """Follows the series at `path`; at most `spool_values` readings wait for the server, then the oldest are dropped."""

    def __init__(self, path: Path, post: Post, *, measurement: str, lines: int, spool_values: int) -> None:
        self._conn = open_series(path)
        self._post = post
        self._measurement = measurement.translate(_ESCAPED)
        self._lines = lines
        self._prefixes: dict[int, tuple[str, str]] = {}
        self.counts = Counts()
        self.last_rejection = ""
        self._conn.execute("INSERT OR IGNORE INTO mirror VALUES (1, -1, ?, 0)", (spool_values,))
        self._conn.execute("UPDATE mirror SET values_max = ?", (spool_values,))
        self.look()

    def look(self) -> Counts:
        """The counts as they are now."""
        self.counts.dropped, self.counts.waiting = self._conn.execute(
            "SELECT dropped, (SELECT coalesce(sum(length(at_ns)) / 8, 0) FROM block WHERE batch > mirror.through) "
            "FROM mirror"
        ).fetchone()
        return self.counts

    def step(self) -> int:
        """Send the next batches; gives how many readings the server has got. Away if it has got none of them."""
        through, lines = self._take()
        if through is None:
            return 0
        sent = sum(
            self._send(lines[first : first + self._lines]) for first in range(0, len(lines), self._lines)
        )
        self._conn.execute("UPDATE mirror SET through = max(through, ?)", (through,))
        return sent

    def close(self) -> None:
        """Release the file."""
        self._conn.close()

    def _send(self, lines: Sequence[str]) -> int:
        try:
            self._post("\n".join(lines).encode())
        except Rejected as rejected:
            if rejected.too_large and len(lines) > 1:
                half = len(lines) // 2
                return self._send(lines[:half]) + self._send(lines[half:])
            self.counts.rejected += len(lines)
            self.last_rejection = str(rejected)
            return 0
        self.counts.sent += len(lines)
        return len(lines)

    def _take(self) -> tuple[int | None, list[str]]:
        """Whole batches, about as many as make one request, and the number of the last of them."""
        rows = self._conn.execute(
            "SELECT block.batch, block.at_ns, block.channel, block.value, block.quality FROM block, mirror "
            "WHERE block.batch > mirror.through ORDER BY block.batch"
        )
        through: int | None = None
        lines: list[str] = []
        with contextlib.closing(rows):
            for batch, *blobs in rows:
                if through != batch and len(lines) >= self._lines:
                    break
                through = batch
                lines += self._lines_of(blobs)
        return through, lines

    def _lines_of(self, blobs: Sequence[bytes]) -> Iterator[str]:
        at_ns, ids, value, quality = columns_of([blobs])
        channels = ids.tolist()
        if any(known not in self._prefixes for known in set(channels)):
            self._learn()
        prefixes = self._prefixes
        return (
            f"{prefixes[channel][0]}{number!r},quality={status}i {at}"
            if isfinite(number)
            else f"{prefixes[channel][1]}{status}i {at}"
            for at, channel, number, status in zip(
                at_ns.tolist(), channels, value.tolist(), quality.tolist(), strict=True
            )
        )

    def _learn(self) -> None:
        """The beginnings of the lines of all channels: with a value, and without."""
        for known, asset, name, unit in self._conn.execute("SELECT id, asset, name, unit FROM channel"):
            tags = {"asset": asset, "channel": name, "unit": unit}
            series = ",".join(
                [
                    self._measurement,
                    *(f"{key}={text.translate(_ESCAPED)}" for key, text in tags.items() if text),
                ]
            )
            self._prefixes[known] = (f"{series} value=", f"{series} quality=")


def make_post(settings: Influx) -> tuple[Post, Callable[[], None]]:
    """What sends lines to the server of these settings, and what ends it. ConfigError if there is no token."""
    from influxdb_client.client.exceptions import InfluxDBError  # noqa: PLC0415 - only the mirror's process needs it
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
    from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    client = InfluxDBClient(
        settings.url,
        token=token_of(settings),
        org=settings.org or "",
        timeout=int(settings.timeout_s * 1000),
        enable_gzip=True,
        ssl_ca_cert=str(settings.ca) if settings.ca else None,
    )
    writer = client.write_api(write_options=SYNCHRONOUS)

    def post(lines: bytes) -> None:
        try:
            writer.write(settings.bucket, settings.org or "", lines)
        except InfluxDBError as error:
            raise _judged(error) from error
        except (HTTPError, OSError) as error:
            raise Away(str(error)) from error

    return post, client.close


def token_of(settings: Influx) -> str:
    """The token, empty if none is configured. ConfigError if it is configured and not there."""
    if settings.token_env is not None:
        token = os.environ.get(settings.token_env, "")
        where = f"the environment variable {settings.token_env}"
    elif settings.token_file is not None:
        with contextlib.suppress(OSError):
            return settings.token_file.read_text("utf-8").strip()
        token, where = "", str(settings.token_file)
    else:
        return ""
    if not token:
        raise ConfigError(f"influx: there is no token in {where}")
    return token


def _judged(error: "Exception") -> Away | Rejected:
    """Whether it makes sense to try these lines again: what is wrong with them stays wrong, all else may be mended."""
    response = getattr(error, "response", None)
    status = int(getattr(response, "status", 0) or 0)
    text = f"{status}: {getattr(error, 'message', '') or error}"[:300]
    if status in {400, 413, 422}:
        return Rejected(text, too_large=status == 413)
    asked = str(getattr(error, "retry_after", "") or "")
    return Away(text, float(asked) if asked.isdigit() else None)
