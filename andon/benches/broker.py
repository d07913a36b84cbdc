"""A real Mosquitto for as long as a bench needs it, and mosquitto_sub as what everything is compared with."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
)
SUBSCRIBER = shutil.which("mosquitto_sub")
TOPICS = "andon/v1/#"
_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 500
set_tcp_nodelay true
log_type none
"""


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """The port of a broker set as deploy/mosquitto.conf sets it, without what is kept on disk."""
    if PROGRAM is None:
        raise FileNotFoundError("mosquitto is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(_SETTINGS.format(port=port))
    words = [PROGRAM, "-c", str(settings)]
    broker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait_for(port, broker)
        yield port
    finally:
        broker.terminate()
        broker.wait(10)


def _wait_for(port: int, broker: "subprocess.Popen[bytes]") -> None:
    give_up_s = time.monotonic() + 10
    while broker.poll() is None and time.monotonic() < give_up_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise ConnectionError("mosquitto does not answer")
