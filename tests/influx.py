"""A real InfluxDB on loopback, of the version that Debian has; it ends with the test."""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from andon.installation import free_port

_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


class Influx:
    """A server with its data in `folder` and one database."""

    def __init__(self, folder: Path, database: str = "andon") -> None:
        program = shutil.which("influxd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        if program is None:
            pytest.skip("influxdb is not installed")
        self._database = database
        self._port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "influxdb.conf"
        config.write_text(_CONFIG.format(folder=folder, port=self._port, rpc=free_port()))
        self._process = subprocess.Popen(
            [program, "-config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def start(self) -> None:
        """Wait until it answers, and make the database."""
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError):
                self._call("/query", {"q": f"CREATE DATABASE {self._database}"}, b"")
                return
            time.sleep(0.1)
        raise TimeoutError("influxd does not answer")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def write(self, lines: bytes) -> None:
        """Take line protocol with times in nanoseconds; HTTPError if it is none."""
        self._call("/write", {"db": self._database, "precision": "ns"}, lines)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that an InfluxQL query gives; AssertionError with the server's words if it is none."""
        answer = json.loads(self._call("/query", {"db": self._database, "q": query}, None))["results"][0]
        assert "error" not in answer, answer
        return list(answer.get("series", []))

    def _call(self, path: str, parameters: dict[str, str], body: bytes | None) -> bytes:
        url = f"http://127.0.0.1:{self._port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, data=body, timeout=60) as answer:
            return bytes(answer.read())
