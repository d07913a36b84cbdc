"""kill -9 of every process in mid-run, the supervisor too: no ticket lost, none doubled, every message counted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "andon", "demo", "--headless", "--data"]
PARTS = ("plant_mqtt", "engine", "plant_opcua", "web", "plant")
FIRST_S, SECOND_S = 31.0, 30.0


def pid_of(data: Path, part: str) -> int:
    return int(json.loads((data / "run" / "status.json").read_text())["parts"][part]["pid"])


@pytest.mark.timeout(300)
def test_every_process_is_killed_once_and_the_story_ends_as_it_should(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out.json"
    first = subprocess.Popen([*DEMO, str(data), "--seed", "5"], stdout=subprocess.DEVNULL)
    began_s = time.monotonic()
    while not (data / "run" / "status.json").exists():
        time.sleep(0.1)
        assert time.monotonic() - began_s < 30
    for part in PARTS:
        time.sleep(4)
        killed = pid_of(data, part)
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while pid_of(data, part) == killed:
            time.sleep(0.1)
            assert time.monotonic() < deadline, f"{part} was not started again"
    time.sleep(max(0.0, FIRST_S - (time.monotonic() - began_s)))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    time.sleep(2)
    words = [*DEMO, str(data), "--seconds", str(SECOND_S), "--json", str(out)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    facts = json.loads(out.read_text())
    # A killed source leaves a gap, in which a silent sensor cannot be told from it: that ticket may be late.
    assert [missed for missed in facts["truth"]["missed"] if missed["why"].startswith("no ")] == [], (
        ended.stderr
    )
    assert facts["truth"]["false"] == []
    assert facts["counters"]["ingest"]["balanced"]
    ingest = facts["counters"]["ingest"]
    assert (
        ingest["journaled"]
        == ingest["received"] - ingest["overflow"] + ingest["gap_records"] + ingest["notice_records"]
    )
