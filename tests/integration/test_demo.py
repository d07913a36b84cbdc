"""`andon demo` as a newcomer runs it: real processes, real MQTT, real OPC UA, and it ends by itself."""

import json
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


def gone(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def wait_for(path: Path, seconds: float = 90.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            return dict(json.loads(path.read_text()))
        time.sleep(0.05)
    raise AssertionError(f"{path.name} did not appear within {seconds:.0f} s")


def until_heard(status: Path, wanted: dict[str, int], seconds: float = 90.0) -> None:
    """Wait until each source has received so much; how long that takes is the machine's affair."""
    deadline = time.monotonic() + seconds
    while True:
        parts = json.loads(status.read_text())["parts"]
        heard = {name: parts[name].get("status", {}).get("received", 0) for name in wanted}
        if all(heard[name] > wanted[name] for name in wanted):
            return
        assert time.monotonic() < deadline, heard
        time.sleep(0.25)


def test_a_demo_balances_finds_what_was_due_and_a_second_start_carries_on(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ("--data", str(tmp_path / "data"), "--json", str(out))
    running = subprocess.Popen(
        [*ANDON, "demo", "--headless", *words, "--seed", "7"], stdout=subprocess.DEVNULL
    )
    try:
        status = tmp_path / "data" / "run" / "status.json"
        parts = wait_for(status)["parts"]
        until_heard(status, {"plant_mqtt": 500, "plant_opcua": 100})
        running.send_signal(signal.SIGINT)  # Ctrl-C: everything stops cleanly
        assert running.wait(60) == 0
    finally:
        running.kill()
    gone([part["pid"] for part in parts.values()], 15)
    first = json.loads(out.read_text())
    assert first["truth"]["missed"] == first["truth"]["false"] == []
    ingest = first["counters"]["ingest"]
    assert ingest["balanced"]
    assert (
        ingest["journaled"]
        == ingest["received"] - ingest["overflow"] + ingest["gap_records"] + ingest["notice_records"]
        > 500
    )
    assert first["counters"]["source.plant_opcua"]["received"] > 100
    ended = demo(*words, "--seconds", "6")
    second = json.loads(out.read_text())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [t["number"] for t in second["tickets"]][: len(first["tickets"])] == [
        t["number"] for t in first["tickets"]
    ]
    assert second["truth"]["planted"] > first["truth"]["planted"]
    refused = demo("--seconds", "1", "--data", str(tmp_path / "data"), "--seed", "8")
    assert "tells the story of seed 7" in refused.stderr


def test_one_instance_per_data_directory_whose_parts_end_with_it(tmp_path: Path) -> None:
    words = [*ANDON, "demo", "--headless", "--data", str(tmp_path)]
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        parts = wait_for(tmp_path / "run" / "status.json")["parts"]
        second = demo("--seconds", "1", "--data", str(tmp_path))
        assert second.returncode == 1
        assert f"is in use by process {first.pid}" in second.stderr
    finally:
        first.kill()
        first.wait()
    gone([part["pid"] for part in parts.values()], 15)


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
