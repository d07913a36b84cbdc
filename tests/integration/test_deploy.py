"""The files of deploy/ work as they stand: a real Mosquitto, systemd's own verdict on the unit."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
MOSQUITTO = shutil.which("mosquitto", path=PATH)
MESSAGES = 2_500  # more than the 1000 that Mosquitto holds by default
PATIENCE_S = 20.0


def _client(name: str, port: int, password: str | None) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
    client.max_inflight_messages_set(100)
    if password is not None:
        client.username_pw_set("andon", password)
    client.connect("127.0.0.1", port)
    return client


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _loop_until(client: mqtt.Client, done: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        client.loop(0.05)
        assert time.monotonic() < deadline, why


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    folder = tmp_path_factory.mktemp("broker")
    port = _free_port()
    text = (DEPLOY / "mosquitto.conf").read_text("utf-8")
    for there, here in {
        "listener 1883 ": f"listener {port} ",
        "/etc/mosquitto/andon.passwd": str(folder / "passwd"),
        "/var/lib/mosquitto/": f"{folder}/",
    }.items():
        assert there in text
        text = text.replace(there, here)
    if os.geteuid() == 0:
        text += "user root\n"
    (folder / "mosquitto.conf").write_text(text, "utf-8")
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", folder / "passwd", "andon", "right"],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": PATH},
    )
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([MOSQUITTO, "-c", folder / "mosquitto.conf"], stderr=log) as process,
    ):
        try:
            _wait_until_it_listens(port, process, folder / "log")
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_until_it_listens(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"mosquitto does not start: {log.read_text('utf-8')}")


def test_the_broker_takes_nobody_without_a_password(broker: int) -> None:
    answers: list[str] = []
    client = _client("stranger", broker, None)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(str(reason))
    _loop_until(client, lambda: answers, "no answer to CONNECT")
    assert answers == ["Not authorized"]


def test_the_broker_drops_nothing_while_the_collector_is_away(broker: int) -> None:
    took: set[int] = set()
    collector = _client("collector", broker, "right")
    collector.on_subscribe = lambda *_: collector.disconnect()
    collector.on_connect = lambda *_: collector.subscribe("andon/#", qos=1)
    _loop_until(collector, lambda: collector.socket() is None, "no SUBACK")

    device = _client("device", broker, "right")
    _loop_until(device, device.is_connected, "the device is not let in")
    device.on_publish = lambda _client, _data, packet, _reason, _properties: took.add(packet)
    for number in range(MESSAGES):
        device.publish("andon/v1/x", str(number).encode(), qos=1)
    _loop_until(device, lambda: len(took) == MESSAGES, "not every message was acknowledged")
    device.disconnect()

    came: list[int] = []
    again = _client("collector", broker, "right")
    again.on_message = lambda _client, _data, message: came.append(int(message.payload))
    _loop_until(again, lambda: len(came) == MESSAGES, "messages are missing")
    again.disconnect()
    assert came == list(range(MESSAGES))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_the_unit_valid_and_hardened(tmp_path: Path) -> None:
    unit = (DEPLOY / "andon.service").read_text("utf-8")
    here = tmp_path / "andon.service"
    here.write_text(unit.replace("/opt/andon/bin/andon", shutil.which("true") or "/bin/true"), "utf-8")
    verdict = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)
    assert (verdict.returncode, verdict.stderr) == (0, "")
    exposure = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", here],
        capture_output=True,
        text=True,
        check=False,
    )
    assert exposure.returncode == 0, exposure.stdout[-200:]
