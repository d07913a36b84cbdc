"""paho's client, reading as the listener does: all the bytes that are there at once, and acknowledgements in one write.

paho reads a packet's first byte and each byte of its length by a `recv` of their own, and takes a message whole
before anybody can refuse it. Everything else stays paho's: connecting, what is said, keep-alive, the callbacks.
What is used of it under a private name stands in `TOUCHED`, and a test holds paho to it.
"""

import contextlib
import ssl
import struct
import time
from collections.abc import Callable, Sequence

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion

from ingest.errors import ProtocolError
from ingest.mqtt_packets import Oversized, Packet, Publish, Reason
from ingest.mqtt_wire import Limits, PacketParser

TOUCHED = (
    "_sock_recv",
    "_loop_rc_handle",
    "_in_packet",
    "_packet_handle",
    "_packet_queue",
    "_msgtime_mutex",
    "_last_bytes_received",
)
"""The private names of paho's client that are used here."""

READ_BYTES = 128 * 1024
_QOS_2 = 2
_WORD = struct.Struct(">HH")
_PUBACK, _PUBREC, _PUBCOMP = (kind << 8 | 2 for kind in (0x40, 0x50, 0x70))
Message = Publish | Oversized


class BatchClient(paho.Client):
    """A `paho.Client` that gives `take` all messages of one read together, in their order; `on_message` is not called.

    A payload over its limit is given as `Oversized`, without ever being held whole. What is acknowledged is up to
    `acknowledge`. A client serves one connection.
    """

    def __init__(
        self,
        client_id: str,
        version: MQTTProtocolVersion,
        limits: Limits,
        take: Callable[[Sequence[Message]], None],
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if version == MQTTProtocolVersion.MQTTv5 else False,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._parser = PacketParser(limits, version=version)
        self._take = take
        self._with_qos_2: set[int] = set()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 -- paho's signature
        """Take what has arrived, up to 128 KiB; MQTT_ERR_AGAIN if there was nothing.

        Raises ProtocolError where the broker breaks the rules, after the messages before that were taken.
        """
        try:
            data = self._received()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        try:
            packets: Sequence[object] = self._parser.feed(data)
        except ProtocolError as error:
            self._go_through(error.packets)
            raise
        return self._go_through(packets)

    def holds_more(self) -> bool:
        """Whether TLS holds bytes of which the socket no longer tells."""
        sock = self.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def acknowledge(self, packets: Sequence[int]) -> None:
        """Say that these messages are kept, in this order and in one write."""
        words = [_WORD.pack(_PUBACK, packet) for packet in packets]
        if self._with_qos_2:  # none was asked for, but a session may be older than we are
            words = [
                _WORD.pack(_PUBREC if packet in self._with_qos_2 else _PUBACK, packet) for packet in packets
            ]
            self._with_qos_2.difference_update(packets)
        self._packet_queue(MessageType.PUBACK, b"".join(words), 0, 1)

    def _received(self) -> bytes:
        """What has arrived. TLS gives one record at a time, which is often one message: then as many as there are."""
        data = self._sock_recv(READ_BYTES)
        if not data or not isinstance(self.socket(), ssl.SSLSocket):
            return data
        parts, size = [data], len(data)
        with contextlib.suppress(OSError):  # what is wrong is heard again with the next read
            while data and size < READ_BYTES:
                parts.append(data := self._sock_recv(READ_BYTES))
                size += len(data)
        return b"".join(parts)

    def _go_through(self, packets: Sequence[object]) -> MQTTErrorCode:
        """Hand on the messages, and to paho what is none, keeping their order."""
        messages: list[Message] = []
        done = MQTTErrorCode.MQTT_ERR_SUCCESS
        for packet in packets:
            if isinstance(packet, Publish | Oversized):
                messages.append(packet)
                if packet.flags >> 2 == _QOS_2:
                    self._with_qos_2.add(packet.packet)
                continue
            if messages:
                self._take(messages)
                messages = []
            done = self._answer(packet)
            if done:
                return self._loop_rc_handle(done)
        if messages:
            self._take(messages)
        return done

    def _answer(self, packet: object) -> MQTTErrorCode:
        if not isinstance(packet, Packet):
            raise ProtocolError(Reason.PROTOCOL_ERROR, "a broker that says CONNECT")
        if packet.kind << 4 == MessageType.PUBREL:
            number = int.from_bytes(packet.body[:2], "big")
            return self._packet_queue(MessageType.PUBCOMP, _WORD.pack(_PUBCOMP, number), number, _QOS_2)
        self._in_packet = {
            "command": packet.kind << 4,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(packet.body),
            "packet": bytearray(packet.body),
            "to_process": 0,
            "pos": 0,
        }
        return self._packet_handle()
