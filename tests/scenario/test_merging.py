"""Tickets that turn out to be one, or two after all: what a merge moves comes back, and links read from both ends."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from sqlalchemy import select

from andon.database import reading
from andon.events import MINUTE_NS
from andon.rules.dedup import Dedup
from tests.scenario.story import PLANT, cleared, condition, stop, time_of
from ticketing import audit, links, unmerging
from ticketing.errors import KeyTaken, NoEdge, NotOnTicket, StaleVersion, StepRefused
from ticketing.links import LinkKind
from ticketing.tables import alarm, failure, master, occurrence, problem_link
from ticketing.ticket import UNRESOLVED, Closure, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


def merges(plant, number: int, of: int, clock: str = "10:30"):
    return plant.tickets.duplicate(
        number,
        of=of,
        reason="one cause",
        approver="chen",
        plant=plant.plant,
        actor="chen",
        now_ns=time_of(clock),
        expected_version=plant.ticket(number).version,
    )


def unmerges(plant, number: int, clock: str = "11:00", **changes):
    given = {"reason": "two causes", "evidence": ("seen on site",), "actor": "chen"} | changes
    version = given.pop("expected_version", plant.ticket(number).version)
    return unmerging.take_back(
        plant.tickets, number, now_ns=time_of(clock), expected_version=version, **given
    )


def splits(plant, number: int, component: str, clock: str = "10:30"):
    detail = plant.detail(number)
    key = next(k.key for k in detail.keys if k.inputs["component"] == component)
    return plant.tickets.split(
        number,
        key=key,
        plant=plant.plant,
        reason="another cause",
        actor="chen",
        now_ns=time_of(clock),
        expected_version=detail.ticket.version,
    )


def everything(plant) -> dict[str, list[tuple[object, ...]]]:
    """What lies where, without the audit and the times of server clocks."""
    with reading(plant.engine) as conn:
        return {
            table.name: sorted(
                tuple(row)
                for row in conn.execute(
                    select(*(table.c[name] for name in (*table.primary_key.columns.keys(), "ticket")))
                )
            )
            for table in (master, occurrence, alarm, failure, problem_link)
        }


def sound(plant) -> None:
    """I1, I2, and that numbers, alarms and failures stand where the occurrences are."""
    for anchors in plant.anchors().values():
        assert all(later - earlier >= 15 * MINUTE_NS for earlier, later in pairwise(anchors))
    with reading(plant.engine) as conn:
        masters = conn.execute(select(master)).all()
        lies = conn.execute(select(occurrence)).all()
        alarms = conn.execute(select(alarm)).all()
        failures = conn.execute(select(failure)).all()
        assert audit.verify(conn) == []
    assert max(Counter(row.key for row in masters if row.open).values(), default=0) <= 1
    held = {(row.key, row.ticket) for row in masters}
    assert {(row.key, row.ticket) for row in lies if row.ticket is not None} <= held
    where = {row.finding: row.ticket for row in lies}
    assert all(where[row.finding] == row.ticket for row in failures)
    spoken = Counter(row.ticket for row in lies if row.action != "clear")
    stands = {row.ticket for row in alarms if row.raise_ns and (row.clear_ns or 0) < row.raise_ns}
    for ticket in plant.page().tickets:
        assert ticket.occurrence_count == spoken[ticket.id]
        assert ticket.alarm_active == (ticket.id in stands) or not ticket.is_open
        assert ticket.is_open == (ticket.closure is None)
        assert ticket.closure is not Closure.DUPLICATE or not spoken[ticket.id]


class TestUnmerge:
    def test_all_that_a_merge_moved_comes_back(self, plant):
        plant.at("Mon 9:00").stops("M7", "E1").stops("M7", "E2").stops("M8", "E3")
        plant.at("Mon 9:20").runs("M7")
        plant.at("Mon 10:00").stops("M7", "E2").expects(tickets=3, problems=1)
        before, tickets = everything(plant), plant.page().tickets
        merges(plant, 2, 1)
        assert everything(plant) != before
        back = unmerges(plant, 2)
        assert everything(plant) == before
        assert (back.state, back.closure, back.duplicate_of) == (PENDING, None, None)
        kept = ("headline", "priority", "occurrence_count", "alarm_active", "first_event_ns", "anchor_ns")
        for was, now in zip(tickets, plant.page().tickets, strict=True):
            assert [getattr(was, name) for name in kept] == [getattr(now, name) for name in kept]
        sound(plant)

    def test_what_came_for_its_cause_since_comes_along(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        merges(plant, 2, 1)
        plant.at("10:40").stops("M7", "E2").expects(tickets=2)
        assert plant.ticket(1).occurrence_count == 3
        unmerges(plant, 2)
        assert [plant.ticket(n).occurrence_count for n in (1, 2)] == [1, 2]
        plant.at("11:10").stops("M7", "E2").stops("M7", "E1").expects(tickets=2)
        assert [plant.ticket(n).occurrence_count for n in (1, 2)] == [2, 3]
        sound(plant)

    def test_it_goes_on_with_the_person_who_had_it(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        plant.tickets.assign(
            2, person="li", backup="chen", plant=PLANT, reason="r", actor="chen", now_ns=1, expected_version=1
        )
        merges(plant, 2, 1)
        assert unmerges(plant, 2).state is ASSIGNED
        assert plant.ticket(2).assignee == "li"

    def test_both_sides_have_it_on_record_and_the_message_is_sent(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        merges(plant, 2, 1)
        unmerges(plant, 2)
        lines = [plant.detail(number).events[-1] for number in (1, 2)]
        assert [line.action for line in lines] == ["unmerged_from", "unmerged"]
        assert lines[1].evidence == ("seen on site", "A-1")
        assert lines[1].changes["duplicate_of"] == [1, None]

    def test_one_that_was_merged_on_comes_back_from_where_its_cause_now_lies(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2").stops("M7", "E3")
        before = everything(plant)
        merges(plant, 3, 2)
        merges(plant, 2, 1)
        assert plant.ticket(1).occurrence_count == 3
        unmerges(plant, 3)
        assert [plant.ticket(n).occurrence_count for n in (1, 2, 3)] == [2, 0, 1]
        sound(plant)
        unmerges(plant, 2)
        assert everything(plant) == before
        sound(plant)

    def test_after_the_other_was_repaired_its_own_cause_still_stands(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        merges(plant, 2, 1)
        plant.at("10:40").repairs(1).signs(1)
        unmerges(plant, 2)
        assert [plant.ticket(n).state for n in (1, 2)] == [CLOSED, PENDING]
        plant.at("11:30").stops("M7", "E2").expects(tickets=2)
        sound(plant)

    def test_where_its_cause_has_a_new_ticket_it_is_refused(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        merges(plant, 2, 1)
        plant.at("10:40").repairs(1).signs(1)
        plant.at("11:30").stops("M7", "E2").expects(tickets=3)
        with pytest.raises(KeyTaken) as refused:
            unmerges(plant, 2, "12:00")
        assert refused.value.other == 3
        sound(plant)

    def test_reason_evidence_version_and_a_merge_are_needed(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        with pytest.raises(NoEdge):
            unmerges(plant, 2)
        merges(plant, 2, 1)
        with pytest.raises(StepRefused) as refused:
            unmerges(plant, 2, reason=" ", evidence=())
        assert [one.demand for one in refused.value.missing] == ["reason", "evidence"]
        with pytest.raises(StaleVersion):
            unmerges(plant, 2, expected_version=1)
        assert plant.ticket(2).closure is Closure.DUPLICATE

    def test_where_only_the_window_counts_two_tickets_of_one_key_merge_and_part_again(self, plant):
        plant.plant = PLANT.model_copy(update={"dedup": Dedup(mode="window_only")})
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:20").stops("M7", "E1").expects(tickets=2, pending_dispatch=2)
        merges(plant, 2, 1)
        plant.at("10:25").stops("M7", "E1").expects(tickets=2)
        assert plant.ticket(1).occurrence_count == 3
        unmerges(plant, 2)
        assert [plant.ticket(n).occurrence_count for n in (1, 2)] == [1, 2]
        plant.at("10:28").stops("M7", "E1").expects(tickets=2)
        assert plant.ticket(2).occurrence_count == 3


class Shift:
    """Events, merges, unmerges, splits and repairs in an order of chance."""

    def __init__(self, plant, seed: int) -> None:
        self.plant = plant
        self.random = Random(seed)  # noqa: S311 - an order, not a secret
        self.minute = 600
        self.now = ""
        self.deeds = (*[self.hears] * 3, *[self.merges] * 2, self.unmerges, self.splits, self.repairs)

    def goes_on(self) -> None:
        self.minute += self.random.randrange(20)
        self.now = f"{self.minute // 60}:{self.minute % 60:02}"
        self.random.choice(self.deeds)()

    def one(self, fits) -> int | None:
        """A ticket that fits, of those that do."""
        found = [ticket.id for ticket in self.plant.page().tickets if fits(ticket)]
        return self.random.choice(found) if found else None

    def hears(self) -> None:
        late = self.random.choice((0, 0, 3, 12, 16, 40))
        word = stop("M7", f"E{self.random.randrange(4)}", time_of(self.now) - late * MINUTE_NS)
        if self.random.random() < 0.3:
            word = condition("M7", "zone_c", word.at_ns)
        word = replace(word, id=f"{self.minute}/{self.random.random()}")
        self.plant.at(self.now).says(word, arrives=self.now)
        if self.random.random() < 0.4:
            self.plant.at(self.now).says(cleared(word, word.at_ns + MINUTE_NS))

    def merges(self) -> None:
        one = self.one(lambda t: t.state in UNRESOLVED)
        other = self.one(lambda t: t.state in UNRESOLVED and t.id != one)
        if one is not None and other is not None:
            merges(self.plant, one, other, self.now)

    def unmerges(self) -> None:
        one = self.one(lambda t: t.closure is Closure.DUPLICATE)
        if one is not None:
            with suppress(KeyTaken):
                unmerges(self.plant, one, self.now)

    def splits(self) -> None:
        one = self.one(lambda t: t.state in UNRESOLVED)
        keys = self.plant.detail(one).keys if one is not None else ()
        if one is not None and len(keys) > 1:
            with suppress(NotOnTicket):
                splits(self.plant, one, self.random.choice(keys).inputs["component"], self.now)

    def repairs(self) -> None:
        one = self.one(lambda t: t.state in UNRESOLVED)
        if one is not None:
            self.plant.at(self.now).repairs(one)
            if self.random.random() < 0.5:
                self.plant.at(self.now).signs(one)


SHIFTS = range(int(os.environ.get("ANDON_STORE_SHIFTS", "2")))


@pytest.mark.parametrize("seed", SHIFTS)
def test_after_any_sequence_of_events_merges_unmerges_and_splits_all_is_sound(plant, seed):
    shift = Shift(plant, seed)
    for n in range(40):
        shift.goes_on()
        if n % 8 == 7:
            sound(plant)


class TestLinks:
    def linked(self, plant, number: int) -> list[tuple[str, int]]:
        return [(one.kind, one.ticket) for one in plant.detail(number).links]

    def link(self, plant, number: int, kind: LinkKind, other: int, deed=links.link):
        with plant.tickets.transaction(time_of("11:00")) as book:
            return deed(book, number, kind, other, note="same hall", actor="chen", channel="console")

    def test_duplicates_splits_and_recurrences_read_from_both_ends(self, plant):
        plant.at("Mon 10:00").shows("M7", "zone_c")
        plant.at("Mon 10:05").stops("M7", "E1").stops("M8", "E9").expects(tickets=2)
        splits(plant, 1, "E1")
        assert self.linked(plant, 3) == [("split_from", 1)]
        assert self.linked(plant, 1) == [("split_into", 3)]
        merges(plant, 3, 2)
        assert self.linked(plant, 3) == [("duplicate_of", 2), ("split_from", 1)]
        assert self.linked(plant, 2) == [("duplicated_by", 3)]
        unmerges(plant, 3)
        plant.at("Mon 11:30").repairs(1).signs(1)
        plant.at("Tue 10:00").shows("M7", "zone_c").expects(tickets=4)
        assert ("recurred_as", 4) in self.linked(plant, 1)
        assert self.linked(plant, 4) == [("recurrence_of", 1)]
        (from_split,) = (one for one in plant.detail(3).links if one.kind == "split_from")
        assert (from_split.number, from_split.by, from_split.note) == ("A-1", "chen", "another cause")

    def test_what_people_link_is_on_both_tickets_and_on_record(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M8", "E2")
        self.link(plant, 1, LinkKind.BLOCKS, 2)
        self.link(plant, 2, LinkKind.RELATED_TO, 1)
        assert self.linked(plant, 1) == [("blocks", 2), ("related_to", 2)]
        assert self.linked(plant, 2) == [("blocked_by", 1), ("related_to", 1)]
        assert plant.detail(2).events[-2].evidence == ("blocked_by", "A-1")
        self.link(plant, 1, LinkKind.RELATED_TO, 2, links.unlink)
        assert self.linked(plant, 2) == [("blocked_by", 1)]
        assert plant.detail(1).events[-1].action == "unlinked"
        sound(plant)

    @pytest.mark.parametrize(
        ("number", "kind", "other", "lack"),
        [
            (1, LinkKind.BLOCKS, 1, ("other", "itself")),
            (1, LinkKind.BLOCKS, 2, ("link", "is_there")),
            (3, LinkKind.BLOCKS, 1, ("other", "blocks_this_one")),
            (1, LinkKind.DUPLICATE_OF, 3, ("kind", "not_by_hand")),
        ],
    )
    def test_a_link_that_makes_no_sense_is_refused(self, plant, number, kind, other, lack):
        plant.at("10:00").stops("M7", "E1").stops("M8", "E2").stops("M9", "E3")
        self.link(plant, 1, LinkKind.BLOCKS, 2)
        self.link(plant, 2, LinkKind.BLOCKS, 3)
        with pytest.raises(StepRefused) as refused:
            self.link(plant, number, kind, other)
        assert [(one.demand, one.why) for one in refused.value.missing] == [lack]

    def test_a_link_that_is_not_there_is_not_taken_away(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M8", "E2")
        with pytest.raises(StepRefused):
            self.link(plant, 1, LinkKind.BLOCKS, 2, links.unlink)
