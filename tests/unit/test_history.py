"""Looking into history: every flipped bit is found, what adds up is told, and history told again is the same."""

import argparse
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from decoder_words import T0, block, message, stop, telemetry, topic
from small_line import FLOOR, SmallLine

from andon import __main__, history
from andon.commands import moment
from andon.config import Keeping
from andon.database import writing
from andon.events import SECOND_NS, Json, rfc3339
from andon.manifest import count
from andon.ports import Record
from andon.upkeep import say_needed
from ingest.frames import HEADER_BYTES
from ingest.own_records import missing
from ingest.retention import enforce


def words() -> Iterator[Record]:
    """A shift: values, blocks of samples, a stop and its end, a duplicate, one that nobody can use."""
    for second in range(40):
        at_ns = T0 + second * SECOND_NS
        yield telemetry(20.0 + second, at_ns=at_ns, id=f"a{second}")
        yield message(
            topic("M1", "_wave", "vib"), block([1, -2, 3] * 4000, at_ns=at_ns, number=second), at_ns
        )
    yield stop("E1", at_ns=at_ns, id="s1")
    yield stop("E1", at_ns=at_ns, id="s1")
    yield stop("E1", active=False, at_ns=at_ns + SECOND_NS, id="s2")
    yield message(topic("M1"), b"{", at_ns + SECOND_NS)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SmallLine]:
    made = SmallLine(tmp_path / "data", "floor", "dock").configured(FLOOR)
    for number, record in enumerate(words()):
        made.receives("dock" if number < 80 and number % 3 == 0 else "floor", record)
        if number % 5 == 0:
            made.engine.turn(tick=number % 10 == 0)
        if number == 50:
            made.engine.snapshot()
    made.works()
    made.engine.snapshot()
    made.engine.snapshot()
    yield made
    for journal in made.journals.values():
        journal.close()


def andon(*arguments: object) -> int:
    return __main__.main([str(argument) for argument in arguments])


def told(path: Path, *arguments: object) -> tuple[int, Json]:
    code = andon(*arguments, "--json", path)
    return code, json.loads(path.read_text())


def test_a_sound_journal_verifies_while_it_is_written(line: SmallLine, tmp_path: Path) -> None:
    code, found = told(tmp_path / "v.json", "journal", "verify", "--data", line.data)
    assert code == 0, found
    assert found["sources"]["floor"]["records"] + found["sources"]["dock"]["records"] == 84
    line.receives("floor", telemetry(1.0, id="later"))  # not taken yet: no problem
    assert andon("journal", "verify", "--data", line.data) == 0


def places(data: Path) -> list[tuple[Path, int]]:
    """Every byte of every record of `floor`: in the rows' frames, and in the segment."""
    folder = data / "journal" / "floor"
    found = [(path, at) for path in folder.glob("*.segment") for at in range(path.stat().st_size)]
    for path in folder.glob("*.sqlite"):
        whole = path.read_bytes()
        for text in (b"andon/v1/e/s/a/L1/c/M1",):
            at = whole.find(text)
            while at >= 0:
                found += [(path, at + near) for near in range(-HEADER_BYTES, 60)]
                at = whole.find(text, at + 1)
    return found


def test_every_bit_that_is_flipped_is_found(line: SmallLine, tmp_path: Path) -> None:
    for journal in line.journals.values():
        journal.close()  # so that all rows are in the file itself, not in SQLite's log
    chance = np.random.default_rng(7)
    everywhere = places(line.data)
    for place in chance.choice(len(everywhere), 25, replace=False):
        path, at = everywhere[place]
        whole = bytearray(path.read_bytes())
        sound = bytes(whole)
        whole[at] ^= 1 << int(chance.integers(8))
        path.write_bytes(whole)
        code, found = told(tmp_path / "v.json", "journal", "verify", "--data", line.data)
        assert (code, bool(found["sources"]["floor"]["corrupt"])) == (1, True), (path.name, at)
        path.write_bytes(sound)
    assert andon("journal", "verify", "--data", line.data) == 0


def test_a_journal_whose_end_is_gone_or_that_is_gone_is_found(line: SmallLine, tmp_path: Path) -> None:
    for journal in line.journals.values():
        journal.close()
    (line.data / "journal" / "dock").rename(tmp_path / "elsewhere")
    for path in (line.data / "journal" / "floor").iterdir():
        path.unlink()
    code, found = told(tmp_path / "v.json", "journal", "verify", "--data", line.data)
    assert code == 1
    for source in ("floor", "dock"):
        assert "it ends at 0, and was taken up to" in found["sources"][source]["problems"][0]


