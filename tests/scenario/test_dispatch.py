"""Who gets a ticket: offers for an urgent line stop, claims, stand-ins, RACI, and every decision on record."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from andon.database import reading, writing
from andon.events import SECOND_NS
from andon.plant import Plant
from tests.scenario.story import Story, stop, time_of
from ticketing import clockwork, collaborators, dispatch, offers, reports, standing_in, taking
from ticketing.book import BUS
from ticketing.dispatch import case_of, consider
from ticketing.duty import Presence
from ticketing.editing import edit
from ticketing.errors import DeedRefused, NoEdge, StepRefused
from ticketing.message_tables import outbox
from ticketing.raci import Role
from ticketing.service import Tickets
from ticketing.standing_in import Reason
from ticketing.tables import ticket
from ticketing.taking import Taker
from ticketing.ticket import SubState, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


def with_places(document: Plant, **more) -> Plant:
    """The story's plant with a mechanic more, positions, and a person on duty; M7 stands at the corner."""
    places = {"zhang": 30, "li": 10, "wang": 5, "zhao": 20, "qian": 40}
    given = document.model_dump(mode="json")
    mechanic = {"role": "technician", "tags": ["mechanics"]}
    given["people"] += [
        {"id": "zhao", "name": "Zhao", **mechanic},
        {"id": "qian", "name": "Qian", **mechanic},
        {"id": "duty", "name": "Duty", "role": "duty manager"},
    ]
    for person in given["people"]:
        x = places.get(person["id"])
        person |= {"position": {"x_m": x, "y_m": 0} if x is not None else None, **more.get(person["id"], {})}
    for asset in given["assets"]:
        asset["position"] = {"x_m": 0, "y_m": 0}
    return Plant.model_validate(given)


@pytest.fixture
def line(plant: Story, tmp_path: Path) -> Story:
    """The story with places, whose messages go to the bus."""
    plant.plant = with_places(plant.plant)
    plant.tickets = Tickets(plant.engine, photos=tmp_path / "photos", channels=(BUS,))
    return plant


def urgent_stop(story: Story, at: str = "10:00", asset: str = "M7") -> int:
    """A line stop that somebody marks as urgent while nobody has it yet; gives the ticket's number."""
    story.at(at).stops(asset, "E1")
    number = max(one.id for one in story.page().tickets)
    edit(
        story.tickets,
        number,
        {"urgent": True},
        reason="the whole line stands",
        plant=story.plant,
        actor="chen",
        now_ns=time_of(at),
        expected_version=story.ticket(number).version,
    )
    return number


def offered(story: Story, number: int) -> dict[str, str]:
    """Person -> state of the newest offers."""
    with reading(story.engine) as conn:
        found = offers.of(conn, number)
    return {one.person: str(one.state) for one in found if one.round == found[0].round}


def decided(story: Story, number: int):
    with reading(story.engine) as conn:
        return dispatch.decisions(conn, number)


def told(story: Story, kind: str) -> list[list[str]]:
    """Whom the messages of that kind named."""
    with reading(story.engine) as conn:
        rows = conn.execute(outbox.select().where(outbox.c.kind == kind).order_by(outbox.c.id)).mappings()
        return [msgspec.json.decode(row["content"])["people"] for row in rows]


def turn(story: Story, at: str) -> int:
    return clockwork.turn(story.tickets, story.plant, time_of(at), turn_s=60)


def taker(who: str, at: str) -> Taker:
    return Taker(who, time_of(at))


