"""`andon evaluate ims` on a rig of four bearings with two channels each, as its files are laid out."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from andon.evaluations import ims

START = datetime(2003, 10, 22, 12, 6, 24, tzinfo=UTC)
CHANNELS = [f"Bearing {i}-{side}" for i in range(1, 5) for side in "AB"]


def write(path: Path, level: np.ndarray) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "Datetime", *CHANNELS])
        for k, values in enumerate(level):
            rows.writerow([k, f"{START + timedelta(minutes=10 * k):%Y.%m.%d.%H.%M.%S}", *values])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """A restart at row 181, bearing 4 wearing from row 400 on, a row without values at 250."""
    folder = tmp_path_factory.mktemp("ims")
    rng, k = np.random.default_rng(1), np.arange(700)[:, None]
    level = 0.08 * np.exp(0.012 * rng.standard_normal((700, 8))) * np.where(k >= 181, 1.3, 1.0)
    level[:, 6:] *= np.exp(0.001 * np.maximum(0, k - 400))
    level[250] = np.nan
    write(folder / "test1.csv", level)
    (path,) = ims.files(folder)
    return ims.rate(path, folder, None)


def test_there_is_a_row_for_each_channel(told: list[dict[str, object]]) -> None:
    assert [row["channel"] for row in told] == CHANNELS
    assert [row["bearing"] for row in told] == [f"Bearing {i}" for i in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert {row["file"] for row in told} == {"test1.csv"}


def test_the_worn_bearing_has_one_ticket_and_the_others_have_none(told: list[dict[str, object]]) -> None:
    assert [row["tickets"] for row in told] == [0, 0, 0, 0, 0, 0, 1, 1]
    worn = told[6]
    assert told[7]["ticket_at"] == worn["ticket_at"]
    at = datetime.fromisoformat(str(worn["ticket_at"])).replace(tzinfo=UTC)
    assert START + timedelta(minutes=4000) < at < START + timedelta(minutes=5500)
    assert str(worn["onset_at"]) <= str(worn["ticket_at"])
    assert told[0]["ticket_at"] is None


def test_the_restart_is_one_ticket_about_the_machine(told: list[dict[str, object]]) -> None:
    assert {row["machine_tickets"] for row in told} == {1}
    assert ims.summary(told)["machine_tickets"] == 1


def test_what_is_no_such_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"test\*\.csv"):
        ims.files(tmp_path)
    (tmp_path / "test9.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="Datetime"):
        ims.rate(tmp_path / "test9.csv", tmp_path, None)
