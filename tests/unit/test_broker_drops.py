"""A broker's counter of what it dropped: what rises is a gap and a notice, whatever happened in between."""

import json
from pathlib import Path

import pytest

from andon.events import SECOND_NS
from andon.ports import Record, RecordKind
from ingest.broker_drops import CALM_NS, DEFAULT_COUNTERS, TOLD_EVERY_NS, DropWatch
from ingest.mqtt_subscriptions import Kept
from ingest.notices import Notices

TOPIC = b"$SYS/broker/publish/messages/dropped"
S = SECOND_NS


class Watched:
    """A watch in a folder, and what came of it."""

    def __init__(self, folder: Path, session: str = "a@b:1") -> None:
        self.said: list[Record] = []
        kept = Kept(folder / "broker_drops.json", session)
        self.watch = DropWatch(DEFAULT_COUNTERS, kept, Notices(folder, lambda: 7 * S, self.said.append))

    def told(self, count: int | str, at_s: int, topic: bytes = TOPIC) -> tuple[int, int] | None:
        """The gap in seconds, if there is one."""
        record = self.watch.take(topic, str(count).encode(), at_s * S)
        if record is None:
            return None
        gap = json.loads(record.body)
        assert (record.kind, gap["cause"], gap["to_ns"]) == (RecordKind.GAP, "broker_dropped", at_s * S)
        return gap["from_ns"] // S, gap["to_ns"] // S

    def notices(self) -> list[bool]:
        return [json.loads(record.body)["active"] for record in self.said]


def test_what_was_dropped_before_we_came_is_not_our_loss(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.told(1000, 5) is None
    assert watched.notices() == []


def test_a_rise_is_a_gap_since_the_counter_was_last_heard(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.told(3, 5)
    watched.told(3, 15)
    assert watched.told(9, 25) == (15, 25)
    assert (watched.watch.dropped, watched.notices()) == (6, [True])


def test_while_we_are_connected_a_counter_that_is_not_told_has_not_risen(tmp_path: Path) -> None:
    """Mosquitto tells a counter only when it has changed."""
    watched = Watched(tmp_path)
    watched.told(3, 5)
    watched.watch.stand(3600 * S)
    assert watched.told(4, 3601) == (3600 - TOLD_EVERY_NS // S, 3601)


def test_what_was_dropped_while_we_were_away_is_a_gap_over_all_that_time(tmp_path: Path) -> None:
    before = Watched(tmp_path)
    before.told(3, 1000)
    after = Watched(tmp_path)
    after.watch.begin(2000 * S)
    after.watch.stand(9000 * S)  # connected, and the broker has not told it yet
    assert after.told(5, 9001) == (2000 - TOLD_EVERY_NS // S, 9001)


def test_a_broker_that_began_anew_counts_from_nothing(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.told(100, 5)
    assert watched.told(0, 15) is None
    assert watched.told(2, 25) == (15, 25)
    watched.told(1, 35)
    assert watched.watch.dropped == 3


def test_each_node_of_a_cluster_has_its_own_counter(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    one, two = (b"$SYS/brokers/n%d@h/metrics/delivery/dropped/queue_full" % n for n in (1, 2))
    assert watched.watch.watches(one)
    watched.told(10, 1, one)
    assert watched.told(3, 2, two) is None
    assert watched.told(11, 3, one) == (2, 3)


def test_the_notice_is_over_when_the_counter_has_stood_still(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.told(0, 0)
    watched.told(1, 10)
    watched.watch.stand(10 * S + CALM_NS - 1)
    assert watched.notices() == [True]
    watched.watch.stand(10 * S + CALM_NS)
    watched.watch.stand(20 * S + CALM_NS)
    assert watched.notices() == [True, False]


def test_a_notice_that_stood_when_we_ended_is_taken_back_by_a_later_run(tmp_path: Path) -> None:
    before = Watched(tmp_path)
    before.told(0, 0)
    before.told(1, 10)
    after = Watched(tmp_path)
    after.told(1, 20)
    after.watch.stand(10 * S + CALM_NS)
    assert after.notices() == [False]


def test_another_brokers_counter_is_another_counter(tmp_path: Path) -> None:
    Watched(tmp_path).told(1000, 5)
    other = Watched(tmp_path, "a@c:1")
    assert other.told(2000, 6) is None
    assert Watched(tmp_path).told(1001, 7) is not None


@pytest.mark.parametrize("body", ["", "many", "-1", "1.5", "9" * 19, "٣"])
def test_what_is_no_count_says_nothing(tmp_path: Path, body: str) -> None:
    watched = Watched(tmp_path)
    watched.told(1, 1)
    assert watched.told(body, 2) is None
    assert watched.told(2, 3) == (1, 3)


def test_a_damaged_file_is_a_new_beginning(tmp_path: Path) -> None:
    Watched(tmp_path).told(5, 1)
    (tmp_path / "broker_drops.json").write_text('{"a@b:1": 7')
    assert Watched(tmp_path).told(6, 2) is None


def test_other_statistics_are_no_counters(tmp_path: Path) -> None:
    watch = Watched(tmp_path).watch
    assert not watch.watches(b"$SYS/broker/uptime")
    assert not watch.watches(b"andon/v1/x")
    assert not watch.watches(b"$SYS/brokers/a/b/metrics/delivery/dropped/queue_full")