class TestOffers:
    def test_an_urgent_line_stop_is_offered_to_the_nearest_three_and_stays_pending(self, line):
        number = urgent_stop(line)
        assert list(offered(line, number)) == ["li", "zhao", "zhang"]  # wang is nearer, but no mechanic
        assert set(offered(line, number).values()) == {"open"}
        assert line.ticket(number).state is PENDING
        assert told(line, "ticket.offered") == [["li", "zhao", "zhang"]]
        assert decided(line, number)[0].offer_to == ("li", "zhao", "zhang")

    def test_the_first_to_accept_has_it_and_the_others_are_told(self, line):
        number = urgent_stop(line)
        ticket = taking.accept_offer(line.tickets, number, line.plant, taker("zhao", "10:01"))
        assert (ticket.assignee, ticket.state, ticket.sub_state) == (
            "zhao",
            IN_PROGRESS,
            SubState.SITE_SURVEY,
        )
        assert ticket.backup not in {None, "zhao"}
        assert offered(line, number) == {"zhao": "accepted", "li": "withdrawn", "zhang": "withdrawn"}
        assert told(line, "ticket.offer_withdrawn") == [["li", "zhang"]]
        with pytest.raises(DeedRefused, match="taken by zhao") as late:
            taking.accept_offer(line.tickets, number, line.plant, taker("li", "10:02"))
        assert late.value.code == "offer_gone"
        with pytest.raises(DeedRefused) as other:
            taking.accept_offer(line.tickets, number, line.plant, taker("qian", "10:02"))
        assert other.value.code == "not_offered"

    def test_of_a_ticket_that_turns_out_to_be_a_duplicate_nobody_is_asked_any_more(self, line):
        number = urgent_stop(line)
        line.at("10:01").stops("M9", "E9")
        line.tickets.duplicate(
            number,
            of=number + 1,
            reason="the same belt",
            approver="chen",
            actor="chen",
            plant=line.plant,
            now_ns=time_of("10:02"),
            expected_version=line.ticket(number).version,
        )
        assert set(offered(line, number).values()) == {"withdrawn"}
        assert told(line, "ticket.offer_withdrawn") == [["li", "zhao", "zhang"]]

    def test_accepting_twice_changes_nothing_and_nothing_is_left_to_expire(self, line):
        number = urgent_stop(line)
        first = taking.accept_offer(line.tickets, number, line.plant, taker("li", "10:01"))
        assert taking.accept_offer(line.tickets, number, line.plant, taker("li", "10:02")) == first
        turn(line, "10:30")
        assert line.ticket(number) == first

    def test_of_all_who_accept_at_once_exactly_one_has_it(self, line):
        number = urgent_stop(line)

        def accept(who: str) -> str:
            try:
                return (
                    taking.accept_offer(line.tickets, number, line.plant, taker(who, "10:01")).assignee or ""
                )
            except DeedRefused as refused:
                return refused.code

        with ThreadPoolExecutor(3) as pool:
            results = sorted(pool.map(accept, ("li", "zhao", "zhang")))
        assert results.count("offer_gone") == 2
        winner = line.ticket(number).assignee
        assert results.count(winner) == 1
        assert list(offered(line, number).values()).count("accepted") == 1

    def test_nobody_in_five_minutes_names_and_tells_line_leader_and_person_on_duty(self, line):
        number = urgent_stop(line)
        turn(line, "10:04:59")
        assert set(offered(line, number).values()) == {"open"}
        turn(line, "10:05")
        assert set(offered(line, number).values()) == {"expired"}
        suggestion = line.ticket(number).suggestion
        assert (suggestion.person, suggestion.backup, suggestion.rule) == ("chen", "duty", "unclaimed")
        assert told(line, "ticket.unclaimed") == [["chen", "duty"]]
        assert line.ticket(number).state is PENDING
        with pytest.raises(DeedRefused, match="expired"):
            taking.accept_offer(line.tickets, number, line.plant, taker("li", "10:06"))

    def test_nobody_online_with_the_skill_tells_them_at_once(self, line):
        away = {who: {"online": False} for who in ("zhang", "li", "zhao", "qian")}
        line.plant = with_places(Story.plant, **away)
        number = urgent_stop(line)
        assert offered(line, number) == {}
        assert told(line, "ticket.unclaimed") == [["chen", "duty"]]
        assert line.ticket(number).suggestion.rule == "line_leader"

    def test_all_decline_and_it_goes_further_without_waiting(self, line):
        number = urgent_stop(line)
        for who in ("li", "zhao", "zhang"):
            taking.decline_offer(
                line.tickets, number, reason="at another line", actor=who, now_ns=time_of("10:01")
            )
        turn(line, "10:01")
        assert line.ticket(number).suggestion.rule == "unclaimed"
        assert decided(line, number)[0].need["declined"] == ["li", "zhang", "zhao"]

    def test_a_planner_who_assigns_it_withdraws_the_offers(self, line):
        number = urgent_stop(line)
        assign(line, number, "qian", "li", "10:01")
        assert set(offered(line, number).values()) == {"withdrawn"}

    def test_it_is_offered_again_when_it_comes_back_to_dispatch(self, line):
        number = urgent_stop(line)
        ticket = assign(line, number, "li", "zhao", "10:01")
        line.tickets.decline(
            number,
            reason="no lift",
            evidence=["note"],
            actor="li",
            now_ns=time_of("10:02"),
            expected_version=ticket.version,
        )
        turn(line, "10:02")
        assert offered(line, number) == {"zhao": "open", "zhang": "open", "qian": "open"}
        assert decided(line, number)[0].why == "declined"
        assert (
            taking.accept_offer(line.tickets, number, line.plant, taker("qian", "10:03")).assignee == "qian"
        )

    def test_an_urgent_report_of_a_machine_that_stopped_has_it_offered(self, line):
        line.at("10:00").stops("M7", "E1")
        line.at("10:01").stops("M7", "E1")
        assert [one.why for one in decided(line, 1)] == ["opened"]  # more of the same is nobody else's work
        told_by_phone = {
            "asset": "M7",
            "type": "equipment_repair",
            "description": "the whole line stands",
            "fault_type": "line_stop",
            "urgent": True,
        }
        body = msgspec.json.encode(told_by_phone)
        came = reports.receive(line.tickets, body, actor="chen", came_by="phone", now_ns=time_of("10:02"))
        assert reports.take(line.tickets, came.id, line.plant, time_of("10:02")).ticket == 1
        assert offered(line, 1) == {"li": "open", "zhao": "open", "zhang": "open"}
        assert [one.why for one in decided(line, 1)] == ["edited", "opened"]

    def test_a_ticket_that_is_closed_meanwhile_is_not_offered_any_more(self, line):
        number = urgent_stop(line)
        with line.tickets.transaction(time_of("10:01")) as book:
            found = book.ticket(number)
            book.record(replace(found, state=CLOSED), action="comment", actor="test")
        turn(line, "10:05")
        assert set(offered(line, number).values()) == {"expired"}
        assert told(line, "ticket.unclaimed") == []


