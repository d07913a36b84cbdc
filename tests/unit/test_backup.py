"""A backup taken beside the engine at work: nothing acknowledged is missing, nothing points past anything, nothing is hidden."""

import contextlib
import io
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from decoder_words import T0, stop, telemetry
from small_line import SmallLine

from andon.__main__ import main
from andon.backups import NotDone, sealed, take
from andon.backups.archive import Broken, Pace, read
from andon.backups.put_back import put_back
from andon.backups.sealed import NotOpened
from andon.backups.take import back_up
from andon.datadir import for_its_owner
from andon.events import SECOND_NS
from andon.ports import Record
from andon.taking import walk
from andon.wholeness import CHECKS
from ingest.journal import SqliteJournal
from tests.scenario.story import photo
from ticketing import photos
from ticketing.service import Tickets

PASSPHRASE = "a long one, for tests"


def record(number: int) -> Record:
    """A message with an identity; every tenth is a stop of its own, every seventh has a body that goes to the segment."""
    at_ns = T0 + number * SECOND_NS // 10
    who = {"id": str(number), "source": "floor"}
    if number % 10 == 0:
        return stop(f"E{number}", at_ns=at_ns, **who)
    return telemetry(float(number), at_ns=at_ns, note="x" * 20_000 * (number % 7 == 0), **who)


def taken(data: Path, target: Path, passphrase: str | None = None, rate: float = 1e12) -> dict:
    return back_up(
        data, target, config=None, passphrase=passphrase, pace=Pace(rate), now=lambda: T0, version="1"
    )


def put(backup: Path, data: Path, passphrase: str | None = None) -> dict:
    return put_back(backup, data, passphrase=passphrase, store_url=None, advance=lambda _size: None)


def bodies(data: Path, source: str = "floor") -> list[bytes]:
    with contextlib.closing(SqliteJournal(data / "journal" / source, read_only=True)) as journal:
        return [one.body for _, found, _ in walk(journal, journal.start(), journal.end()) for one in found]


def problems(data: Path, line: SmallLine) -> dict[str, list[str]]:
    return {name: found for name, check in CHECKS.items() if (found := list(check(data, line.database)))}


