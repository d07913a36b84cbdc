"""The newcomer's walk, as the README has it: from nothing to the first tickets of machines that have never heard of Andon."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from andon.installation import free_port
from tests.installed import ANDON

PATIENCE_S = 300.0
PLACE = "acme/east/press/L1"
WORDS = "a long walk to the first ticket"
T = TypeVar("T")


class Walk:
    """A folder in which a newcomer types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._left: dict[str, subprocess.Popen[bytes]] = {}

    def types(self, *words: str) -> str:
        """Run a verb to its end; gives what it printed."""
        done = subprocess.run(
            [*ANDON, *words], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr)
        return done.stdout

    def leaves(self, name: str, *words: str) -> None:
        """Let a verb run until the end of the walk."""
        with (self.folder / name).open("w") as heard:
            self._left[name] = subprocess.Popen(
                [*ANDON, *words], cwd=self.folder, stdout=heard, stderr=subprocess.STDOUT
            )

    def ends(self) -> None:
        """Stop all that was left running, at once; each ends well."""
        for process in self._left.values():
            process.send_signal(signal.SIGINT)
        try:
            codes = {name: process.wait(PATIENCE_S) for name, process in self._left.items()}
        finally:
            for process in self._left.values():
                process.kill()
        assert set(codes.values()) <= {0}, [(self.folder / name).read_text() for name in codes]

    def json(self, name: str) -> Any:
        path = self.folder / name
        with contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads(path.read_text("utf-8"))
        return {}

    def until(self, holds: Callable[[], T], what: str) -> T:
        give_up_s = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            said = "\n".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < give_up_s, f"{what}\n{said}"
            time.sleep(0.1)
        return found

    def stops(self, truth: str) -> set[tuple[str, str]]:
        """(machine, reason) of each stop that the truth tells of so far."""
        planted = self.json(truth).get("planted", ())
        return {(one["asset"], one["component"]) for one in planted if one["expects"] == "ticket"}


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    walk = Walk(tmp_path)
    try:
        yield walk
    finally:
        walk.ends()


def signed_in(console: str, account: str, secret: str) -> httpx.Client:
    """A browser whose owner has signed in for the first time, and chosen a password of their own."""
    browser = httpx.Client(base_url=console, headers={"Origin": console}, timeout=PATIENCE_S)
    first = browser.post("/sign-in", data={"name": account, "password": secret, "back": "/"})
    assert first.status_code == 303, first.text
    assert browser.get("/api/v1/tickets").status_code == 403, "a first secret shows nothing"
    changed = browser.post("/account/password", data={"old": secret, "new": WORDS, "again": WORDS})
    assert changed.status_code == 303, changed.text
    return browser


@pytest.mark.timeout(900)
def test_foreign_machines_by_mqtt_and_opcua_have_their_first_tickets_without_a_line_of_code(
    walk: Walk,
) -> None:
    door, opcua, web = free_port(), free_port(), free_port()
    walk.types(
        *("init", "--yes", "--name", "Acme East", "--place", PLACE, "--admin", "Chen Jing"),
        *("--port", str(web), "--listener", str(door), "--json", "made.json"),
    )
    made = walk.json("made.json")
    assert not any(
        made["secret"].encode() in path.read_bytes() for path in (walk.folder / "var").rglob("*.*")
    )
    walk.leaves("run.log", "run")
    walk.types("device", "add", "plc", "--topic", "acme", "--json", "plc.json")
    secret = walk.folder / "plc.password"
    secret.touch(mode=0o600)
    secret.write_text(walk.json("plc.json")["password"])
    stops = ("--stop-after", "2", "--truth")
    walk.leaves(
        "opcua.log",
        "simulate",
        "--opcua",
        str(opcua),
        "--foreign",
        "--machines",
        "press17",
        *stops,
        "opcua.json",
    )
    walk.until(lambda: "console:" in (walk.folder / "run.log").read_text(), "the console is ready")
    broker = ("simulate", "--mqtt", f"mqtt://127.0.0.1:{door}", "--user", "plc")
    plc = (*broker, "--password-file", "plc.password", "--foreign", "--machines", "washer8,press9")
    walk.types(*plc, "--healthy", "--speed", "30", "--seconds", "2")  # a minute without a stop

    said = walk.types("discover", "--install", "--yes")
    assert "2 new machines (press9, washer8), 2 new rules" in said
    walk.leaves("mqtt.log", *plc, *stops, "mqtt.json")
    url = f"opc.tcp://127.0.0.1:{opcua}"
    said = walk.types("discover", url, "--security", "none", "--install", "--yes")
    assert "1 new machines (press17)" in said
    by_mqtt = walk.until(lambda: walk.stops("mqtt.json"), "a machine stops that speaks by MQTT")
    by_opcua = walk.until(lambda: walk.stops("opcua.json"), "a machine stops that speaks by OPC UA")

    browser = signed_in(f"http://127.0.0.1:{web}", made["account"], made["secret"])

    def tickets() -> set[tuple[str, str]]:
        items = browser.get("/api/v1/tickets").raise_for_status().json()["items"]
        return {(one["asset"], one["headline"]["component"]) for one in items}

    walk.until(lambda: tickets() >= by_mqtt | by_opcua, "each stop has its ticket")
    assert tickets() <= walk.stops("mqtt.json") | walk.stops("opcua.json")
    browser.close()
