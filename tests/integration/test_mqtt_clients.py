"""Clients that plants have, against the listener: paho, Mosquitto's own, aiomqtt, zmqtt; passwords and certificates."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import aiomqtt
import pytest
import zmqtt

from andon.events import SECOND_NS
from ingest.journal import SqliteJournal
from ingest.mqtt_packets import Kind, Packet
from tests.certificates import Authority
from tests.listening import Listening, listening, until
from tests.mosquitto import needs_mosquitto_clients
from tests.mqtt_client import Client, connect, publish
from tests.publishing import Publisher

TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
PROTOCOLS = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def bodies(journal: SqliteJournal) -> list[bytes]:
    return [record.body for record in journal.read(0, 100_000)]


@PROTOCOLS
async def test_paho_publishes_and_is_acknowledged(journal: SqliteJournal, protocol: str) -> None:
    sent = [b"%d" % number for number in range(500)]

    def publish_all(port: int) -> set[bytes]:
        with Publisher(port, protocol=protocol) as publisher:
            assert publisher.connected.wait(10)  # before that paho sends out of order, and twice
            for body in sent:
                publisher.publish(TOPIC, body)
            publisher.wait_for(len(sent))
            return publisher.acknowledged

    async with listening(journal) as listener:
        assert await asyncio.to_thread(publish_all, listener.port) == set(sent)
    assert bodies(journal) == sent


@PROTOCOLS
@needs_mosquitto_clients
async def test_mosquitto_pub_publishes(journal: SqliteJournal, protocol: str) -> None:
    version = {"3.1.1": "mqttv311", "5": "mqttv5"}[protocol]

    async def mosquitto_pub(listener: Listening, password: str, qos: int) -> int:
        address = ("-h", "127.0.0.1", "-p", str(listener.port), "-u", "press", "-P", password)
        message = ("-V", version, "-q", str(qos), "-t", TOPIC, "-m", f"qos {qos}")
        process = await asyncio.create_subprocess_exec(
            "mosquitto_pub", *address, *message, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return await asyncio.wait_for(process.wait(), 10)

    async with listening(journal) as listener:
        assert await mosquitto_pub(listener, "secret", 1) == 0
        assert await mosquitto_pub(listener, "secret", 0) == 0
        assert await mosquitto_pub(listener, "wrong", 1) != 0
    assert bodies(journal) == [b"qos 1", b"qos 0"]


class TlsClient(Client):
    """A client with TLS."""

    def __init__(self, port: int, trusted: Path, shown: tuple[Path, Path] | None) -> None:
        super().__init__(port)
        self._context = ssl.create_default_context(cafile=trusted)
        if shown is not None:
            self._context.load_cert_chain(*shown)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._context)
        return self


async def test_a_certificate_is_a_name(journal: SqliteJournal, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("andon")
    tls = {"certificate": certificate, "key": key, "client_ca": authority.certificate}
    users = {"press7": {"topics": ["andon/v1/acme/m7"]}}
    async with listening(journal, tls=tls, users=users) as listener:
        async with TlsClient(listener.port, authority.certificate, authority.issue("press7")) as client:
            await client.connected(user="somebody else", password=b"ignored")
            client.publish("andon/v1/acme/m7/_telemetry/t", b"x" * 200_000, 1)
            client.publish("andon/v1/acme/m8/_telemetry/t", b"not mine", 2)
            assert await client.acknowledged(2) == [(1, 0), (2, 0)]
        async with TlsClient(listener.port, authority.certificate, authority.issue("stranger")) as stranger:
            stranger.say(connect("stranger"))
            assert await stranger.hear() == Packet(Kind.CONNACK, b"\0\4")
        for shown in (None, Authority(tmp_path / "other").issue("press7")):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                async with TlsClient(listener.port, authority.certificate, shown) as client:
                    await client.connected()
        async with Client(listener.port) as plain:
            plain.say(connect(), publish(TOPIC, b"plain", 1))
            assert await plain.hear() is None
    assert bodies(journal)[0] == b"x" * 200_000
    assert journal.end() == 2


async def test_a_password_travels_encrypted(journal: SqliteJournal, authority: Authority) -> None:
    certificate, key = authority.issue("andon")
    async with (
        listening(journal, tls={"certificate": certificate, "key": key}) as listener,
        TlsClient(listener.port, authority.certificate, None) as client,
    ):
        await client.connected()
        client.say(*(publish(TOPIC, b"%d" % number, number) for number in range(1, 301)))
        assert [found for found, _ in await client.acknowledged(300)] == list(range(1, 301))


MANY = [b"%d" % number for number in range(300)]


@PROTOCOLS
async def test_aiomqtt_publishes_and_is_acknowledged(journal: SqliteJournal, protocol: str) -> None:
    version = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}[protocol]
    login = {"username": "press", "password": "secret"}
    async with listening(journal) as listener:
        async with aiomqtt.Client("127.0.0.1", listener.port, protocol=version, **login) as client:
            for body in MANY:
                await client.publish(TOPIC, body, qos=1)
            assert bodies(journal) == MANY  # each was acknowledged, so each is on disk
            await client.publish(TOPIC, b"without a promise", qos=0)
        await until(lambda: journal.end() == len(MANY) + 1)
        with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed|bad user"):
            async with aiomqtt.Client(
                "127.0.0.1", listener.port, protocol=version, username="press", password="x"
            ):
                pass


@PROTOCOLS
async def test_zmqtt_publishes_and_is_acknowledged(journal: SqliteJournal, protocol: str) -> None:
    """Of another hand than paho's: codec, windows and keep-alive are its own."""
    version: Literal["3.1.1", "5.0"] = "5.0" if protocol == "5" else "3.1.1"
    login = {"username": "press", "password": "secret", "client_id": "zmqtt"}
    async with listening(journal) as listener:
        async with zmqtt.create_client("127.0.0.1", listener.port, version=version, **login) as client:  # type: ignore[arg-type]
            await client.ping()
            for body in MANY:
                await client.publish(TOPIC, body, qos=zmqtt.QoS.AT_LEAST_ONCE)
            assert bodies(journal) == MANY
            await asyncio.gather(
                *(client.publish(TOPIC, b"at once %d" % n, qos=zmqtt.QoS.AT_LEAST_ONCE) for n in range(200))
            )
            assert journal.end() == len(MANY) + 200
            await client.publish(TOPIC, bytes(200_000), qos=zmqtt.QoS.AT_LEAST_ONCE)
            await client.publish(TOPIC, b"without a promise")
        await until(lambda: journal.end() == len(MANY) + 202)
        wrong = zmqtt.create_client("127.0.0.1", listener.port, version=version, **{**login, "password": "x"})  # type: ignore[arg-type]
        with pytest.raises(zmqtt.MQTTError):
            await wrong.connect()


