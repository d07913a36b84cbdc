"""A hostile OPC UA server, and the real supervisor: its own collector dies, everything else goes on."""

import os
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from andon.installation import free_port
from tests.hostile_opcua import URI, HostileServer
from tests.installed import Running

OTHERS = ("floor", "engine", "web")


def sources(hostile: HostileServer, floor_port: int) -> str:
    return f"""
[sources.floor]
kind = "listener"
port = {floor_port}
anonymous = true
[sources.plc]
kind = "opcua"
url = "opc.tcp://127.0.0.1:{hostile.port}/"
security = "none"
allow_insecure = true
memory_max_mb = 64
events = {{ queue = 10 }}
[[sources.plc.items]]
node = "nsu={URI};s=value"
asset = "M7"
channel = "DE/temperature"
"""


def test_an_array_bomb_kills_its_collector_alone_and_the_third_time_it_stays_down_until_a_person_resumes_it(
    tmp_path: Path,
) -> None:
    floor_port = free_port()
    with HostileServer() as hostile, Running(tmp_path, sources(hostile, floor_port)) as running:
        before = {name: running.part(name)["pid"] for name in OTHERS}
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="press")
        client.connect("127.0.0.1", floor_port)
        client.loop_start()
        down_s: dict[int, float] = {}
        back_s: dict[int, float] = {}

        def is_down_for_good() -> bool:
            part = running.part("plc")
            times_s = back_s if part["running"] else down_s
            times_s.setdefault(int(part.get("restarts", 2)), time.monotonic())
            client.publish("andon/v1/e/s/a/l/c/M7/_telemetry/x", b"{}", qos=1).wait_for_publish(5)
            return bool(part.get("quarantined"))

        running.until(is_down_for_good, 60, "three crashes put it in quarantine")
        assert max(back_s) == 2, "started again twice, and not a third time"
        at_most_s = max(5, running.start_s)
        assert back_s[2] - down_s[1] < at_most_s
        assert "memory_max_mb" in running.part("plc")["quarantined"]
        assert {name: running.part(name)["pid"] for name in OTHERS} == before
        assert client.is_connected()

        (ticket,) = running.until(lambda: running.tickets("source_quarantined"), 15, "a ticket was opened")
        assert (ticket["asset"], ticket["priority"], ticket["alarm_active"]) == ("andon", "critical", True)
        met = hostile.met
        running.until(lambda: "andon resume plc" in running.heard.read_text(), 5, "the way out was said")
        assert hostile.met == met, "it does not try any more"

        hostile.armed = False
        assert "may start again" in running.say("resume", "plc")
        running.until(lambda: running.part("plc").get("running"), 10, "it ran again")
        running.until(
            lambda: not running.tickets("source_quarantined")[0]["alarm_active"], 15, "the alarm was cleared"
        )
        assert {name: running.part(name)["pid"] for name in OTHERS} == before
        client.disconnect()
        client.loop_stop()


def test_a_killed_source_is_back_within_five_seconds(tmp_path: Path) -> None:
    floor_port = free_port()
    text = f'[sources.floor]\nkind = "listener"\nport = {floor_port}\nanonymous = true\n'
    with Running(tmp_path, text) as running:
        pid = int(running.part("floor")["pid"])
        os.kill(pid, 9)
        killed_s = time.monotonic()
        running.until(
            lambda: running.part("floor")["pid"] != pid and "ready" in running.part("floor"),
            15,
            "it was back",
        )
        assert time.monotonic() - killed_s < max(5, running.start_s)
        assert running.part("floor")["crashes"] == 1
