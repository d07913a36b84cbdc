"""deploy/mosquitto.conf as it stands, run by a real Mosquitto with certificates of deploy/make-secrets.sh."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from andon.installation import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
MOSQUITTO = shutil.which("mosquitto", path=PATH)
MESSAGES = 2_500  # more than the 1000 that Mosquitto holds by default
PATIENCE_S = 60.0
CONNECT = bytes.fromhex("100d00044d5154540402003c000178")  # MQTT 3.1.1, client id "x"
OWN, ANOTHERS = "andon/v1/e/s/a/L1/c/press7/_telemetry/values", "andon/v1/e/s/a/L1/c/press8/_telemetry/values"


@dataclass(frozen=True)
class Broker:
    """A running broker, and where the certificates are that it knows."""

    port: int
    secrets: Path

    def client(self, name: str, certificate: str) -> mqtt.Client:
        """A client with one of the certificates, connecting, with a session that stays."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        client.max_inflight_messages_set(100)
        paths = [f"{self.secrets / certificate}.{end}" for end in ("crt", "key")]
        client.tls_set(str(self.secrets / "ca" / "ca.crt"), *paths)
        client.connect("localhost", self.port)
        return client


def _until(client: mqtt.Client, done: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        client.loop(0.05)
        assert time.monotonic() < deadline, why


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    secrets = folder / "secrets"
    for words in ([], ["--device", "press7"]):
        subprocess.run(
            [DEPLOY / "make-secrets.sh", *words],
            check=True,
            capture_output=True,
            env={**os.environ, "ANDON_SECRETS": str(secrets)},
        )
    text = (DEPLOY / "mosquitto.conf").read_text("utf-8")
    for there, here in {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/certs/": f"{secrets}/mosquitto/",
        "/etc/mosquitto/andon.acl": str(DEPLOY / "mosquitto.acl"),
        "/var/lib/mosquitto/": f"{folder}/",
    }.items():
        assert there in text
        text = text.replace(there, here)
    if os.geteuid() == 0:
        text += "user root\n"
    (folder / "mosquitto.conf").write_text(text, "utf-8")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([MOSQUITTO, "-c", folder / "mosquitto.conf"], stderr=log) as process,
    ):
        try:
            _wait_until_it_listens(port, process, folder / "log")
            yield Broker(port, secrets)
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


def test_the_broker_takes_nobody_without_a_certificate_of_the_authority(broker: Broker) -> None:
    context = ssl.create_default_context(cafile=str(broker.secrets / "ca" / "ca.crt"))
    with (
        socket.create_connection(("localhost", broker.port), PATIENCE_S) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as stranger,
    ):
        answer = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # under TLS 1.3 it comes after the handshake
            stranger.sendall(CONNECT)
            answer = stranger.recv(4)
    assert answer == b""


def test_a_machine_says_what_is_its_own_and_hears_nothing(broker: Broker) -> None:
    came: list[str] = []
    heard: list[str] = []
    collector = broker.client("listening", "andon/mqtt")
    collector.on_message = lambda _client, _data, message: came.append(message.topic)
    collector.on_connect = lambda *_: collector.subscribe("andon/v1/#", qos=1)
    ready: list[object] = []
    collector.on_subscribe = lambda *_: ready.append(True)
    _until(collector, lambda: ready, "no answer to the subscription")
    for topic in (ANOTHERS, "other/press7/x", OWN):
        told: list[str] = []
        machine = broker.client("press7", "devices/press7")
        machine.on_message = lambda _client, _data, message: heard.append(message.topic)
        machine.on_subscribe = lambda *_, client=machine, topic=topic: client.publish(topic, b"{}", qos=1)
        machine.on_connect = lambda *_, client=machine: client.subscribe("#", qos=1)
        machine.on_publish = lambda *_, told=told: told.append("acknowledged")
        machine.on_disconnect = lambda *_, told=told: told.append(
            "put out"
        )  # Mosquitto 2.0.11, of the first two
        _until(machine, lambda told=told: told, "no answer to what was published")
        machine.disconnect()
    _until(collector, lambda: came, "the collector hears nothing")
    collector.disconnect()
    assert (came, heard) == ([OWN], [])


def test_the_broker_drops_nothing_while_the_collector_is_away(broker: Broker) -> None:
    took: set[int] = set()
    collector = broker.client("collector", "andon/mqtt")
    collector.on_subscribe = lambda *_: collector.disconnect()
    collector.on_connect = lambda *_: collector.subscribe("andon/v1/#", qos=1)
    _until(collector, lambda: collector.socket() is None, "no SUBACK")

    device = broker.client("device", "devices/press7")
    _until(device, device.is_connected, "the device is not let in")
    device.on_publish = lambda _client, _data, packet, _reason, _properties: took.add(packet)
    for number in range(MESSAGES):
        device.publish(OWN, str(number).encode(), qos=1)
    _until(device, lambda: len(took) == MESSAGES, "not every message was acknowledged")
    device.disconnect()

    came: list[int] = []
    again = broker.client("collector", "andon/mqtt")
    again.on_message = lambda _client, _data, message: came.append(int(message.payload))
    _until(again, lambda: len(came) == MESSAGES, "messages are missing")
    again.disconnect()
    assert came == list(range(MESSAGES))


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto is not installed: its clients")
def test_the_health_check_of_compose_hears_the_broker(broker: Broker) -> None:
    compose = (DEPLOY / "compose.yaml").read_text("utf-8")
    test = re.search(r'test: \["CMD", "(mosquitto_sub".*?)\]', compose, re.DOTALL)
    assert test is not None
    words = re.findall(r'"([^"]*)"', '"' + test[1].replace("$$", "$"))
    here = {"8883": str(broker.port), "5": "60"}
    words = [here.get(word, word).replace("/run/secrets", f"{broker.secrets}/mosquitto") for word in words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=90)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("seconds\n")
