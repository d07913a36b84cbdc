"""Real bearings: run to failure as its sensor would send it, and damaged elements named. Skips where there are none."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from andon.__main__ import main
from andon.evaluations import cwru, ims, mfpt, records
from andon.events import MINUTE_NS, SECOND_NS, Action, Finding, Float32, Origin, Waveform
from andon.plant import Asset, Bearing, DetectorSettings, Plant, Point
from detectors import build
from detectors.features import features_of

RECORDINGS = Path(__file__).parents[3] / "shared" / "data"
PERIOD_NS = 10 * SECOND_NS
PRONOSTIA = Bearing(designation="PRONOSTIA", rolling_elements=13, element_diameter=3.5, pitch_diameter=25.6)
SPEED_HZ = {"1": 30.0, "2": 27.5, "3": 25.0}
LEADS_MIN = {"Bearing1_1": 403, "Bearing1_2": 116, "Bearing2_1": 127, "Bearing2_2": 98, "Bearing3_1": 37}
"""What the measured recipe reaches; ours may differ by 3 min (half a window of votes)."""


def recordings(folder: str, pattern: str) -> list[Path]:
    """The recordings in a folder beside the project, or a skip that says what is missing and where."""
    found = sorted((RECORDINGS / folder).glob(pattern))
    if not found:
        pytest.skip(f"recordings are not here: {folder}/{pattern} looked for in ../shared/data")
    return found


def life(path: Path) -> tuple[list[Finding], int]:
    """All findings about a bearing from new to failed, and the number of its blocks."""
    speed_hz = SPEED_HZ[path.stem[len("Bearing")]]
    point = Point(id="DE", component="bearing", kind="waveform", bearing=PRONOSTIA, speed_hz=speed_hz)
    kinds = tuple(
        DetectorSettings(kind=kind) for kind in ("velocity_zones", "band_energy", "bearing_element")
    )
    asset = Asset(
        id=path.stem,
        name="",
        asset_class="rig",
        path="e/s/a/l/c",
        points=(point,),
        detectors=kinds,
        power_kw=0.25,
    )
    detectors = build(asset, Plant(name="", assets=(asset,)))
    with np.load(path) as recording:
        milli_g = np.stack([recording["h_millig"], recording["v_millig"]], axis=2)
    found: list[Finding] = []
    for k, block in enumerate(milli_g):
        samples = block.astype(np.float32) / np.float32(1000)
        origin = Origin("recording", k, k * PERIOD_NS)
        sent = Waveform(asset.id, "DE", k * PERIOD_NS, 25_600.0, samples, "g", None, origin)
        for event in (features_of(sent, point), sent):
            found += [finding for detector in detectors for finding in detector.update(event)]
    return found, len(milli_g)


@pytest.mark.parametrize("name", list(LEADS_MIN))
def test_a_bearing_run_to_failure_is_raised_once_in_time_and_not_withdrawn(name: str) -> None:
    findings, blocks = life(recordings("femto", f"{name}.npz")[0])
    assert {finding.detector for finding in findings} == {"band_energy"}  # 3 revolutions name no element
    assert [finding.action for finding in findings if finding.action is not Action.UPDATE] == [Action.RAISE]
    raised = findings[0]
    assert raised.at_ns > raised.evidence.get("baseline", {"to_ns": 0})["to_ns"] > 0
    assert raised.at_ns > 0.1 * blocks * PERIOD_NS
    lead_min = (blocks * PERIOD_NS - raised.at_ns) / MINUTE_NS
    assert lead_min == pytest.approx(LEADS_MIN[name], abs=3)
    assert len(raised.evidence["spectrum"]["value"]) > 400
    assert len(findings) <= 7


def in_words(truth: str, said: str) -> str:
    return "right" if said == truth else said if said in {"unknown", "none"} else "wrong"


def test_no_wrong_element_is_named_on_the_cwru_rig_and_the_healthy_one_is_silent() -> None:
    paths = recordings("cwru", "*.npz")
    found = cwru.summary([cwru.rate(path, RECORDINGS, None) for path in paths])
    assert (found["records"], found["wrong"], found["not_seen"], found["healthy_flagged"]) == (31, 0, 0, 0)
    assert found["right"] >= 23


@pytest.mark.parametrize("seconds", [1, 2, 5])
def test_no_window_of_the_healthy_record_of_the_cwru_rig_is_flagged(seconds: int) -> None:
    with np.load(recordings("cwru", "*_Normal.npz")[0]) as recording:
        x = np.stack([recording["DE"], recording["FE"]], axis=1).astype(np.float32)
    n = round(seconds * cwru.RATES_HZ["12"])
    windows = [x[at : at + n] for at in range(0, len(x) - n + 1, n)]
    said = [
        records.diagnosis(window, cwru.RATES_HZ["12"], 1797 / 60, cwru.BEARINGS["DE"]) for window in windows
    ]
    assert {one["element"] for one in said} == {"none"}


def test_every_race_fault_of_the_mfpt_rig_is_named() -> None:
    paths = recordings("mfpt", "*.mat")
    found = mfpt.summary([mfpt.rate(path, RECORDINGS, None) for path in paths])
    assert found["right"] == found["records"] == 10


@pytest.mark.parametrize("seconds", [0.7, 2.0])
def test_short_blocks_of_the_cwru_rig_fed_as_a_sensor_would_name_no_wrong_element(seconds: float) -> None:
    counts: Counter[str] = Counter()
    for path in recordings("cwru", "*.npz"):
        with np.load(path) as recording:
            x = recording["DE"].astype(np.float32)
        rpm, fault = path.stem.split("_")[:2]
        truth = {"IR": "inner", "OR": "outer", "B": "element", "Normal": "none"}[re.split("@", fault)[0]]
        named = {finding.condition for finding in as_sent(x, float(rpm) / 60, round(seconds * 12_000))}
        words = {
            "bearing_inner_race": "inner",
            "bearing_outer_race": "outer",
            "bearing_rolling_element": "element",
        }
        counts.update(in_words(truth, words.get(condition, "unknown")) for condition in named or {"silent"})
    assert counts["wrong"] == 0
    assert counts["right"] >= 10


def as_sent(x: Float32, speed_hz: float, n: int) -> list[Finding]:
    """A record cut into blocks, one each 10 s."""
    point = Point(
        id="DE", component="bearing", kind="waveform", bearing=cwru.BEARINGS["DE"], speed_hz=speed_hz
    )
    asset = Asset(
        id="M",
        name="",
        asset_class="rig",
        path="e/s/a/l/c",
        points=(point,),
        detectors=(DetectorSettings(kind="bearing_element"),),
    )
    (detector,) = build(asset, Plant(name="", assets=(asset,)))
    found: list[Finding] = []
    for k in range(x.size // n):
        origin = Origin("recording", k, k * PERIOD_NS)
        block = Waveform("M", "DE", k * PERIOD_NS, 12_000.0, x[k * n : (k + 1) * n, None], "g", None, origin)
        found += detector.update(block)
    return found


def test_evaluate_gives_a_row_per_bearing_with_its_lead_and_its_one_ticket(tmp_path: Path) -> None:
    path = recordings("femto", "Bearing3_1.npz")[0]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / path.name).symlink_to(path)
    assert main(["evaluate", "femto", str(tmp_path / "set"), "--json", str(tmp_path / "out.json")]) == 0
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["set"] == "femto"
    (row,) = document["files"]
    assert (row["file"], row["end_s"], row["tickets"], row["withdrawn"]) == ("Bearing3_1.npz", 5150, 1, 0)
    assert row["lead_s"] == row["end_s"] - row["ticket_s"]
    assert row["onset_s"] <= row["ticket_s"]


def test_the_failing_bearing_of_the_ims_rig_is_found_three_days_ahead_and_the_others_are_silent() -> None:
    (path,) = recordings("ims", "test2.csv")
    rows = ims.rate(path, RECORDINGS, None)
    assert [(row["tickets"], row["withdrawn"], row["machine_tickets"]) for row in rows] == [
        (1, 0, 0),
        *[(0, 0, 0)] * 3,
    ]
    assert rows[0]["lead_h"] >= 73