class AtWork:
    """A line that receives, works and keeps its state on a thread until it is told to stop."""

    def __init__(self, data: Path) -> None:
        self.line = SmallLine(data, "floor").configured()
        self.acknowledged = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            number = self.acknowledged
            self.line.receives("floor", *(record(n) for n in range(number, number + 5)))
            self.acknowledged = number + 5
            if number % 3:
                self.line.works()
            if number % 4 == 0:
                self.line.engine.snapshot()

    def wait_for(self, count: int) -> None:
        while self.acknowledged < count and self._thread.is_alive():
            self._thread.join(0.005)
        assert self._thread.is_alive()

    def stop(self) -> SmallLine:
        self._stopping.set()
        self._thread.join()
        return self.line.works()


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[AtWork]:
    found = AtWork(tmp_path / "data")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with something of everything, at rest."""
    line = SmallLine(tmp_path_factory.mktemp("example") / "data", "floor").configured()
    line.receives("floor", *(record(n) for n in range(40))).works()
    line.engine.snapshot()
    line.receives("floor", *(record(n) for n in range(40, 60))).works()
    photos.keep(photos.picture_of(photo()), line.data / "photos")
    (line.data / "devices.json").write_text("{}")
    (line.data / "run").mkdir()
    (line.data / "run" / "status.json").write_text("{}")
    for journal in line.journals.values():
        journal.close()
    line.database.dispose()
    return line.data


@pytest.fixture
def finished(example: Path, tmp_path: Path) -> Path:
    """One of these to work on."""
    return shutil.copytree(example, tmp_path / "data")


def test_what_was_acknowledged_before_is_in_it_and_what_is_sent_again_is_refused(
    at_work: AtWork, tmp_path: Path
) -> None:
    for turn in range(4):
        at_work.wait_for(at_work.acknowledged + 60)
        acknowledged = at_work.acknowledged
        facts = taken(at_work.line.data, tmp_path / f"{turn}.tar")
        put(tmp_path / f"{turn}.tar", tmp_path / f"back-{turn}")
        there = bodies(tmp_path / f"back-{turn}")
        assert [record(n).body for n in range(len(there))] == there
        assert len(there) >= acknowledged
        assert facts["sources"]["floor"]["end"] == len(there)
    line, data = at_work.stop(), tmp_path / "back-3"
    again = SmallLine(data, "floor")
    assert again.engine.differs == []
    assert problems(data, again) == {}
    again.now.advance(line.now())
    again.works()
    stops = [component for _, component, _, _ in again.tickets() if component.startswith("E")]
    assert sorted(stops) == sorted(f"E{n}" for n in range(len(there)) if n % 10 == 0)
    again.receives("floor", *(record(n) for n in range(at_work.acknowledged))).works()
    assert again.tickets() == line.tickets()
    assert again.counts("floor")["stored"] == line.counts("floor")["stored"] == at_work.acknowledged
    assert again.counts("floor")["duplicates"] == len(there)
    assert problems(data, again) == {}


def test_journals_that_were_copied_before_the_store_would_be_seen(
    at_work: AtWork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the order: the law has to fail on it."""
    real = take.copy_rows

    def before_more_came(*given: object, **more: object) -> int:
        return int(real(*given, **{**more, "before": 10}))  # type: ignore[arg-type]

    at_work.wait_for(100)
    monkeypatch.setattr(take, "copy_rows", before_more_came)
    with pytest.raises(NotDone, match="lost files that a restart needs"):
        taken(at_work.line.data, tmp_path / "wrong.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("looks_again", [True, False])
def test_a_state_kept_in_between_is_seen_and_the_moment_taken_again(
    looks_again: bool, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the second look, which is the mutant, the restored state would have a hole."""
    line = SmallLine(finished, "floor")
    pin, once, first = take.store_at_one_moment, [True], take._kept(finished)

    def while_the_engine_goes_on(where: Path | str) -> object:
        if once:
            once.clear()
            for number in (60, 61, 62):
                line.receives("floor", record(number)).works().engine.snapshot()
            line.receives("floor", record(63)).works()
        return pin(where)

    monkeypatch.setattr(take, "store_at_one_moment", while_the_engine_goes_on)
    if not looks_again:
        monkeypatch.setattr(take, "_kept", lambda _data: first)
    taken(finished, tmp_path / "b.tar")
    put(tmp_path / "b.tar", tmp_path / "back")
    again = SmallLine(tmp_path / "back", "floor")
    found = problems(tmp_path / "back", again)
    assert found.keys() == (set() if looks_again else {"snapshots", "journals"}), found
    if looks_again:
        assert again.engine.differs == []
        assert again.tickets() == line.tickets()


def test_a_journal_of_many_files_whose_oldest_go_meanwhile_is_whole_from_where_it_begins(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = finished / "journal" / "old"
    journal = SqliteJournal(folder, rotate_bytes=64 * 1024)
    for number in range(0, 280, 7):
        journal.append([record(number)])
    assert len(journal.files()) > 4
    real = take.copy_rows

    def dropping(source: Path, first: int, *given: object, **more: object) -> int:
        if source == folder:
            journal.drop_before(20)
        return int(real(source, first, *given, **more))  # type: ignore[arg-type]

    monkeypatch.setattr(take, "copy_rows", dropping)
    taken(finished, tmp_path / "b.tar")
    put(tmp_path / "b.tar", tmp_path / "back")
    assert bodies(tmp_path / "back", "old") == bodies(finished, "old") != []
    journal.close()


def test_all_of_it_is_there_and_for_its_owner_alone(finished: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        taken(finished, tmp_path / "b.tar")
        put(tmp_path / "b.tar", tmp_path / "back")
    finally:
        os.umask(before)
    names = {path.relative_to(finished) for path in finished.rglob("*") if path.is_file()}
    gone = {str(name) for name in names if not (tmp_path / "back" / name).exists()}
    assert {name for name in gone if not name.endswith(("-wal", "-shm", "lock", "/end"))} == {
        "run/status.json"
    }
    back = tmp_path / "back"
    assert [
        path for path in (tmp_path / "b.tar", back, *back.rglob("*")) if path.stat().st_mode & 0o077
    ] == []


@pytest.mark.parametrize("place", ["andon.sqlite", "segment", "photos", "npz", "manifest.json", "devices"])
def test_a_flipped_byte_is_found_and_named_and_nothing_is_put_in_place(
    place: str, finished: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "b.tar"
    taken(finished, backup)
    body = bytearray(backup.read_bytes())
    if place == "devices":
        at = body.index(b"data/devices.json") + 512
    else:
        header = next(
            at
            for at in range(0, len(body), 512)
            if place.encode() in body[at : at + 100]
            and body[at + 257 : at + 262] == b"ustar"
            and int(body[at + 124 : at + 135], 8) > 0
        )
        at = header + 512 + int(body[header + 124 : header + 135], 8) // 2
    body[at] ^= 1
    backup.write_bytes(body)
    with pytest.raises(Broken, match=rf"{place}.* is not as it was written"):
        put(backup, tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data"]


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.9])
def test_one_that_is_cut_off_is_refused(part: float, finished: Path, tmp_path: Path) -> None:
    backup = tmp_path / "b.tar"
    taken(finished, backup)
    os.truncate(backup, int(backup.stat().st_size * part))
    with pytest.raises(Broken):
        put(backup, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_name_that_leads_outside_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        entry = tarfile.TarInfo("data/../../outside")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(Broken, match="no file of a backup"):
        put(tmp_path / "b.tar", tmp_path / "back" / "in")
    assert not list(tmp_path.rglob("outside"))


class TestSealed:
    @pytest.fixture(autouse=True)
    def _cheap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealed.SealingWriter.__init__, "__defaults__", (2**10,))
        monkeypatch.setattr(sealed, "PIECE_BYTES", 4096)

    def test_only_the_passphrase_opens_it_and_nothing_shows(self, finished: Path, tmp_path: Path) -> None:
        backup = tmp_path / "b.tar"
        taken(finished, backup, PASSPHRASE)
        assert b"andon.sqlite" not in backup.read_bytes()
        assert b"manifest" not in backup.read_bytes()
        assert read(backup, PASSPHRASE, None)["files"]
        with pytest.raises(NotOpened, match="the passphrase is another one"):
            put(backup, tmp_path / "back", "another one, as long")
        put(backup, tmp_path / "back", PASSPHRASE)
        assert bodies(tmp_path / "back") == bodies(finished)

    @pytest.mark.parametrize("deed", ["flip", "cut", "swap", "cut a piece"])
    def test_what_was_done_to_it_is_seen(self, deed: str, finished: Path, tmp_path: Path) -> None:
        backup, piece = tmp_path / "b.tar", 4096 + 16
        taken(finished, backup, PASSPHRASE)
        body = bytearray(backup.read_bytes())
        head = 39
        if deed == "flip":
            body[len(body) // 2] ^= 1
        elif deed == "cut":
            del body[-10:]
        elif deed == "cut a piece":
            del body[head + 3 * piece :]
        else:
            one, two = body[head : head + piece], body[head + piece : head + 2 * piece]
            body[head : head + 2 * piece] = two + one
        backup.write_bytes(body)
        with pytest.raises(NotOpened):
            put(backup, tmp_path / "back", PASSPHRASE)
        assert not (tmp_path / "back").exists()


def test_what_cannot_be_done_is_said(finished: Path, tmp_path: Path) -> None:
    taken(finished, tmp_path / "b.tar")
    with pytest.raises(NotDone, match="is there already"):
        taken(finished, tmp_path / "b.tar")
    with pytest.raises(NotDone, match="lies in the data directory"):
        taken(finished, finished / "b.tar")
    with pytest.raises(NotDone, match="holds no installation"):
        taken(tmp_path / "nowhere", tmp_path / "c.tar")
    with pytest.raises(NotDone, match="is not empty"):
        put(tmp_path / "b.tar", finished)
    (tmp_path / "empty").mkdir()
    put(tmp_path / "b.tar", tmp_path / "empty")
    assert (tmp_path / "empty" / "andon.sqlite").exists()


def test_the_commands_say_what_they_did(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text(PASSPHRASE + "\n")
    monkeypatch.setattr(sealed.SealingWriter.__init__, "__defaults__", (2**10,))
    assert main(["backup", "out", "--data", str(finished), "--passphrase-file", "secret"]) == 0
    (backup,) = (tmp_path / "out").iterdir()
    assert main(["verify", "--backup", str(backup)]) == 1  # it is encrypted
    assert "give --passphrase-file" in capsys.readouterr().err
    monkeypatch.setenv("ANDON_BACKUP_PASSPHRASE", PASSPHRASE)
    assert main(["verify", "--backup", str(backup)]) == 0
    assert main(["restore", str(backup), "--data", "back"]) == 0
    assert "floor: received up to 60, 0 of them to be worked on" in capsys.readouterr().out
    assert main(["verify", "--data", "back", "--json", "found.json"]) == 0
    assert main(["restore", str(backup), "--data", "back"]) == 1
    monkeypatch.setenv("ANDON_BACKUP_PASSPHRASE", "short")
    assert main(["backup", "out", "--data", str(finished)]) == 1
    assert "keeps nobody out" in capsys.readouterr().err


def _flip(path: Path, at: int) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def test_verify_names_what_was_changed(finished: Path, tmp_path: Path) -> None:
    line = SmallLine(finished, "floor")
    shown = Tickets(line.database, photos=finished / "photos").add_photo(
        1, body=photo(77), stage="api", actor="ann", now_ns=T0
    )
    for journal in line.journals.values():
        journal.close()
    assert problems(finished, line) == {}
    _flip(finished / "photos" / shown.sha256, 100)
    _flip(next((finished / "journal" / "floor").glob("*.segment")), 30_000)
    for path in (finished / "snapshots").iterdir():
        _flip(path, path.stat().st_size // 2)
    with line.database.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER IF EXISTS ticket_event_no_update")
        conn.exec_driver_sql("UPDATE ticket_event SET reason = 'another' WHERE ticket = 1 AND seq = 1")
    found = problems(finished, line)
    assert found["photos"] == [f"{shown.sha256} is not as it was written"]
    assert found["audit"] == ["ticket 1, line 1: changed"]
    assert found["snapshots"][0] == "none of them can be read"
    assert any("not as they were written" in problem for problem in found["journals"])


def test_a_data_directory_is_for_its_owner_alone_and_a_folder_of_other_things_is_left(tmp_path: Path) -> None:
    new, made, other = tmp_path / "new", tmp_path / "made", tmp_path / "other"
    before = os.umask(0)
    try:
        made.mkdir(mode=0o755)
        other.mkdir(mode=0o755)
        (other / "letter").touch()
        for folder in (new, made, other):
            for_its_owner(folder)
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o777 for folder in (new, made, other)] == [0o700, 0o700, 0o755]
