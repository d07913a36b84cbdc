"""The README's last quarter of an hour, as it is written there: init, add a device, check, run, publish, look."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from andon.__main__ import parser
from andon.commands.plant import text_of
from ingest.series import SeriesStore
from simulators.plant import Simulation

ANDON = [sys.executable, "-m", "andon"]
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PATIENCE_S = 120.0


def block(kind: str) -> str:
    """The README's one code block of that kind."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def andon(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [*ANDON, *words], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands() -> list[str]:
    """Every line of the README's blocks that calls andon."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/") for line in lines if re.match(r"(\.venv/bin/)?andon ", line)]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_is_understood(line: str) -> None:
    _, *words = shlex.split(line)
    parsed = parser(words[0]).parse_args(words)
    assert parsed.verb == words[0]


def test_the_walk_is_among_them() -> None:
    verbs = [line.split()[1] for line in commands()]
    assert verbs[-7:] == ["init", "check", "run", "device", "simulate", "discover", "deadletters"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Path, int, str]]:
    """A running installation: where it is, its MQTT port, and the password of its machine."""
    port, web = free_port(), free_port()
    place = ("--name", "Lakeside", "--place", "lakeside/wuxi/machining/L1")
    andon("init", "--yes", *place, "--listener", str(port), "--port", str(web), cwd=tmp_path)
    (tmp_path / "plant.json").write_text(text_of(Simulation(1, 0).plant), "utf-8")
    said = andon("device", "add", "L1-SPN-01", cwd=tmp_path)
    password = said.splitlines()[0].rpartition(": ")[2]
    andon("check", cwd=tmp_path)
    with subprocess.Popen([*ANDON, "run"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_all_is_ready(tmp_path / "var/andon/run/status.json", process)
            yield tmp_path, port, password
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def wait_until_all_is_ready(status: Path, process: "subprocess.Popen[bytes]") -> None:
    """Every part has said where it is."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if status.exists() and all(
            "ready" in said for said in json.loads(status.read_text())["parts"].values()
        ):
            return
        time.sleep(0.05)
    pytest.fail(f"andon run is not ready: {process.returncode}")


def test_a_message_of_the_readme_is_kept_and_a_broken_one_is_explained(folder: tuple[Path, int, str]) -> None:
    path, port, password = folder
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="spindle")
    client.username_pw_set("L1-SPN-01", password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    topic = "andon/v1/lakeside/wuxi/machining/L1/cell-1/L1-SPN-01/_telemetry/values"
    for body in (block("json"), '{"specversion": '):
        client.publish(topic, body, qos=1).wait_for_publish(PATIENCE_S)
    client.loop_stop()
    client.disconnect()

    deadline = time.monotonic() + PATIENCE_S
    letters: dict[str, int] = {}
    while letters != {"malformed_json": 1}:
        assert time.monotonic() < deadline, letters
        andon("deadletters", "--json", "letters.json", cwd=path)
        letters = json.loads((path / "letters.json").read_text("utf-8"))["counts"]
    (value,) = SeriesStore(path / "var/andon/series.sqlite").channels("L1-SPN-01")
    assert value[:2] == ("DE/temperature", "Cel")
    assert value[3] == 41.2
