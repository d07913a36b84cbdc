"""A real water circuit: rows with a closing valve are flagged as the benchmark counts them. Skips where there is none."""

import csv
from pathlib import Path

import pytest

from andon.evaluations import skab

RECORDINGS = Path(__file__).parents[3] / "shared" / "data" / "skab"


@pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="recordings are not here: skab looked for in ../shared/data"
)
def test_rows_of_a_closing_valve_are_flagged_and_written_one_line_each(tmp_path: Path) -> None:
    paths = [path for path in skab.files(RECORDINGS) if path.stem in {"3", "8", "10"}]
    rows = [skab.rate(path, RECORDINGS, tmp_path) for path in paths]
    found = skab.summary(rows)
    assert found["f1"] > 0.85
    assert found["far_and_mar_pct"] < 32
    assert found["f1"] > found["naive_f1"]
    for path, row in zip(paths, rows, strict=True):
        with (tmp_path / path.relative_to(RECORDINGS / "data")).open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert list(lines[0]) == ["datetime", "anomaly_score", "anomaly"]
        assert len(lines) == row["rows"]
        assert sum(int(line["anomaly"]) for line in lines) == row["flagged"]
        assert {line["anomaly"] for line in lines[: skab.LEARNED_ROWS]} == {"0"}


def test_an_all_ones_detector_of_the_whole_benchmark_scores_as_published() -> None:
    row = {"file": "x", "hit": 537, "missed": 0, "false": 463, "right": 0}
    row |= {f"naive_{word}": row[word] for word in ("hit", "missed", "false", "right")}
    found = skab.summary([row])
    assert found["all_ones_f1"] == pytest.approx(0.698, abs=0.001)
    assert found["f1"] == found["all_ones_f1"]
    assert (found["far_pct"], found["mar_pct"]) == (100, 0)
