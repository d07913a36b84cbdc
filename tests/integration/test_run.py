"""`andon run` as a plant starts it: andon.toml, a plant document, a device of its own, a stop, a ticket, news of it."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from andon.commands.finished import newest_tickets
from andon.database import reading
from andon.datadir import open_store
from andon.installation import free_port
from tests.receivers import Reply, Server, http

ANDON = [sys.executable, "-m", "andon"]
PLANT = {
    "name": "workshop",
    "assets": [{"id": "M7", "name": "Lathe", "asset_class": "lathe", "path": "e/s/a/L1/c"}],
    "people": [
        {"id": "ann", "name": "Ann", "role": "technician", "tags": ["mechanical"]},
        {"id": "bo", "name": "Bo", "role": "technician"},
    ],
    "classes": {"lathe": [{"kind": "stop_alarm"}]},
}
STOP = {
    "id": "s-1",
    "source": "mes",
    "type": "andon.machine.stop.v1",
    "data": {"state": "Stopped", "reason": {"id": "E1", "message": "door", "trigger": True}, "severity": 600},
}


def until(holds, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} within {seconds:.0f} s")


@pytest.fixture
def erp():
    """A system that keeps what it is told."""
    with http(lambda _: Reply(204, b"")) as server:
        yield server


def hook_to(erp: Server, folder: Path) -> str:
    """The lines of a channel to it, and its secret in a file."""
    secret = folder / "erp.secret"
    secret.write_text("whsec_" + base64.b64encode(bytes(32)).decode())
    secret.chmod(0o600)
    return (
        f'\n[[notify]]\nname = "erp"\nkind = "webhook"\nurl = "{erp.url}/andon"\n'
        f'secret = {{ file = "{secret}" }}\nallow_private = ["127.0.0.1"]\n'
    )


def told(erp: Server, wanted: str) -> list[str]:
    """The topics that it was told on, once the wanted one is among them."""
    types = [json.loads(request.body)["type"] for request in list(erp.got)]
    return types if wanted in types else []


def test_a_stop_published_by_a_device_is_a_ticket_and_is_told(tmp_path: Path, erp: Server) -> None:
    words = [*ANDON, "device", "mes", "--topic", "andon/v1/e/s/a/L1/c/M7"]
    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    password = re.search(r"shown once: (\S+)", made)
    port, web_port, data = free_port(), free_port(), tmp_path / "data"
    data.mkdir(mode=0o755)  # as a packager or a person makes it
    config = f'data = "{data}"\n[web]\nport = {web_port}\n[sources.floor]\nkind = "listener"\nport = {port}\n'
    config += made[made.index("[sources") :] + hook_to(erp, tmp_path)
    (tmp_path / "andon.toml").write_text(config)
    (tmp_path / "plant.json").write_text(json.dumps(PLANT))
    files = ["--config", str(tmp_path / "andon.toml")]
    assert subprocess.run([*ANDON, "check", *files], check=False).returncode == 0
    words = [*ANDON, "run", *files, "--plant", str(tmp_path / "plant.json")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            until(lambda: "console" in running.stdout.readline(), 60, "the console was ready")
            assert password is not None
            client = paho.Client(CallbackAPIVersion.VERSION2, client_id="mes")
            client.username_pw_set("mes", password[1])
            client.connect("127.0.0.1", port)
            client.loop_start()
            client.publish("andon/v1/e/s/a/L1/c/M7/_event/stop", json.dumps(STOP), qos=1).wait_for_publish(10)
            client.disconnect()
            client.loop_stop()

            def tickets():
                with reading(open_store(data)) as conn:
                    return newest_tickets(conn)

            assert [t["asset"] for t in until(tickets, 60, "the stop became a ticket")] == ["M7"]
            until((data / "notifications.jsonl").exists, 60, "the ticket was told of")
            types = until(lambda: told(erp, "andon.ticket.opened.v1"), 60, "the ERP was told")
            assert "andon.canary.v1" in types
            status = json.loads((data / "run" / "status.json").read_text())["parts"]["notify"]["status"]
            assert {name: one["circuit"] for name, one in status["channels"].items()} == {
                "log": "closed",
                "erp": "closed",
            }
            assert [path for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077] == []
        finally:
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 0
    exported = tmp_path / "exported.json"
    assert (
        subprocess.run(
            [*ANDON, "plant", "export", str(exported), "--data", str(data)], check=False
        ).returncode
        == 0
    )
    changed = json.loads(exported.read_text())
    changed["assets"][0]["model"] = "DMG"
    exported.write_text(json.dumps(changed))
    words = [*ANDON, "plant", "import", str(exported), "--data", str(data), "--dry-run"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert '+      "model": "DMG",' in said


def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    made = subprocess.run([*ANDON, "device", "mes"], capture_output=True, text=True, check=True).stdout
    source = '[sources.floor]\nkind = "listener"\n' + made[made.index("[sources") :]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = f'data = "{tmp_path / "data"}"\n[web]\nport = {port}\n{source}'
        (tmp_path / "andon.toml").write_text(config)
        words = [*ANDON, "run", "--config", str(tmp_path / "andon.toml")]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port} cannot be used" in ended.stderr
    assert "set [web] port" in ended.stderr
    assert not (tmp_path / "data").exists()