def test_a_message_that_ended_nowhere_is_found(line: SmallLine, tmp_path: Path) -> None:
    with writing(line.database) as conn:
        count(conn, {"source.floor": {"stored": -1}})
    code, found = told(tmp_path / "v.json", "journal", "verify", "--data", line.data)
    assert code == 1
    assert "messages were received" in found["sources"]["floor"]["problems"][0]
    assert found["sources"]["dock"]["problems"] == []


def test_batches_that_leave_out_or_repeat_a_record_are_found(line: SmallLine, tmp_path: Path) -> None:
    with writing(line.database) as conn:
        conn.exec_driver_sql(
            "UPDATE batch_slice SET first = first + 1 WHERE source = 'floor' AND number = "
            "(SELECT max(number) FROM batch_slice WHERE source = 'floor')"
        )
    code, found = told(tmp_path / "v.json", "journal", "verify", "--data", line.data)
    assert code == 1
    assert "left out" in found["sources"]["floor"]["problems"][0]


def test_the_whole_history_told_again_is_identical_and_opens_no_second_ticket(
    line: SmallLine, tmp_path: Path
) -> None:
    code, facts = told(tmp_path / "r.json", "replay", "--journal", line.data, "--data", tmp_path / "again")
    assert (code, facts["identical"], facts["differs"]) == (0, True, [])
    assert [ticket["component"] for ticket in facts["tickets"]] == ["E1"]
    assert facts["sources"]["floor"] == facts["sources"]["floor"] | {"balanced": True}
    assert andon("replay", "--journal", line.data, "--data", tmp_path / "again") == 1  # it has been used


def test_history_told_by_another_line_names_the_batches_that_differ(
    line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ingest.take_stop.is_new", lambda *_, **__: True
    )  # a decoder that refuses no duplicate
    code, facts = told(tmp_path / "r.json", "replay", "--journal", line.data)
    assert code == 1
    assert len(facts["differs"]) == 1


def test_a_part_of_history_is_told_with_the_plant_of_its_beginning(line: SmallLine, tmp_path: Path) -> None:
    since = rfc3339(T0 + 20 * SECOND_NS)
    code, facts = told(
        tmp_path / "r.json", "replay", "--journal", line.data, "--from", since, "--source", "floor"
    )
    assert code == 0
    assert facts["not_compared_because"] == "a part of the history was asked for"
    assert 0 < facts["sources"]["floor"]["received"] < 40
    assert facts["sources"]["floor"]["refused_by_reason"].keys() <= {"malformed_json"}


def test_history_whose_order_is_gone_is_told_by_its_time(line: SmallLine, tmp_path: Path) -> None:
    for path in (line.data / history.FOLDER).glob("*"):
        path.unlink()
    code, facts = told(tmp_path / "r.json", "replay", "--journal", line.data)
    assert code == 0
    assert not facts["compared"]
    assert sum(source["received"] for source in facts["sources"].values()) == 84
    assert [ticket["component"] for ticket in facts["tickets"]] == ["E1"]


def test_the_order_taken_is_kept_beyond_the_snapshots_and_each_batch_once(line: SmallLine) -> None:
    order = list(history.recorded(line.data, line.database))
    assert [batch.number for batch in order] == list(range(1, len(order) + 1))
    assert len(line.digests()) < len(order)
    history.keep(
        line.data, [(n, d, []) for n, d in line.digests()], T0, 2**62
    )  # a crash before they were forgotten
    assert [batch.number for batch in history.recorded(line.data, line.database)] == [b.number for b in order]


