"""A real Mosquitto on a free port of this machine, for as long as a test needs it."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
)
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
needs_mosquitto_clients = pytest.mark.skipif(
    shutil.which("mosquitto_pub") is None, reason="mosquitto is not installed: no mosquitto_pub"
)
WAIT_S = 10.0


@dataclass
class Mosquitto:
    """A broker that can be stopped and started again on its port."""

    port: int
    settings: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [PROGRAM, "-c", str(self.settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up_s = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self.process.poll() is None, "mosquitto ended at once"
            assert time.monotonic() < give_up_s, "mosquitto does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it as its service would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(WAIT_S)
            self.process = None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[Mosquitto]:
    """A broker that keeps everything for those who are away; more lines go into its configuration."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "mosquitto.conf"
    common = (
        "per_listener_settings false",
        "max_queued_messages 0",
        "persistence true",
        f"persistence_location {folder}/",
        "user root",
        f"listener {port} 127.0.0.1",
    )
    settings.write_text("\n".join((*common, *(lines or ("allow_anonymous true",)))) + "\n")
    broker = Mosquitto(port, settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