def assign(story: Story, number: int, person: str, backup: str, at: str):
    return story.tickets.assign(
        number,
        person=person,
        backup=backup,
        plant=story.plant,
        reason="by hand",
        actor="chen",
        now_ns=time_of(at),
        expected_version=story.ticket(number).version,
    )


class TestClaim:
    def test_who_has_the_skill_takes_a_waiting_ticket_and_it_is_on_record(self, line):
        line.at("10:00").stops("M7", "E1")
        ticket = taking.claim(line.tickets, 1, line.plant, taker("qian", "10:01"))
        assert (ticket.assignee, ticket.state) == ("qian", IN_PROGRESS)
        assert [(e.action, e.actor, e.reason) for e in line.detail(1).events[-2:]] == [
            ("assign", "qian", "claimed"),
            ("accept", "qian", ""),
        ]

    def test_who_lacks_the_skill_is_refused_with_it(self, line):
        line.at("10:00").stops("M7", "E1")
        with pytest.raises(StepRefused) as refused:
            taking.claim(line.tickets, 1, line.plant, taker("wang", "10:01"))
        assert [(m.demand, m.why) for m in refused.value.missing] == [("skill", "mechanics")]
        assert line.ticket(1).state is PENDING

    def test_what_somebody_has_cannot_be_claimed(self, line):
        line.at("10:00").stops("M7", "E1")
        taking.claim(line.tickets, 1, line.plant, taker("qian", "10:01"))
        with pytest.raises(NoEdge):
            taking.claim(line.tickets, 1, line.plant, taker("li", "10:02"))


