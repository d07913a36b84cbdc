"""A recording that cannot be read is named by `andon evaluate`; none is skipped, none taken for a quiet machine."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from andon.__main__ import main
from andon.evaluations import cwru, ims, mfpt, nab, skab

NAB = "timestamp,value\n2015-01-01 00:00:00,{}\n"
SKAB = "datetime;Pressure;Flow;anomaly;changepoint\n"
IMS = ",Datetime,Bearing 1,Bearing 2\n"


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04half", b"\x93NUMPY"])
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1772_IR_7_DE12.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="1772_IR_7_DE12"):
        cwru.rate(path, tmp_path, None)


def test_an_archive_without_samples_is_not_a_healthy_bearing(tmp_path: Path) -> None:
    path = tmp_path / "1772_IR_7_DE12.npz"
    np.savez(path, DE=np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="no samples of DE or FE"):
        cwru.rate(path, tmp_path, None)


def test_a_damaged_matlab_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "InnerRaceFault_vload_1.mat"
    savemat(path, {"bearing": {"sr": 48828.0, "gs": np.ones((9000, 1))}})
    whole = path.read_bytes()
    for content in (b"", b"x\n", whole[:3000]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="InnerRaceFault_vload_1"):
            mfpt.rate(path, tmp_path, None)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n", NAB.format("abc"), "timestamp,value\nyesterday,3\n", "timestamp,value\n2015-01-01\n"],
)
def test_a_table_of_scalars_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data" / "group" / "strange.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=r"strange\.csv cannot be read"):
        nab.rate(path, tmp_path, None)


def test_a_missing_value_and_an_empty_line_are_no_fault_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "data" / "group" / "gap.csv"
    path.parent.mkdir(parents=True)
    path.write_text(NAB.format("") + "2015-01-01 00:05:00,3\n\n")
    assert nab.rate(path, tmp_path, tmp_path / "scores")["rows"] == 2
    assert len((tmp_path / "scores/group/gap.csv").read_text().splitlines()) == 3


def test_labels_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data" / "group" / "fine.csv"
    path.parent.mkdir(parents=True)
    path.write_text(NAB.format(1))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text("{")
    with pytest.raises(ValueError, match=r"combined_windows\.json"):
        nab.rate(path, tmp_path, None)


@pytest.mark.parametrize("rows", ["", "2020-03-09 12:00:00;1\n", "2020-03-09 12:00:00;a;1;0;0\n"])
def test_a_process_recording_that_is_none_is_named(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "data" / "valve2" / "7.csv"
    path.parent.mkdir(parents=True)
    path.write_text(SKAB + rows)
    with pytest.raises(ValueError, match=r"7\.csv cannot be read"):
        skab.rate(path, tmp_path, None)


@pytest.mark.parametrize("rows", ["", "0,12.02.2004 10:32,1,1\n"])
def test_a_test_whose_times_are_not_understood_is_not_a_quiet_one(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "test4.csv"
    path.write_text(IMS + rows)
    with pytest.raises(ValueError, match=r"test4\.csv cannot be read.*time"):
        ims.rate(path, tmp_path, None)


def test_the_verb_names_the_file_and_makes_the_folder_of_its_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "1730_Normal.npz", DE=np.zeros(24_000, np.float32))
    told = tmp_path / "new" / "folder" / "cwru.json"
    assert main(["evaluate", "cwru", str(tmp_path), "--json", str(told)]) == 0
    assert '"set": "cwru"' in told.read_text()
    with zipfile.ZipFile(tmp_path / "1730_IR_7_DE12.npz", "w") as archive:
        archive.writestr("DE.npy", b"\x93NUMPY")
    assert main(["evaluate", "cwru", str(tmp_path), "--jobs", "1"]) == 1
    assert "1730_IR_7_DE12.npz cannot be read" in " ".join(capsys.readouterr().err.split())
