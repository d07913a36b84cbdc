"""Dead letters and gaps in the store: kept whole, listed newest first, valid for both databases."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from andon.database import reading, writing
from andon.events import Gap, Origin
from andon.ports import DeadLetter
from ingest import deadletters, gaps
from tests.stores import Stores


@pytest.fixture
def store(stores: Stores) -> Engine:
    return stores.open()


def letter(position: int, *, reason: str = "schema", received_ns: int = 0) -> DeadLetter:
    return DeadLetter(
        "s", position, received_ns, b"\xff\x00t", reason, "détail", b"\x00head", 2**33, "ab" * 32
    )


def gap(
    from_ns: int = 10, to_ns: int | None = None, *, asset: str | None = None, filled: bool = False
) -> Gap:
    return Gap("s", asset, None, from_ns, to_ns, "connection", filled, Origin("s", 3, 99))


def test_a_dead_letter_comes_back_as_it_was(store: Engine) -> None:
    first = letter(2**40, received_ns=2**62)
    with writing(store) as conn:
        deadletters.save(conn, [first])
        deadletters.save(conn, [])
    with reading(store) as conn:
        assert deadletters.recent(conn, 10) == [first]


def test_dead_letters_are_listed_newest_first_and_counted_by_reason(store: Engine) -> None:
    with writing(store) as conn:
        deadletters.save(
            conn, [letter(n, received_ns=n, reason="schema" if n % 2 else "waveform_crc") for n in range(5)]
        )
    with reading(store) as conn:
        assert [found.position for found in deadletters.recent(conn, 3)] == [4, 3, 2]
        assert deadletters.counts(conn) == {"schema": 2, "waveform_crc": 3}


def test_a_later_word_about_the_same_record_replaces_the_former(store: Engine) -> None:
    with writing(store) as conn:
        deadletters.save(conn, [letter(1)])
        deadletters.ask(conn, deadletters.ALL, 5)
        deadletters.save(conn, [replace(letter(1), reason="unknown_point", identified=True)])
        assert deadletters.asked(conn, 10) == []
        assert deadletters.recent(conn, 10) == [replace(letter(1), reason="unknown_point", identified=True)]


def test_what_has_been_used_after_all_is_no_longer_refused_nor_asked_for(store: Engine) -> None:
    with writing(store) as conn:
        deadletters.save(conn, [letter(1), letter(2, reason="unknown_asset"), letter(3, received_ns=9)])
        assert deadletters.ask(conn, deadletters.Which(reason="schema"), 5) == 2
        assert [found.position for found in deadletters.asked(conn, 10)] == [1, 3]
        deadletters.settle(conn, [("s", 1)], 6)
        assert [found.position for found in deadletters.asked(conn, 10)] == [3]
        assert deadletters.counts(conn) == {"schema": 1, "unknown_asset": 1}
        assert deadletters.ask(conn, deadletters.Which(position=1, source="s"), 7) == 0
        assert deadletters.ask(conn, deadletters.Which(since_ns=9), 7) == 1
        assert deadletters.one(conn, "s", 1) == (letter(1), 6)
        assert deadletters.one(conn, "s", 4) is None


def test_only_so_many_of_the_newest_dead_letters_are_kept(store: Engine) -> None:
    with writing(store) as conn:
        deadletters.save(conn, [letter(n, received_ns=n) for n in range(5)])
        assert deadletters.keep_newest(conn, 5) == 0
        assert deadletters.keep_newest(conn, 2) == 3
        assert [found.position for found in deadletters.recent(conn, 9)] == [4, 3]


def test_a_gap_opens_and_is_closed_by_the_next_word_about_it(store: Engine) -> None:
    with writing(store) as conn:
        gaps.save(conn, [gap(), gap(asset="M1")])
        assert [found.asset for found in gaps.open_gaps(conn)] == [None, "M1"]
        gaps.save(conn, [gap(to_ns=20)])
    with reading(store) as conn:
        assert gaps.open_gaps(conn) == [gap(asset="M1")]
        assert gap(to_ns=20) in gaps.recent(conn, 10)


def test_a_gap_that_was_filled_after_all_says_so(store: Engine) -> None:
    with writing(store) as conn:
        gaps.save(conn, [gap(to_ns=20), gap(to_ns=20, filled=True), gap()])
        assert gaps.recent(conn, 10) == [gap(to_ns=20, filled=True)]


def test_gaps_are_listed_newest_first(store: Engine) -> None:
    with writing(store) as conn:
        gaps.save(conn, [gap(from_ns, 100) for from_ns in (1, 3, 2)])
        assert [found.from_ns for found in gaps.recent(conn, 2)] == [3, 2]


def test_the_tables_hold_64_bit_times_on_postgresql_too() -> None:
    for table in (deadletters.letters, gaps.gaps):
        text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "received_ns BIGINT" in text
        assert "BLOB" not in text
