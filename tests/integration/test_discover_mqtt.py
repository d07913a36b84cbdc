"""From a broker with foreign topics and an empty plant to readings: discover, import, run, with no code between."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from mosquitto import Mosquitto, mosquitto, needs_mosquitto
from paho.mqtt.enums import CallbackAPIVersion

from andon import manifest
from andon.clock import wall
from andon.database import reading
from andon.datadir import open_store
from andon.installation import free_port
from simulators.messages import waveform_block

pytestmark = needs_mosquitto
BOOT = bytes(range(16))
ANDON = [sys.executable, "-m", "andon"]


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with a publisher that has never heard of Andon."""
    with mosquitto(tmp_path / "broker") as broker:
        stop = threading.Event()
        publisher = threading.Thread(target=publish, args=(broker.port, stop))
        publisher.start()
        yield broker
        stop.set()
        publisher.join()


def publish(port: int, stop: threading.Event) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    turn = 0
    while not stop.wait(0.05):
        turn += 1
        now_ms = wall() // 1_000_000
        for line, press in (("L1", "press-11"), ("L1", "press-12"), ("L2", "press-21"), ("L2", "press-22")):
            client.publish(f"plant/{line}/{press}/temperature", f"{20 + turn % 7}.5")
            client.publish(f"plant/{line}/{press}/pressure", "3.25 bar")
            tag = {"value": turn, "timestamp_ms": now_ms}
            client.publish(f"umh.v1.acme.{line}.{press}._historian.rpm", json.dumps(tag))
            both = {"motor": {"current": 4.5, "temp": 61}, "serial": "[/x]", "ts": now_ms}
            client.publish(f"plant/{line}/{press}/state/json", json.dumps(both))
            client.publish(f"waves/{press}/spindle", wave(now_ms, turn))
        client.publish("log/plc", "started [bold]")
    client.disconnect()
    client.loop_stop()


def wave(now_ms: int, number: int) -> bytes:
    raw = np.arange(64, dtype=np.int16)
    return waveform_block(
        raw, at_ns=now_ms * 1_000_000, rate_hz=1000.0, scale=0.01, boot=BOOT, block_seq=number
    )


def until(holds, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} within {seconds:.0f} s")


def counts(data: Path) -> dict[str, int]:
    if not (data / "andon.sqlite").exists():
        return {}
    with reading(open_store(data)) as conn:
        return dict(manifest.counted(conn).get("source.factory", {}))


def test_from_an_empty_plant_to_readings_without_code(factory: Mosquitto, tmp_path: Path) -> None:
    found, proposal, data = tmp_path / "found.json", tmp_path / "proposal.json", tmp_path / "data"
    words = ["discover", f"mqtt://127.0.0.1:{factory.port}", "--seconds", "1.5"]
    said = subprocess.run(
        [*ANDON, *words, "--write", str(proposal), "--json", str(found)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "plant/{line}/{asset}/{channel}" in said.stdout
    document = json.loads(found.read_text())
    outcomes = {outcome["topic"]: outcome for outcome in document["dry_run"]}
    assert outcomes["plant/L1/press-11/pressure"]["values"] == [["machine/pressure", 3.25, "bar"]]
    assert outcomes["umh.v1.acme.L2.press-22._historian.rpm"]["values"][0][0] == "machine/speed"
    assert {value[0] for value in outcomes["plant/L2/press-21/state/json"]["values"]} == {
        "motor/current",
        "motor/temperature",
    }
    assert outcomes["waves/press-12/spindle"]["kind"] == "waveform"
    assert outcomes["log/plc"]["kind"] == "ignored"
    assert {asset["id"] for asset in document["proposal"]["assets"]} == {
        "press-11",
        "press-12",
        "press-21",
        "press-22",
    }
    subprocess.run([*ANDON, "plant", "import", str(proposal), "--data", str(data)], check=True)
    (tmp_path / "andon.toml").write_text(
        f'data = "{data}"\n[web]\nport = {free_port()}\n[sources.factory]\nkind = "mqtt"\nhost = "127.0.0.1"\n'
        f'port = {factory.port}\nclient_id = "andon-factory"\ntopics = ["#"]\n'
    )
    with subprocess.Popen([*ANDON, "run", "--config", str(tmp_path / "andon.toml")]) as running:
        try:
            seen = until(lambda: (c := counts(data)).get("stored", 0) > 200 and c, 60, "readings flowed")
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(20)
    assert seen["ignored"] > 0
    refused = {name: count for name, count in seen.items() if name.startswith("refused.")}
    assert not refused
    assert seen["received"] == sum(
        seen.get(name, 0) for name in ("stored", "duplicates", "ignored", "overflow")
    )


def test_what_is_mapped_already_is_left_as_it_is(factory: Mosquitto, tmp_path: Path) -> None:
    """Discovering again with the proposal in force proposes nothing new, but for beats that a busy machine hid before."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    words = [*ANDON, "discover", f"mqtt://127.0.0.1:{factory.port}", "--seconds", "1"]
    subprocess.run([*words, "--write", str(first)], check=True, capture_output=True)
    subprocess.run([*words, "--plant", str(first), "--write", str(second)], check=True, capture_output=True)
    assert without_periods(first) == without_periods(second)


def without_periods(path: Path) -> Any:
    document = json.loads(path.read_text())
    for asset in document["assets"]:
        for point in asset["points"]:
            point.pop("period_s", None)
    return document


def test_a_broker_that_is_not_there_is_said_in_a_sentence() -> None:
    words = [*ANDON, "discover", f"mqtt://127.0.0.1:{free_port()}", "--seconds", "1"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "refused" in said.stderr
    assert "Traceback" not in said.stderr
