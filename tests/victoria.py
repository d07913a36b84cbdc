"""A real VictoriaMetrics on loopback, which takes InfluxDB's write API; it ends with the test."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from andon.installation import free_port

Series = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]


class Victoria:
    """A server with its data in `folder`, which may go away and come back on the same port.

    With `scrape`, a configuration like Prometheus', it fetches metrics itself.
    """

    def __init__(self, folder: Path, scrape: Path | None = None) -> None:
        self._program = shutil.which("victoria-metrics")
        if self._program is None:
            pytest.skip("victoria-metrics is not installed")
        self._folder = folder
        self._scraping = (
            [f"-promscrape.config={scrape}", "-search.latencyOffset=0s"] if scrape is not None else []
        )
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert self._program is not None
        self._process = subprocess.Popen(
            [
                self._program,
                f"-httpListenAddr=127.0.0.1:{self.port}",
                f"-storageDataPath={self._folder}",
                "-retentionPeriod=100y",
                "-dedup.minScrapeInterval=1ms",
                "-memory.allowedBytes=64MB",
                "-loggerLevel=ERROR",
                *self._scraping,
            ]
        )
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError):
                self._get("/health")
                return
            time.sleep(0.05)
        raise TimeoutError("victoria-metrics does not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def everything(self) -> Series:
        """(time in ms, value) by series name and tags."""
        self._get("/internal/force_flush")
        match = urllib.parse.quote('{__name__!=""}')
        found: Series = {}
        for line in self._get(f"/api/v1/export?match[]={match}").splitlines():
            row = json.loads(line)
            key = tuple(sorted(row["metric"].items()))
            found.setdefault(key, []).extend(zip(row["timestamps"], row["values"], strict=True))
        return {key: sorted(rows) for key, rows in found.items()}

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """What a PromQL expression gives now; HTTPError if it is none."""
        query = urllib.parse.urlencode({"query": expression, "nocache": 1})
        return list(json.loads(self._get(f"/api/v1/query?{query}"))["data"]["result"])

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:  # noqa: S310 - a server of our own
            return str(answer.read().decode())
