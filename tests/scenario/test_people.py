"""What people do to tickets, each step on record; merging and splitting."""

import pytest

from tests.scenario.story import ALL_TICKED, photo, time_of
from ticketing.demands import Ticks
from ticketing.errors import KeyTaken, NoEdge, NotOnTicket, StaleVersion, StepRefused, TicketNotFound
from ticketing.ticket import Closure, SubState, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


class TestPeople:
    def test_from_alarm_to_signature_each_step_is_on_record(self, plant):
        plant.at("10:00").stops("M7", "E1")
        ticket = plant.ticket(1)
        assert ticket.suggestion.person in {"zhang", "li"}
        assert {c.person for c in ticket.suggestion.candidates} == {"zhang", "li", "wang", "chen"}
        plant.at("11:00").repairs(1).signs(1).expects(closed=1)
        detail = plant.detail(1)
        assert [e.action for e in detail.events] == [
            "opened",
            "assign",
            "accept",
            "photo",
            "resolve",
            "sign",
        ]
        assert detail.ticket.closure is Closure.SIGNED
        chain = detail.responsibility
        assert (chain.creator, chain.assigner, chain.handler, chain.last_actor) == (
            "detector/stop_alarm@1",
            "chen",
            "zhang",
            "chen",
        )
        assert detail.events[4].changes["cause"] == [None, "3.4"]

    def test_a_step_on_a_version_that_is_gone_is_refused_and_new_occurrences_do_not_disturb(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:01").stops("M7", "E1", severity=900)
        first = {"plant": plant.plant, "reason": "r", "actor": "chen", "now_ns": time_of("10:02")}
        plant.tickets.assign(1, person="zhang", backup="li", expected_version=1, **first)
        with pytest.raises(StaleVersion) as refused:
            plant.tickets.assign(1, person="li", backup="zhang", expected_version=1, **first)
        assert (refused.value.code, refused.value.expected, refused.value.actual) == ("stale_version", 1, 2)

    def test_what_is_refused_leaves_nothing_behind(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("11:00").repairs(1)
        before = plant.detail(1)
        with pytest.raises(StepRefused):
            plant.tickets.sign(
                1,
                ticks=Ticks(True, True, False),
                plant=plant.plant,
                actor="chen",
                now_ns=1,
                expected_version=before.ticket.version,
            )
        with pytest.raises(StepRefused):
            plant.tickets.sign(
                1,
                ticks=ALL_TICKED,
                plant=plant.plant,
                actor="zhang",
                now_ns=1,
                expected_version=before.ticket.version,
            )
        assert plant.detail(1) == before

    def test_taking_routings_suggestion_is_on_record_with_its_rule(self, plant):
        plant.at("10:00").stops("M7", "E1")
        chosen = plant.ticket(1).suggestion
        plant.tickets.assign(
            1,
            person=chosen.person,
            backup=chosen.backup,
            plant=plant.plant,
            actor="chen",
            now_ns=time_of("10:01"),
            expected_version=1,
        )
        assert plant.detail(1).events[-1].reason == "routing/best"

    def test_who_declines_sends_it_back_and_it_is_counted(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.tickets.assign(
            1,
            person="zhang",
            backup="li",
            plant=plant.plant,
            reason="r",
            actor="chen",
            now_ns=time_of("10:01"),
            expected_version=1,
        )
        declined = plant.tickets.decline(
            1,
            reason="on leave",
            evidence=("leave slip",),
            actor="zhang",
            now_ns=time_of("10:02"),
            expected_version=2,
        )
        assert (declined.state, declined.assignee, declined.claim_misses) == (PENDING, None, 1)

    def test_a_transfer_has_to_be_accepted_by_the_new_hand(self, plant):
        plant.at("10:00").stops("M7", "E1")
        now_ns = time_of("10:05")
        plant.tickets.assign(
            1,
            person="zhang",
            backup="li",
            plant=plant.plant,
            reason="r",
            actor="chen",
            now_ns=now_ns,
            expected_version=1,
        )
        plant.tickets.accept(
            1, sub_state=SubState.REMOTE_DIAGNOSIS, actor="zhang", now_ns=now_ns, expected_version=2
        )
        plant.tickets.substate(
            1,
            sub_state=SubState.SITE_SURVEY,
            reason="the log shows nothing",
            evidence=("log of the drive",),
            actor="zhang",
            now_ns=now_ns,
            expected_version=3,
        )
        moved = plant.tickets.transfer(
            1,
            person="li",
            backup="zhang",
            plant=plant.plant,
            reason="shift ends",
            evidence=("note",),
            actor="zhang",
            now_ns=now_ns,
            expected_version=4,
        )
        assert (moved.state, moved.assignee, moved.sub_state) == (ASSIGNED, "li", None)
        assert plant.detail(1).responsibility.hands == ((now_ns, "zhang"), (now_ns, "li"))

    def test_work_already_suggested_counts_as_load(self, plant):
        for n in range(1, 5):
            plant.at("10:00").stops(f"M{n}", "E1")
        assert {plant.ticket(n).suggestion.person for n in range(1, 5)} == {"zhang", "li"}

    def test_an_unsigned_ticket_is_closed_by_a_supervisor_and_marked(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("11:00").repairs(1)
        closed = plant.tickets.close_unsigned(
            1,
            reason="site closed",
            approver="chen",
            plant=plant.plant,
            actor="chen",
            now_ns=1,
            expected_version=4,
        )
        assert (closed.closure, closed.signer, closed.approver) == (Closure.UNSIGNED, None, "chen")

    def test_a_remark_is_on_record_and_disturbs_nobody(self, plant):
        plant.at("10:00").stops("M7", "E1")
        assert plant.tickets.comment(1, text="called the supplier", actor="li", now_ns=1).version == 1
        assert plant.detail(1).events[-1].reason == "called the supplier"
        with pytest.raises(StepRefused):
            plant.tickets.comment(1, text=" ", actor="li", now_ns=1)

    def test_a_ticket_that_is_not_there_is_said_to_be_missing(self, plant):
        with pytest.raises(TicketNotFound):
            plant.tickets.comment(99, text="x", actor="li", now_ns=1)
        with pytest.raises(TicketNotFound):
            plant.detail(99)

    def test_a_photo_is_kept_under_its_hash(self, plant, tmp_path):
        plant.at("10:00").stops("M7", "E1")
        kept = plant.tickets.add_photo(1, body=photo(), stage="site", actor="zhang", now_ns=5)
        assert (tmp_path / "photos" / kept.sha256).stat().st_size == kept.size
        assert plant.detail(1).photos == (kept,)


class TestMergeAndSplit:
    def duplicate(self, plant, number: int, of: int):
        return plant.tickets.duplicate(
            number,
            of=of,
            reason="one cause",
            approver="chen",
            plant=plant.plant,
            actor="chen",
            now_ns=time_of("10:30"),
            expected_version=plant.ticket(number).version,
        )

    def test_a_duplicate_hands_its_occurrences_over_and_later_events_follow(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        assert self.duplicate(plant, 2, 1).closure is Closure.DUPLICATE
        plant.at("10:40").stops("M7", "E2").expects(tickets=2, closed=1)
        assert plant.ticket(1).occurrence_count == 3
        assert plant.detail(2).occurrences == ()

    def test_a_closed_ticket_takes_nothing_over(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        plant.at("10:10").repairs(1).signs(1)
        with pytest.raises(StepRefused) as refused:
            self.duplicate(plant, 2, 1)
        assert refused.value.missing[0].why == "is_closed"

    def test_a_merged_ticket_is_not_reopened_beside_the_one_that_took_it_over(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2")
        self.duplicate(plant, 2, 1)
        with pytest.raises(KeyTaken):
            plant.tickets.reopen(
                2,
                reason="r",
                evidence=("e",),
                plant=plant.plant,
                actor="chen",
                now_ns=time_of("10:35"),
                expected_version=2,
            )

    def split(self, plant, number: int, component: str):
        detail = plant.detail(number)
        key = next(k.key for k in detail.keys if k.inputs["component"] == component)
        return plant.tickets.split(
            number,
            key=key,
            plant=plant.plant,
            reason="operator error, not the bearing",
            actor="chen",
            now_ns=time_of("10:30"),
            expected_version=detail.ticket.version,
        )

    def test_a_consequence_is_split_off_for_good(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        plant.at("10:05").stops("M7", "E1").expects(tickets=1)
        new = self.split(plant, 1, "E1")
        assert (new.number, new.headline.condition, new.state, new.occurrence_count) == (
            "A-2",
            "stop",
            PENDING,
            1,
        )
        assert new.alarm_active
        plant.at("10:40").stops("M7", "E1").expects(tickets=2)
        assert plant.ticket(2).occurrence_count == 2
        assert plant.ticket(1).occurrence_count == 1
        assert plant.detail(1).events[-1].action == "split_off"

    def test_taking_the_cause_off_leaves_the_stop_as_the_headline(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        plant.at("10:05").stops("M7", "E1")
        assert self.split(plant, 1, "DE").headline.condition == "zone_c"
        assert plant.ticket(1).headline.condition == "stop"

    def test_work_that_is_done_is_not_split_any_more(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        plant.at("10:05").stops("M7", "E1").repairs(1)
        with pytest.raises(NoEdge):
            self.split(plant, 1, "E1")

    def test_the_only_cause_of_a_ticket_cannot_be_split_off(self, plant):
        plant.at("10:00").stops("M7", "E1")
        with pytest.raises(NotOnTicket):
            self.split(plant, 1, "E1")
