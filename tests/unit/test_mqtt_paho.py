"""What the batch-reading client takes from paho's inside is there, as it was when it was written."""

import ast
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion

from ingest import mqtt_connection, mqtt_paho
from ingest.errors import ProtocolError
from ingest.mqtt_packets import Kind, Packet, Reason, connack, suback
from ingest.mqtt_paho import TOUCHED, BatchClient
from ingest.mqtt_wire import Limits

ROOT = Path(__file__).parents[2]


def client() -> BatchClient:
    return BatchClient("press-1", MQTTProtocolVersion.MQTTv311, Limits(), lambda _: None)


def test_paho_has_every_private_name_that_is_used() -> None:
    bare = paho.Client(CallbackAPIVersion.VERSION2)
    assert [name for name in TOUCHED if not hasattr(bare, name)] == []


def test_no_private_name_of_paho_is_used_that_is_not_listed() -> None:
    tree = ast.parse(inspect.getsource(mqtt_paho))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    bare = paho.Client(CallbackAPIVersion.VERSION2)
    assert {
        name for name in used if name.startswith("_") and name[:2] != "__" and hasattr(bare, name)
    } == set(TOUCHED)


def test_our_own_private_names_replace_none_of_paho_s() -> None:
    bare, ours = paho.Client(CallbackAPIVersion.VERSION2), client()
    defined = {
        name for name in (*vars(BatchClient), *(vars(ours).keys() - vars(bare).keys())) if name[0] == "_"
    }
    assert {name for name in defined if name[:2] != "__" and hasattr(bare, name)} == set()


def test_what_the_connection_replaces_of_paho_s_is_still_called() -> None:
    assert "self._ssl_wrap_socket(" in inspect.getsource(paho.Client._create_socket)
    assert "_ssl_wrap_socket" in vars(mqtt_connection._Client)


def test_paho_is_held_to_the_range_that_was_looked_into() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "paho-mqtt>=2.2,<2.3" in project["dependencies"]
    assert version("paho-mqtt").startswith("2.2.")


def test_what_paho_reads_a_packet_into_has_the_parts_that_we_fill() -> None:
    bare = paho.Client(CallbackAPIVersion.VERSION2)._in_packet
    ours = client()
    ours._answer(Packet(Kind.PINGRESP, b""))
    assert set(ours._in_packet) == set(bare)


@pytest.mark.parametrize("name", ["_packet_queue", "_loop_rc_handle", "_packet_handle", "_sock_recv"])
def test_paho_takes_the_arguments_that_it_is_given(name: str) -> None:
    wanted = {
        "_packet_queue": ["command", "packet", "mid", "qos", "info"],
        "_loop_rc_handle": ["rc"],
        "_packet_handle": [],
        "_sock_recv": ["bufsize"],
    }
    assert list(inspect.signature(getattr(paho.Client, name)).parameters)[1:] == wanted[name]


def test_paho_answers_what_we_parsed() -> None:
    ours = client()
    heard: list[str] = []
    ours.on_connect = lambda *_: heard.append("connected")
    ours.on_subscribe = lambda *_: heard.append("subscribed")
    for said in (connack(4, Reason.SUCCESS), suback(1, 4, [1])):
        packets = ours._parser.feed(said)
        assert ours._go_through(packets) == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert heard == ["connected", "subscribed"]


def test_a_packet_that_no_broker_sends_ends_the_connection() -> None:
    with pytest.raises(ProtocolError):
        client()._parser.feed(b"\xff\x00")


def test_acknowledgements_are_one_packet_to_paho_and_in_order() -> None:
    ours = client()
    ours.acknowledge([7, 3, 65535])
    (queued,) = ours._out_packet
    assert bytes(queued["packet"]) == b"\x40\x02\x00\x07\x40\x02\x00\x03\x40\x02\xff\xff"
    assert queued["command"] == MessageType.PUBACK


def test_what_came_with_qos_2_is_received_not_acknowledged() -> None:
    ours = client()
    ours._go_through(ours._parser.feed(b"\x34\x06\x00\x01t\x00\x09x" + b"\x32\x06\x00\x01t\x00\x0ay"))
    ours.acknowledge([9, 10])
    ours._answer(Packet(Kind.PUBREL, b"\x00\x09"))
    said = [bytes(queued["packet"]) for queued in ours._out_packet]
    assert said == [b"\x50\x02\x00\x09\x40\x02\x00\x0a", b"\x70\x02\x00\x09"]
