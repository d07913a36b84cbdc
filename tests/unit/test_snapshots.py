"""Snapshots: what was saved comes back bit for bit, and only the newest are kept."""

from pathlib import Path

import numpy as np

from andon import snapshots


def test_arrays_and_words_come_back_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "x": np.array([0.1, np.nan, -0.0]),
        "n": 3,
        "names": ["a", "b"],
        "f": 0.1 + 0.2,
        "empty": np.zeros((0, 2)),
    }
    snapshots.save(
        tmp_path, snapshots.picture(7, {"detector/M1/0": state, "pipeline": {"latest": {"M1/DE": 2**62}}})
    )
    number, parts = snapshots.load_latest(tmp_path) or (0, {})
    assert number == 7
    assert parts["detector/M1/0"]["x"].tobytes() == state["x"].tobytes()
    assert parts["detector/M1/0"]["empty"].shape == (0, 2)
    assert parts["detector/M1/0"]["f"] == state["f"]
    assert parts["pipeline"]["latest"]["M1/DE"] == 2**62


def test_only_the_newest_are_kept_and_an_unfinished_one_is_never_read(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        snapshots.save(tmp_path, snapshots.picture(number, {"pipeline": {"n": number}}))
    (tmp_path / "000000000009.partial").write_bytes(b"torn")
    assert snapshots.oldest(tmp_path) == 2
    assert (snapshots.load_latest(tmp_path) or (0, {}))[0] == 3


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert snapshots.load_latest(tmp_path) is None
    assert snapshots.oldest(tmp_path) == 0


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    for number in (1, 2):
        snapshots.save(
            tmp_path,
            snapshots.picture(number, {"pipeline": {"n": number}, "decoder": {"x": np.arange(1000)}}),
        )
    newest = tmp_path / "000000000002.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0x10
    newest.write_bytes(content)
    assert (snapshots.load_latest(tmp_path) or (0, {}))[0] == 1
