"""andon.toml changes while Andon runs: what changed is applied, the rest does not notice, what is wrong is refused whole."""

import json
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from andon.installation import free_port
from tests.installed import Running

PLANT = {
    "name": "workshop",
    "assets": [
        {"id": asset, "name": "Lathe", "asset_class": "lathe", "path": "e/s/a/L1/c"}
        for asset in ("M1", "M2", "M3")
    ],
    "classes": {"lathe": [{"kind": "stop_alarm"}]},
}
STOP = {"state": "Stopped", "reason": {"id": "E1", "message": "door", "trigger": True}, "severity": 600}


class Device:
    """A machine that publishes, and counts how often it had to connect."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"device-{port}")
        self._client.on_connect = self._on_connect
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, *_: object) -> None:
        self.connections += 1

    def stops(self, asset: str, number: int) -> None:
        """Publish a stop and wait until it is on disk."""
        body = {"id": f"{asset}-{number}", "source": "mes", "type": "andon.machine.stop.v1", "data": STOP}
        told = self._client.publish(f"andon/v1/e/s/a/L1/c/{asset}/_event/stop", json.dumps(body), qos=1)
        told.wait_for_publish(10)
        assert told.is_published()

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def listener(name: str, port: int, more: str = "") -> str:
    return f'[sources.{name}]\nkind = "listener"\nport = {port}\nanonymous = true\n{more}'


def test_sources_come_change_and_go_while_the_others_keep_their_connections(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    floor, second = listener("floor", ports[0]), listener("second", ports[1])
    with Running(tmp_path, floor, PLANT) as running:
        pids = {name: running.part(name)["pid"] for name in ("floor", "engine", "web")}
        device = Device(ports[0])
        device.stops("M1", 1)

        running.write(floor + second)
        running.until(lambda: "ready" in running.part("second"), 20, "the added source was ready")
        newcomer = Device(ports[1])
        newcomer.stops("M2", 1)
        running.until(
            lambda: {row["asset"] for row in running.tickets("stop")} == {"M1", "M2"},
            15,
            "the engine read it",
        )
        newcomer.leave()

        running.write(floor + second.replace("listener", "lisener"))
        refused = running.until(lambda: running.status()["configuration_refused"], 10, "it was refused")
        assert "there is no kind 'lisener'" in refused
        running.until(lambda: "the old configuration stays" in running.heard.read_text(), 5, "it was said")
        (ticket,) = running.until(lambda: running.tickets("configuration_refused"), 15, "a ticket was opened")
        assert ticket["alarm_active"]
        assert running.part("second")["running"], "the old configuration is kept whole"

        running.write(floor + listener("second", ports[1], "memory_max_mb = 300\n"))
        before = running.part("second")["pid"]
        running.until(
            lambda: running.part("second").get("pid") not in {before, None}, 20, "it was started anew"
        )
        running.until(
            lambda: not running.tickets("configuration_refused")[0]["alarm_active"], 15, "it was mended"
        )
        assert running.status()["configuration_refused"] == ""

        running.write(floor)
        running.until(lambda: not running.part("second"), 10, "the source that was taken out ended")
        device.stops("M3", 1)
        running.until(
            lambda: {row["asset"] for row in running.tickets("stop")} == {"M1", "M2", "M3"}, 15, "it goes on"
        )
        assert {name: running.part(name)["pid"] for name in pids} == pids
        assert device.connections == 1
        device.leave()


def test_a_source_that_was_taken_out_is_still_read_to_its_end_after_a_crash(tmp_path: Path) -> None:
    """The order taken names it: an engine that did not open its journal any more could not repeat itself."""
    ports = [free_port(), free_port()]
    floor, second = listener("floor", ports[0]), listener("second", ports[1])
    with Running(tmp_path, floor + second, PLANT) as running:
        device = Device(ports[1])
        device.stops("M2", 1)
        running.until(lambda: running.tickets("stop"), 15, "it became a ticket")
        device.leave()
        running.kill()
    running.write(floor)
    with running:
        assert "engine: 0 batches" not in running.heard.read_text()
        assert [row["asset"] for row in running.tickets("stop")] == ["M2"]