def test_records_come_out_as_lines_and_as_frames_of_the_time_asked_for(
    line: SmallLine, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert andon("journal", "export", "--data", line.data, "--source", "floor", "--out", out) == 0
    rows = [json.loads(row) for row in out.read_text().splitlines()]
    assert [row["position"] for row in rows] == list(range(line.journals["floor"].end()))
    assert any("body_base64" in row for row in rows)
    since, until = T0 + 10 * SECOND_NS, T0 + 20 * SECOND_NS
    times = ["--from", rfc3339(since), "--to", rfc3339(until)]
    assert andon("journal", "export", "--data", line.data, "--out", out, *times) == 0
    rows = [json.loads(row) for row in out.read_text().splitlines()]
    part = [row["received_ns"] for row in rows if row["source"] != "engine"]
    assert len(part) == 20
    assert all(since <= at_ns < until for at_ns in part)
    assert andon("journal", "export", "--data", line.data, "--source", "floor", "--raw", "--out", out) == 0
    (position,) = struct.unpack_from("<Q", out.read_bytes())
    assert position == 0
    assert andon("journal", "export", "--data", line.data, "--raw") == 1  # frames of which source?


def test_stat_says_what_there_is_and_what_it_is_kept_for(line: SmallLine, tmp_path: Path) -> None:
    folder = line.data / "journal" / "floor"
    end = line.journals["floor"].end()
    say_needed(folder, end)
    code, found = told(tmp_path / "s.json", "journal", "stat", "--data", line.data)
    row = found["sources"]["floor"]
    assert code == 0
    assert (row["records"], row["taken"], row["kept_by"]) == (end, end, "history")
    assert row["first_at"] == rfc3339(T0)


def test_a_damaged_record_is_a_dead_letter_and_a_notice_and_stops_nothing(tmp_path: Path) -> None:
    line = SmallLine(tmp_path / "data", "floor").configured(FLOOR)
    for number in range(5):
        line.receives(
            "floor", message(topic("M1", "_wave", "vib"), block([1, 2] * 9000, number=number), T0 + number)
        )
    (segment,) = (tmp_path / "data" / "journal" / "floor").glob("*.segment")
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        file.write(b"\xff\x00\xff")
    before = segment.read_bytes()
    line.works()
    assert [(letter.position, letter.reason) for letter in line.letters()] == [(2, "record_corrupt")]
    assert line.letters()[0].received_ns == T0 + 1
    assert line.balance("floor") == line.balance("floor") | {"received": 5, "stored": 4, "balanced": True}
    assert ("andon", "journal_corrupt.floor") in [ticket[:2] for ticket in line.tickets()]
    assert segment.read_bytes() == before
    again = line.killed().works()
    assert again.engine.differs == []
    assert len([ticket for ticket in again.tickets() if ticket[0] == "andon"]) == 1
    enforce(tmp_path / "data" / "journal" / "floor", 5, T0, Keeping(), shed=False)
    for journal in again.journals.values():
        journal.close()


def test_a_time_that_is_none_is_refused_where_it_is_written() -> None:
    with pytest.raises(SystemExit):
        andon("journal", "export", "--from", "yesterday")
    with pytest.raises(argparse.ArgumentTypeError):
        moment("2026-01-01T00:00:00")


def test_a_folder_of_another_kind_and_a_number_of_no_record_are_refused_in_words(
    line: SmallLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal" / "floor").mkdir(parents=True)
    (tmp_path / "andon.sqlite").write_text("something else")
    assert andon("journal", "verify", "--data", tmp_path) == 1
    assert "cannot be used: file is not a database" in capsys.readouterr().err
    assert andon("deadletters", "show", "--data", line.data, "--id", f"floor:{2**63}") == 1
    assert "is no SOURCE:POSITION" in capsys.readouterr().err


def test_gaps_are_listed_by_source_and_those_that_stand_open(line: SmallLine, tmp_path: Path) -> None:
    at_ns = T0 + 100 * SECOND_NS
    line.receives("floor", missing(T0, at_ns, "reconnect", 0), missing(T0, at_ns, "qos0_overflow", 3)).works()
    code, found = told(tmp_path / "g.json", "gaps", "--data", line.data, "--source", "floor")
    assert code == 0
    assert {"reconnect", "qos0_overflow"} <= {gap["cause"] for gap in found["gaps"]}
    assert told(tmp_path / "g.json", "gaps", "--data", line.data, "--source", "dock", "--open") == (
        0,
        {"gaps": []},
    )
    assert andon("journal", "verify", "--data", line.data) == 0


def test_a_dead_letter_is_shown_whole_and_taken_anew_where_no_engine_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = SmallLine(tmp_path / "data", "floor").configured(FLOOR)
    line.receives("floor", stop("E1", asset="M9", id="s1"), message(topic("M1"), bytes(5000))).works()
    other = {**FLOOR["assets"][0], "id": "M9", "name": "M9"}
    line.configured({**FLOOR, "version": 2, "assets": [*FLOOR["assets"], other]})
    for journal in line.journals.values():
        journal.close()
    code, shown = told(tmp_path / "s.json", "deadletters", "show", "--data", line.data, "--id", "floor:1")
    assert (code, shown["whole"], bytes.fromhex(shown["body_hex"])) == (0, True, bytes(5000))
    assert andon("deadletters", "show", "--data", line.data, "--id", "floor:0") == 0
    assert '"reason": {"id": "E1"' in capsys.readouterr().out
    again = ("deadletters", "redrive", "--data", line.data)
    code, facts = told(tmp_path / "r.json", *again, "--reason", "unknown_asset")
    assert (code, facts["asked"], facts["redriven"]) == (0, 1, 1)
    assert [ticket[:2] for ticket in line.tickets()] == [("M9", "E1")]
    code, facts = told(tmp_path / "r.json", *again)
    assert (code, facts["asked"], facts["refused"]) == (1, 1, 1)