async def test_the_will_of_a_foreign_client_is_taken(journal: SqliteJournal) -> None:
    topic = "andon/v1/acme/sz/a1/l1/c1/m7/_state/online"
    will = zmqtt.Will(topic=topic, payload=b'{"online": false}', qos=zmqtt.QoS.AT_LEAST_ONCE, retain=True)
    login = {"username": "press", "password": "secret", "client_id": "zmqtt"}
    async with listening(journal) as listener:
        client = zmqtt.create_client("127.0.0.1", listener.port, will=will, **login)  # type: ignore[arg-type]
        await client.connect()
        await listener.stop()  # it is not the device that went: no will
        with contextlib.suppress(zmqtt.MQTTError):
            await client.disconnect()
    assert journal.end() == 0
    async with listening(journal) as listener, Client(listener.port) as device:
        await device.connected(will=(topic, b'{"online": false}'))
        device.drop()
        await until(lambda: journal.end() == 1)
    (record,) = journal.read(0, 10)
    assert (record.topic, record.body) == (topic.encode(), b'{"online": false}')


async def test_the_status_says_when_the_last_message_came(journal: SqliteJournal) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        await until(lambda: bool(listener.status))
        assert listener.status[-1]["last_received_ns"] is None
        client.publish(TOPIC, b"1", 1)
        await client.acknowledged(1)
        at_ns = journal.read(0, 1)[0].received_ns
        await until(lambda: listener.status[-1]["last_received_ns"] is not None)
        assert 0 <= listener.status[-1]["last_received_ns"] - at_ns < 2 * SECOND_NS
    async with listening(journal) as listener:
        await until(lambda: bool(listener.status))
        assert listener.status[-1]["last_received_ns"] == at_ns
