"""`andon demo` as a newcomer runs it: real processes, real MQTT, real OPC UA, and it ends by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ANDON = [sys.executable, "-m", "andon"]


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ANDON, "demo", "--headless", *words], capture_output=True, text=True, timeout=110, check=False
    )


def wait_for(path: Path, seconds: float = 30.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            return dict(json.loads(path.read_text()))
        time.sleep(0.05)
    raise AssertionError(f"{path.name} did not appear within {seconds:.0f} s")


def test_ten_seconds_of_demo_balance_and_find_what_was_due(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    ended = demo("--seconds", "10", "--seed", "7", "--json", str(out))
    facts = json.loads(out.read_text())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert facts["truth"]["missed"] == facts["truth"]["false"] == []
    ingest = facts["counters"]["ingest"]
    assert ingest["balanced"]
    assert ingest["journaled"] == ingest["received"] - ingest["overflow"] + ingest["gap_records"] > 500
    assert facts["counters"]["source.plant_opcua"]["received"] > 100


def test_a_second_instance_on_the_same_data_is_refused_and_ctrl_c_stops_within_ten_seconds(
    tmp_path: Path,
) -> None:
    first = subprocess.Popen(
        [*ANDON, "demo", "--headless", "--data", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(tmp_path / "run" / "status.json")
        second = demo("--seconds", "1", "--data", str(tmp_path))
        assert second.returncode == 1
        assert f"is in use by process {first.pid}" in second.stderr
        first.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        first.wait(20)
        assert time.monotonic() - began_s <= 10
    finally:
        first.kill()
    pids = [part["pid"] for part in wait_for(tmp_path / "run" / "status.json")["parts"].values()]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_second_start_carries_on_where_the_first_stopped(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ("--seconds", "6", "--data", str(tmp_path / "data"), "--json", str(out))
    demo(*words, "--seed", "7")
    first = json.loads(out.read_text())
    ended = demo(*words)
    second = json.loads(out.read_text())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [t["number"] for t in second["tickets"]][: len(first["tickets"])] == [
        t["number"] for t in first["tickets"]
    ]
    assert second["truth"]["planted"] > first["truth"]["planted"]
    assert demo("--seconds", "1", "--data", str(tmp_path / "data"), "--seed", "8").returncode == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("replay", "--recording", "femto", "nowhere/Bearing1_1.npz"),
            "there is no recording Bearing1_1.npz",
        ),
        (("run", "--config", "nowhere.toml"), "there is no nowhere.toml"),
        (("deadletters", "--data", "nowhere"), "holds no installation"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(words: tuple[str, ...], said: str) -> None:
    ended = subprocess.run([*ANDON, *words], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_part_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [*ANDON, "demo", "--headless", "--data", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    parts = wait_for(tmp_path / "run" / "status.json")["parts"]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 15
    left = [part["pid"] for part in parts.values()]
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        time.sleep(0.1)
    assert not left
