"""`andon run` in processes of its own, as a plant starts it, for tests that look at it from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from andon.commands.finished import newest_tickets
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json

ANDON = [sys.executable, "-m", "andon"]
T = TypeVar("T")
WORKSHOP: Mapping[str, Json] = {
    "name": "workshop",
    "assets": [
        {"id": asset, "name": "Lathe", "asset_class": "lathe", "path": "e/s/a/L1/c"}
        for asset in ("M1", "M2", "M3")
    ],
    "classes": {"lathe": [{"kind": "stop_alarm"}]},
}
STOP = {"state": "Stopped", "reason": {"id": "E1", "message": "door", "trigger": True}, "severity": 600}


class Running:
    """An installation at work in `folder`; its andon.toml can be written anew meanwhile.

    `start_s` is how long it took to start, on this machine and under its load.
    """

    def __init__(self, folder: Path, sources: str, plant: Mapping[str, Json] | None = None) -> None:
        self.data = folder / "data"
        self._plant = folder / "plant.json" if plant else None
        if self._plant:
            self._plant.write_text(json.dumps(plant))
        self.path = folder / "andon.toml"
        self.heard = folder / "heard.txt"
        self.write(sources)

    def write(self, sources: str) -> None:
        """Write the configuration: the sources, beside what stays."""
        self.path.write_text(f'data = "{self.data}"\n[web]\nport = 0\n{sources}')

    def __enter__(self) -> Self:
        words = [*ANDON, "run", "--config", str(self.path)]
        words += ["--plant", str(self._plant)] if self._plant else []
        began_s = time.monotonic()
        with self.heard.open("w") as heard:
            self._process = subprocess.Popen(words, stdout=heard, stderr=subprocess.STDOUT)
        self.until(lambda: "console:" in self.heard.read_text(), 240, "the console was ready")
        self.start_s = time.monotonic() - began_s
        return self

    def kill(self) -> None:
        """End it as a power cut would: nothing more is saved."""
        os.kill(int(self.part("engine")["pid"]), signal.SIGKILL)
        self._process.kill()
        self._process.wait(10)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(30) == 0, self.heard.read_text()

    def until(self, holds: Callable[[], T], seconds: float, what: str) -> T:
        """What `holds` gives once it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.heard.read_text()
            if found := holds():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} within {seconds:.0f} s\n{self.heard.read_text()}\n{self.status()}")

    def status(self) -> Mapping[str, Json]:
        """The status file."""
        found: Mapping[str, Json] = json.loads((self.data / "run" / "status.json").read_text())
        return found

    def part(self, name: str) -> Mapping[str, Json]:
        """What the status file says of one part; empty if there is none of that name."""
        found: Mapping[str, Json] = self.status()["parts"].get(name, {})
        return found

    def tickets(self, condition: str) -> Sequence[Mapping[str, Json]]:
        """The tickets of that condition, newest first."""
        with reading(open_store(self.data)) as conn:
            return [row for row in newest_tickets(conn) if row["condition"] == condition]

    def say(self, *words: str) -> str:
        """Run another verb on the same installation; gives what it printed."""
        done = subprocess.run(
            [*ANDON, *words, "--config", str(self.path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Device:
    """A machine that publishes, and counts how often it had to connect."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"device-{port}")
        self._client.on_connect = self._on_connect
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, *_: object) -> None:
        self.connections += 1

    def stops(self, asset: str, number: int) -> None:
        """Publish a stop and wait until it is on disk."""
        body = {"id": f"{asset}-{number}", "source": "mes", "type": "andon.machine.stop.v1", "data": STOP}
        told = self._client.publish(f"andon/v1/e/s/a/L1/c/{asset}/_event/stop", json.dumps(body), qos=1)
        told.wait_for_publish(10)
        assert told.is_published()

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def listener(name: str, port: int, more: str = "") -> str:
    return f'[sources.{name}]\nkind = "listener"\nport = {port}\nanonymous = true\n{more}'