class TestStandIn:
    def test_the_backup_takes_over_when_the_assignee_goes_on_leave(self, line):
        line.at("10:00").stops("M7", "E1")
        assign(line, 1, "li", "zhao", "10:01")
        leave = Presence("li", time_of("10:02"), leave_until_ns=time_of("+8 Mon 08:00"))
        (moved,) = standing_in.report(line.tickets, line.plant, leave)
        assert (moved.assignee, moved.state) == ("zhao", ASSIGNED)
        assert moved.backup not in {"li", "zhao", None}
        assert told(line, "ticket.transfer") == [["zhao", moved.backup, "li"]]
        again = replace(leave, at_ns=time_of("10:03"))
        assert standing_in.report(line.tickets, line.plant, again) == []
        line.at("10:10").stops("M9", "E1")
        assert "on_leave" in {c.person: c.misses for c in line.ticket(2).suggestion.candidates}["li"]

    def test_a_backup_who_is_on_leave_too_is_passed_over(self, line):
        line.at("10:00").stops("M7", "E1")
        ticket = assign(line, 1, "li", "zhao", "10:01")
        leave = Presence("zhao", time_of("10:02"), leave_until_ns=time_of("Tue 08:00"))
        (moved,) = standing_in.report(line.tickets, line.plant, leave)
        assert (moved.assignee, moved.state) == ("li", ticket.state)
        assert moved.backup not in {"li", "zhao", None}

    def test_a_missed_claim_is_counted_and_the_decision_kept(self, line):
        line.at("10:00").stops("M7", "E1")
        assign(line, 1, "li", "zhao", "10:01")
        with line.tickets.transaction(time_of("10:20")) as book:
            missed = Reason("not accepted within 15 min", missed=True)
            moved = standing_in.to_backup(book, line.plant, book.ticket(1), missed)
        assert (moved.assignee, moved.claim_misses) == ("zhao", 1)
        assert decided(line, 1)[0].why == "takeover"

    def test_all_of_a_person_who_leaves_goes_to_others(self, line):
        for n, asset in enumerate(("M7", "M9", "M11"), 1):
            line.at(f"10:0{n}").stops(asset, "E1")
        assign(line, 1, "li", "zhao", "10:05")
        assign(line, 2, "zhao", "li", "10:05")
        with line.tickets.transaction(time_of("10:06")) as book:
            third = book.ticket(3)
            suggestion = replace(third.suggestion, person="li")
            book.record(replace(third, suggestion=suggestion), action="comment", actor="test")
        people = tuple(person for person in line.plant.people if person.id != "li")
        line.plant = line.plant.model_copy(update={"people": people})
        moved = standing_in.reassign(
            line.tickets, line.plant, "li", time_of("11:00"), Reason("has left", actor="chen")
        )
        assert [one.id for one in moved] == [1, 2]
        turn(line, "11:00")
        for number in (1, 2, 3):
            ticket = line.ticket(number)
            named = {ticket.assignee, ticket.backup, ticket.suggestion.person if number == 3 else None}
            assert "li" not in named

    def test_without_a_reason_nothing_is_reassigned(self, line):
        with pytest.raises(StepRefused):
            standing_in.reassign(line.tickets, line.plant, "li", 1, Reason(" "))

    def test_a_contractor_does_the_work_through_the_same_steps(self, line):
        contractor = {"company": "华信科技", "tags": ["network"]}
        line.plant = with_places(Story.plant, qian=contractor)
        skills = {"machine_condition": "bearing", "stop": "network", "data_quality": "electrics"}
        line.plant = line.plant.model_copy(update={"skills": skills})
        line.at("10:00").stops("M7", "E1")
        first = line.ticket(1).suggestion.candidates[0]
        assert (first.person, first.company) == ("qian", "华信科技")
        ticket = taking.claim(line.tickets, 1, line.plant, taker("qian", "10:01"))
        assert ticket.assignee == "qian"


class TestRaci:
    def in_on(self, line: Story, person: str, role: Role, at: str = "10:01", reason: str = "needed"):
        return collaborators.join(
            line.tickets,
            1,
            person=person,
            role=role,
            plant=line.plant,
            reason=reason,
            actor="chen",
            now_ns=time_of(at),
        )

    def test_there_is_exactly_one_accountable_and_each_change_is_on_record(self, line):
        line.at("10:00").stops("M7", "E1")
        self.in_on(line, "wang", Role.ACCOUNTABLE)
        ticket = self.in_on(line, "li", Role.ACCOUNTABLE)
        assert ticket.collaborators == {"li": "accountable", "wang": "informed"}
        assert line.detail(1).events[-1].changes["collaborators"] == [
            {"wang": "accountable"},
            {"li": "accountable", "wang": "informed"},
        ]
        assert told(line, "ticket.collaborator") == [["wang"], ["li", "wang"]]

    def test_each_role_is_told_of_its_own(self, line):
        line.at("10:00").stops("M7", "E1")
        for person, role in (("wang", Role.INFORMED), ("qian", Role.CONSULTED), ("zhao", Role.RESPONSIBLE)):
            self.in_on(line, person, role)
        assign(line, 1, "li", "zhang", "10:02")
        assert told(line, "ticket.assign") == [["li", "zhang", "qian", "zhao"]]
        line.tickets.accept(
            1,
            sub_state=SubState.REMOTE_DIAGNOSIS,
            actor="li",
            now_ns=time_of("10:03"),
            expected_version=line.ticket(1).version,
        )
        assert told(line, "ticket.accept") == [["chen", "zhao"]]

    def test_who_is_unknown_or_comes_without_a_reason_is_refused(self, line):
        line.at("10:00").stops("M7", "E1")
        with pytest.raises(StepRefused, match="person"):
            self.in_on(line, "nobody", Role.INFORMED)
        with pytest.raises(StepRefused, match="reason"):
            self.in_on(line, "wang", Role.INFORMED, reason=" ")
        assert line.ticket(1).collaborators == {}

    def test_who_is_let_go_is_told_and_no_more_in(self, line):
        line.at("10:00").stops("M7", "E1")
        self.in_on(line, "wang", Role.CONSULTED)
        by = {"reason": "not needed", "actor": "chen", "now_ns": time_of("10:05")}
        ticket = collaborators.leave(line.tickets, 1, person="wang", **by)
        assert ticket.collaborators == {}
        with pytest.raises(DeedRefused) as refused:
            collaborators.leave(line.tickets, 1, person="wang", **by)
        assert refused.value.code == "not_collaborator"


