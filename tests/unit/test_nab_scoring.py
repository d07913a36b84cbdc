"""The scoring rules of NAB: what is published of them, and the sweep against trying each threshold."""

import json
from pathlib import Path

import numpy as np
import pytest

from andon.__main__ import main
from andon.evaluations.nab_scoring import PROFILES, Judged, at_threshold, best, probation, worth

WINDOWS = np.array([[300, 349], [600, 699]])


def spoken(*rows: int) -> Judged:
    score = np.zeros(1000)
    score[list(rows)] = 1.0
    return Judged(score, WINDOWS)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_silence_is_0_and_the_first_row_of_each_window_100(profile: object) -> None:
    assert best([spoken()], profile) == (0.0, float("inf"))  # type: ignore[arg-type]
    assert best([spoken(300, 600)], profile)[0] == pytest.approx(100)  # type: ignore[arg-type]


def test_only_the_earliest_row_of_a_window_counts_and_probation_is_not_judged() -> None:
    standard = PROFILES["standard"]
    assert best([spoken(300, 310, 340, 600)], standard)[0] == pytest.approx(100)
    assert best([spoken(5, probation(1000) - 1, 300, 600)], standard)[0] == pytest.approx(100)


def test_a_false_alarm_far_from_any_window_costs_its_weight() -> None:
    # two windows: from -2 to 2 in all, so that 0.11 is 2.75 of 100 and 0.22 is 5.5 (3 profile weights of the paper)
    assert best([spoken(200, 300, 600)], PROFILES["standard"])[0] == pytest.approx(100 - 2.75)
    assert best([spoken(200, 300, 600)], PROFILES["low_fp"])[0] == pytest.approx(100 - 5.5)


def test_worth_falls_from_window_start_to_end_and_on() -> None:
    fall = worth(np.linspace(-1, 3, 50))
    assert np.all(np.diff(fall) < 0)
    assert fall[0] == pytest.approx(0.98661, abs=1e-5)  # 2 / (1 + e^-5) - 1


def test_the_sweep_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(1)
    files = [Judged(rng.random(1000).round(2) + 0.3 * (np.arange(1000) == 310), WINDOWS) for _ in range(3)]
    for profile in PROFILES.values():
        tried = [at_threshold(files, profile, t) for t in np.unique(np.concatenate([f.score for f in files]))]
        assert best(files, profile)[0] == pytest.approx(max(0.0, *tried))


def test_without_labels_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="nothing to find"):
        best([Judged(np.zeros(10), np.zeros((0, 2), np.int64))], PROFILES["standard"])


def test_evaluate_writes_a_line_per_row_in_the_benchmarks_own_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    value = rng.normal(20, 1, 900)
    value[700:] += 12
    stamp = [f"2014-04-{1 + k // 288:02d} {k % 288 // 12:02d}:{k % 12 * 5:02d}:00" for k in range(900)]
    (tmp_path / "set/data/real").mkdir(parents=True)
    lines = ["timestamp,value", *(f"{at},{x!r}" for at, x in zip(stamp, value.tolist(), strict=True))]
    (tmp_path / "set/data/real/a.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "set/labels").mkdir()
    label = {"real/a.csv": [[stamp[690] + ".000000", stamp[730] + ".000000"]]}
    (tmp_path / "set/labels/combined_windows.json").write_text(json.dumps(label))
    out = ["--json", str(tmp_path / "out.json"), "--scores", str(tmp_path / "scores")]
    assert main(["evaluate", "nab", str(tmp_path / "set"), *out]) == 0
    document = json.loads((tmp_path / "out.json").read_text())
    (row,) = document["files"]
    assert (row["file"], row["rows"], row["windows"]) == ("real/a.csv", 900, [[690, 730]])
    assert row["findings"] >= 1
    assert document["summary"]["standard"] > 70
    written = [line.split(",") for line in (tmp_path / "scores/real/a.csv").read_text().splitlines()]
    assert written[0] == ["timestamp", "value", "anomaly_score", "label"]
    assert [row[:2] for row in written[1:]] == [line.split(",") for line in lines[1:]]
    assert sum(int(row[3]) for row in written[1:]) == 41
    assert all(0 <= float(row[2]) <= 1 for row in written[1:])
