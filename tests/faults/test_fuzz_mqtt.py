"""Minutes of damaged bytes: at the parser from both ends, at the decoder, and at a listener that somebody needs.

What the suite tries a few hundred times is tried for `ANDON_FUZZ_S` seconds each here (20 unless it says otherwise).
The seed is printed; give it as `ANDON_FUZZ_SEED` to see the same bytes again.
"""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.ports import Record, RecordKind
from ingest.errors import ProtocolError
from ingest.journal import SqliteJournal
from ingest.mqtt_packets import V3, V5, Connect, Packet, puback, read_subscribe, read_unsubscribe, suback
from ingest.mqtt_wire import AnyPacket, Limits, PacketParser
from tests.listening import listening
from tests.mqtt_client import DISCONNECT, PINGREQ, Client, connect, packet, publish, subscribe
from tests.unit.decoder_words import block, decoder, is_balanced, stop, telemetry, topic

FOR_S = float(os.environ.get("ANDON_FUZZ_S", "20"))
LIMITS = Limits(payload=4096, waveform=8192, control=2048)
CLIENT = [
    connect(version=V3, will=("w", b"x")),
    connect(version=V5, properties=b"\x21\0\x07"),
    publish("andon/v1/e/s/a/L1/c/M1/_telemetry/p", b"x" * 300, 7),
    publish("a/b", b"x" * 5000, 9, version=V5, properties=b"\x01\x01"),
    subscribe(3, ["spBv1.0/g/NCMD/e/#", "STATE/x"], version=V5),
    packet(0xA2, b"\0\x01\0\x01a"),
    PINGREQ,
    DISCONNECT,
]
BROKER = [
    publish("a", b"x" * 100, 5),
    publish("$SYS/broker/publish/messages/dropped", b"7", retain=True),
    suback(1, V5, [1, 0x87]),
    puback(3, V5),
    packet(0x20, b"\0\0\0"),
    packet(0xD0, b""),
    packet(0xE0, b"\x8e\0"),
]


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("ANDON_FUZZ_SEED", time.monotonic_ns()))
    print(f"ANDON_FUZZ_SEED={seed}")
    return random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A few of the packets, with bits turned, bytes put in, taken out, doubled and cut off."""
    data = bytearray(b"".join(rng.choices(seeds, k=rng.randint(1, 5))))
    for _ in range(rng.randint(0, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 2:
                del data[at : at + rng.randint(1, 8)]
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 64)]
            case 4 if at < len(data):
                data[at] = rng.choice((0, 0x7F, 0x80, 0xFF))
            case 5:
                del data[at:]
        data = data or bytearray(b"\0")
    return bytes(data)


def rounds() -> Iterator[int]:
    until_s = time.monotonic() + FOR_S
    number = 0
    while time.monotonic() < until_s:
        yield number
        number += 1
    print(f"{number} rounds")
    assert number > 100


def taken(data: bytes, cuts: list[int], version: int) -> tuple[list[AnyPacket], int | None]:
    parser = PacketParser(LIMITS, version=version)
    packets: list[AnyPacket] = []
    start = 0
    for stop_at in [*sorted(cuts), len(data)]:
        try:
            packets += parser.feed(data[start:stop_at])
        except ProtocolError as error:
            return packets + list(error.packets), int(error.reason)
        assert parser.held_bytes <= 256 * 1024
        start = stop_at
    return packets, None


@pytest.mark.parametrize(("version", "seeds"), [(0, CLIENT), (V3, BROKER), (V5, BROKER)])
def test_the_parser_gives_packets_or_its_own_error_however_the_bytes_are_cut(
    rng: random.Random, version: int, seeds: list[bytes]
) -> None:
    for _ in rounds():
        data = (CLIENT[rng.randrange(2)] if not version else b"") + mutated(rng, seeds)
        cuts = [rng.randrange(len(data) + 1) for _ in range(rng.randint(0, 8))]
        whole = taken(data, [], version)
        assert whole == taken(data, cuts, version), data.hex()
        for found in whole[0]:
            if isinstance(found, Packet) and not isinstance(found, Connect):
                for read in (read_subscribe, read_unsubscribe):
                    try:
                        read(found.body, V5)
                    except ProtocolError:
                        continue


def test_the_decoder_accounts_for_whatever_comes(rng: random.Random) -> None:
    bodies = [telemetry().body, stop().body, block(), b'{"online": false}']
    topics = [
        topic("M1", kind, name) for kind, name in (("_telemetry", "p"), ("_event", "s"), ("_wave", "vib"))
    ]
    topics += [topic("M1", "_state", "online"), b"M1/DE/temperature"]
    made = decoder()
    for position in rounds():
        body = mutated(rng, [rng.choice(bodies)])
        where = rng.choice(topics) if rng.random() < 0.9 else mutated(rng, topics)
        flags = rng.randrange(16)
        record = Record(
            RecordKind.MESSAGE, 1_700_000_000_000_000_000 + position, where, body, 1, position, flags
        )
        assert is_balanced(made.decode("s", position, [record])), (where, body)


async def test_a_listener_that_hears_nonsense_serves_who_speaks_well(
    tmp_path: Path, rng: random.Random
) -> None:
    journal = SqliteJournal(tmp_path)
    worst_s, sent = 0.0, 0
    until_s = time.monotonic() + FOR_S
    async with listening(journal, connecting_max=50) as listener, Client(listener.port) as good:
        await good.connected("good")
        while time.monotonic() < until_s:
            bad = [Client(listener.port) for _ in range(10)]
            for client in bad:
                await client.__aenter__()
                client.say(connect(f"bad {rng.randrange(5)}"), mutated(rng, CLIENT))
            began_s = time.monotonic()
            good.publish("good", b"%d" % sent, sent % 65_535 + 1)
            await good.acknowledged(1)
            worst_s, sent = max(worst_s, time.monotonic() - began_s), sent + 1
            for client in bad:
                client.drop()
            await asyncio.sleep(0)
    print(f"{sent} messages, the longest wait {worst_s * 1e3:.0f} ms")
    assert worst_s < 3.0
    position, mine = 0, 0
    while records := journal.read(position, 10_000):
        mine += sum(record.topic == b"good" for record in records)
        position += len(records)
    assert mine >= sent
    journal.close()