class TestDecisions:
    def test_every_decision_is_kept_with_all_who_were_weighed(self, line):
        line.at("10:00").stops("M7", "E1")
        (kept,) = decided(line, 1)
        assert {one.person for one in kept.candidates} == {person.id for person in line.plant.people}
        assert (kept.why, kept.plant_version, kept.routing) == ("opened", line.plant.version, "usual")
        assert kept.need["skills"] == [["mechanics"]]
        wang = next(one for one in kept.candidates if one.person == "wang")
        assert wang.misses == ("skill",)
        assert kept.person == line.ticket(1).suggestion.person
        assert [one.score for one in kept.candidates if not one.misses] == sorted(
            (one.score for one in kept.candidates if not one.misses), reverse=True
        )

    def test_trying_it_out_gives_the_decision_that_is_then_made_and_writes_nothing(self, line):
        line.at("09:00").stops("M7", "E9").repairs(1, who="qian").signs(1)
        line.at("09:30").stops("M9", "E1")
        standing_in.report(line.tickets, line.plant, Presence("li", time_of("09:50"), online=False))
        standing_in.report(line.tickets, line.plant, Presence("zhao", time_of("09:59"), online=True))
        line.at("10:00").stops("M7", "E1")
        made = decided(line, 3)[0]
        # the world as it was when the ticket was opened: undo what it added to the loads
        with writing(line.engine) as conn:
            conn.execute(ticket.update().where(ticket.c.id == 3).values(suggested=None))
        before = counts(line)
        with reading(line.engine) as conn:
            tried = consider(conn, line.plant, case_of(line.ticket(3)), made.at_ns)
        assert counts(line) == before
        assert replace(tried, why=made.why) == made
        assert {one.person: one.done_here for one in made.candidates if one.done_here} == {"qian": 1}
        assert "offline" in {one.person: one.misses for one in made.candidates}["li"]

    def test_loads_grow_within_one_batch(self, line):
        line.plant = with_places(
            Story.plant, **{who: {"position": None} for who in ("zhang", "li", "zhao", "qian")}
        )
        assets = [f"M{n}" for n in (1, 3, 5, 7)]
        findings = [stop(asset, "E1", time_of("10:00")) for asset in assets]
        line.hears(findings, time_of("10:00:05"))
        named = [one.suggestion.person for one in line.page().tickets]
        assert sorted(named) == ["li", "qian", "zhang", "zhao"]

    def test_a_ticket_carries_the_first_few_and_the_decision_all(self, line):
        extra = [{"id": f"t{n}", "name": f"T{n}", "role": "technician"} for n in range(30)]
        document = line.plant.model_dump(mode="json")
        document["people"] += extra
        line.plant = Plant.model_validate(document)
        line.at("10:00").stops("M7", "E1")
        assert len(line.ticket(1).suggestion.candidates) == dispatch.SHOWN
        assert len(decided(line, 1)[0].candidates) == len(line.plant.people)


def counts(story: Story) -> list[int]:
    with reading(story.engine) as conn:
        return [
            len(conn.execute(table.select()).all()) for table in (ticket, outbox, dispatch.routing_decision)
        ]


def test_ties_are_given_to_each_in_turn(line):
    """With equal people the one least recently given work comes next, so that none is named twice before all were."""
    line.plant = with_places(
        Story.plant, **{who: {"position": None} for who in ("zhang", "li", "zhao", "qian")}
    )
    named = []
    for n, asset in zip(itertools.count(1), ("M1", "M3", "M5", "M7", "M9", "M11", "M13", "M15")):
        line.at(f"10:{n:02}").stops(asset, "E1")
        who = line.ticket(n).suggestion.person
        line.at(f"10:{n:02}:30").repairs(n, who=who)
        named.append(who)
    assert set(named[:4]) == set(named[4:]) == {"zhang", "li", "zhao", "qian"}


def test_a_stale_presence_is_unknown_again(line):
    gone = Presence("li", time_of("09:00"), online=False)
    standing_in.report(line.tickets, line.plant, gone)
    number = urgent_stop(line, "09:10")
    assert "li" not in offered(line, number)
    later = urgent_stop(line, "10:00", "M9")
    assert "li" in offered(line, later)
    assert time_of("10:00") - time_of("09:00") > line.plant.routing.stale_s * SECOND_NS
