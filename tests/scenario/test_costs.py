"""What a ticket costs and who agrees to it: levels one after the other, each once; and what is signed before work begins."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from andon.database import reading
from andon.events import HOUR_NS, MINUTE_NS, Action
from andon.plant import Person, Plant
from andon.rules.approvals import Approvals
from andon.rules.safety import LOCK_OUT, RETURN, Safety
from tests.scenario.story import PLANT, Story, photo, stop, time_of
from ticketing import clockwork, fieldwork
from ticketing.approving import costs, deciding, deeds, requests, spending, standstill
from ticketing.approving.requests import RequestState, Verdict
from ticketing.approving.tables import cost_decision
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, StepRefused
from ticketing.message_tables import outbox
from ticketing.ticket import SubState, Ticket
from ticketing.timers import done, due

T = time_of("10:00")
YUAN = 100
MONEY = PLANT.model_copy(
    update={
        "people": (
            *PLANT.people,
            Person(id="sun", name="Sun", role="line leader"),
            Person(id="gao", name="Gao", role="equipment director", backup="lin"),
            Person(id="lin", name="Lin", role="engineer"),
            Person(id="wu", name="Wu", role="planner"),
        ),
        "hourly_rates": {"technician": 90.0},
    }
)


class Floor:
    """One stopped machine, its ticket in Zhang's hands; each deed is a minute after the one before."""

    def __init__(self, story: Story, plant: Plant = MONEY) -> None:
        self.story = replace(story, plant=plant)
        self.now_ns = T
        self.story.at("10:00").stops("M7", "E1")
        self.story.tickets.assign(
            1, person="zhang", backup="li", plant=plant, reason="bearing", **self.by("chen")
        )

    @property
    def ticket(self) -> Ticket:
        return self.story.ticket(1)

    @property
    def plant(self) -> Plant:
        return self.story.plant

    def by(self, actor: str) -> dict[str, object]:
        self.now_ns += MINUTE_NS
        return {"actor": actor, "now_ns": self.now_ns, "expected_version": self.ticket.version}

    def doer(self, actor: str) -> Doer:
        self.now_ns += MINUTE_NS
        return Doer(self.story.tickets, actor, self.now_ns)

    def accepts(self, sub_state: SubState = SubState.SITE_SURVEY) -> "Floor":
        self.story.tickets.accept(1, sub_state=sub_state, plant=self.plant, **self.by("zhang"))
        return self

    def resolves(self) -> Ticket:
        service = self.story.tickets
        self.now_ns += MINUTE_NS
        service.add_photo(1, body=photo(self.ticket.version), stage="x", actor="zhang", now_ns=self.now_ns)
        said = {"summary": "seal replaced", "cause": "3.4", "same_kind": False}
        return service.resolve(1, plant=self.plant, **said, **self.by("zhang"))

    def lacks(self) -> dict[str, str]:
        with pytest.raises(StepRefused) as refused:
            self.resolves()
        return {one.demand: one.why for one in refused.value.missing}

    def thinks(self, yuan: float, who: str = "zhang") -> "Floor":
        deeds.think(self.doer(who), self.plant, 1, cents=round(yuan * YUAN), reason="seal kit and a day")
        return self

    def standing(self) -> requests.Approval:
        with reading(self.story.tickets._engine) as conn:
            return requests.standing(conn, self.plant, self.ticket)

    def decides(
        self, who: str, level: str, verdict: Verdict = Verdict.GRANTED, note: str = ""
    ) -> requests.Request:
        request = self.standing().request
        assert request is not None
        return deeds.decide(self.doer(who), self.plant, request.id, verdict, level=level, note=note)

    def told(self, kind: str) -> list[str]:
        with reading(self.story.tickets._engine) as conn:
            return list(conn.execute(select(outbox.c.content).where(outbox.c.kind == kind)).scalars())

    def waits(self, hours: float) -> None:
        """What is due about costs so many hours from now, as the engine's turn does it."""
        at_ns = self.now_ns + round(hours * HOUR_NS)
        with self.story.tickets.transaction(at_ns) as book:
            for timer in due(book.conn, at_ns, 1000):
                if timer.kind == deciding.TIMER and done(book, timer):
                    clockwork.HANDLERS[timer.kind](book, self.plant, timer)

    def refused(self, who: str, level: str, **how: str) -> str:
        with pytest.raises(DeedRefused) as refused:
            self.decides(who, level, **how)
        return refused.value.code


@pytest.fixture
def floor(plant: Story) -> Floor:
    return Floor(plant)


class TestLevels:
    def test_under_5000_the_team_leader_alone_and_the_ticket_waits_for_it(self, floor: Floor) -> None:
        floor.accepts().thinks(4999.99)
        assert floor.standing().lacking == ("team_leader",)
        assert floor.lacks() == {"approvals": "team_leader"}
        assert '"chen"' in floor.told("ticket.cost_asked")[0]
        assert floor.decides("chen", "team_leader").state is RequestState.GRANTED
        assert floor.standing().approved_cents == 499_999
        assert floor.resolves().state == "resolved"

    def test_from_5000_on_the_director_is_asked_after_the_leader(self, floor: Floor) -> None:
        floor.accepts().thinks(5000)
        assert floor.lacks() == {"approvals": "team_leader,equipment_director"}
        assert floor.refused("gao", "equipment_director") == "level_decided"
        assert floor.refused("gao", "team_leader") == "not_the_approver"
        asked = floor.decides("chen", "team_leader")
        assert (asked.state, asked.level) == (RequestState.PENDING, "equipment_director")
        assert floor.lacks() == {"approvals": "equipment_director"}
        assert floor.decides("gao", "equipment_director").state is RequestState.GRANTED
        assert floor.resolves().state == "resolved"

    def test_of_two_approvers_at_once_one_decides(self, floor: Floor) -> None:
        request = floor.thinks(6000).standing().request
        assert request is not None

        def grant(who: str) -> str:
            try:
                doer = Doer(floor.story.tickets, who, floor.now_ns + MINUTE_NS)
                deeds.decide(doer, floor.plant, request.id, Verdict.GRANTED, level="team_leader", note="")
            except DeedRefused as error:
                return error.code
            return "granted"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(grant, ("chen", "sun"))) == ["granted", "level_decided"]
        with reading(floor.story.tickets._engine) as conn:
            assert conn.execute(select(func.count()).select_from(cost_decision)).scalar_one() == 1
        assert floor.standing().lacking == ("equipment_director",)

    def test_who_states_a_cost_does_not_approve_it_unless_the_plant_lets_them(self, plant: Story) -> None:
        floor = Floor(plant).thinks(100, who="chen")
        assert floor.refused("chen", "team_leader") == "own_approval"
        floor.story = replace(
            floor.story, plant=MONEY.model_copy(update={"approvals": Approvals(own_costs=True)})
        )
        assert floor.decides("chen", "team_leader").state is RequestState.GRANTED

    def test_a_refusal_has_a_reason_and_the_amount_is_not_asked_for_again_by_itself(
        self, floor: Floor
    ) -> None:
        floor.accepts().thinks(6000)
        floor.decides("chen", "team_leader")
        with pytest.raises(StepRefused):
            floor.decides("gao", "equipment_director", Verdict.REFUSED)
        no = floor.decides("gao", "equipment_director", Verdict.REFUSED, "repair the old seat")
        assert no.state is RequestState.REFUSED
        assert floor.told("ticket.cost_refused")
        deeds.work(
            floor.doer("zhang"), floor.plant, 1, person="", minutes=30, span_ns=None, note="looked at it"
        )
        assert floor.standing().request == no
        assert floor.lacks() == {"approvals": "team_leader,equipment_director"}
        floor.thinks(900)
        assert floor.standing().lacking == ("team_leader",)
        assert floor.decides("chen", "team_leader").state is RequestState.GRANTED

    def test_a_dearer_estimate_asks_the_further_level_and_voids_what_waited(self, floor: Floor) -> None:
        floor.accepts().thinks(4000)
        floor.decides("chen", "team_leader")
        floor.thinks(6000)
        asked = floor.standing().request
        assert asked is not None
        assert asked.levels == ("equipment_director",)
        floor.thinks(7000)
        with pytest.raises(DeedRefused, match="superseded"):
            deeds.decide(
                floor.doer("gao"), floor.plant, asked.id, Verdict.GRANTED, level="equipment_director", note=""
            )
        assert floor.refused("chen", "equipment_director") == "not_the_approver"
        floor.decides("gao", "equipment_director")
        assert floor.standing().lacking == ()

    def test_what_is_spent_beyond_the_approved_amount_is_asked_again(self, floor: Floor) -> None:
        floor.accepts().thinks(4800)
        floor.decides("chen", "team_leader")
        deeds.work(floor.doer("zhang"), floor.plant, 1, person="", minutes=120, span_ns=None, note="seal")
        deeds.pay(floor.doer("zhang"), floor.plant, 1, cents=4620 * YUAN, note="crane for a day")
        assert floor.standing().sums.actual_cents == 4800 * YUAN
        assert floor.standing().lacking == ()
        line = deeds.pay(floor.doer("li"), floor.plant, 1, cents=20_001, note="taxi for the fitter")
        asked = floor.standing().request
        assert asked is not None
        assert (asked.basis, asked.cents, asked.levels) == ("actual", 500_001, ("equipment_director",))
        assert floor.lacks() == {"approvals": "equipment_director"}
        deeds.take_back(floor.doer("li"), floor.plant, 1, line.id, reason="was another ticket's")
        assert floor.standing().lacking == ()
        assert floor.resolves().state == "resolved"


class TestWhoDecides:
    def test_a_delegate_decides_between_the_dates_and_it_is_on_record_for_whom(self, floor: Floor) -> None:
        floor.thinks(6000)
        floor.decides("chen", "team_leader")
        assert floor.refused("lin", "equipment_director") == "not_the_approver"
        span_ns = floor.now_ns, floor.now_ns + HOUR_NS
        with pytest.raises(DeedRefused, match="only gao"):
            deeds.delegate(
                floor.doer("lin"), floor.plant, giver="gao", taker="lin", span_ns=span_ns, reason="trade fair"
            )
        given = deeds.delegate(
            floor.doer("gao"), floor.plant, giver="", taker="lin", span_ns=span_ns, reason="trade fair"
        )
        deeds.revoke(floor.doer("gao"), floor.plant, given.id)
        assert floor.refused("lin", "equipment_director") == "not_the_approver"
        deeds.delegate(
            floor.doer("gao"), floor.plant, giver="gao", taker="lin", span_ns=span_ns, reason="trade fair"
        )
        floor.decides("lin", "equipment_director")
        last = floor.standing().decisions[-1]
        assert (last.by, last.via, last.on_behalf_of) == ("lin", "delegated", "gao")

    def test_nobody_agrees_at_two_levels(self, floor: Floor) -> None:
        floor.thinks(6000)
        span_ns = floor.now_ns, floor.now_ns + HOUR_NS
        deeds.delegate(
            floor.doer("gao"), floor.plant, giver="gao", taker="chen", span_ns=span_ns, reason="trade fair"
        )
        floor.decides("chen", "team_leader")
        assert floor.refused("chen", "equipment_director") == "not_the_approver"
        floor.decides("gao", "equipment_director")

    def test_a_level_that_says_nothing_is_reminded_and_then_the_next_hears_it(self, floor: Floor) -> None:
        floor.thinks(6000)
        for hours in (3.9, 4.1, 8.1, 30):
            floor.waits(hours)
        first, second = floor.told("ticket.cost_waits")
        assert '"chen"' in first
        assert '"gao"' not in first
        assert '"gao"' in second
        floor.now_ns += 31 * HOUR_NS
        floor.decides("sun", "team_leader")
        floor.waits(5)
        assert len(floor.told("ticket.cost_waits")) == 3


class TestHoursAndDowntime:
    def test_nobody_works_at_two_places_at_once_and_a_line_is_taken_back_once(self, floor: Floor) -> None:
        floor.story.at("10:00").stops("M9", "E2")
        span_ns = T - 2 * HOUR_NS, T - HOUR_NS
        said = {"person": "zhang", "minutes": None, "note": "seal"}
        line = deeds.work(floor.doer("li"), floor.plant, 1, span_ns=span_ns, **said)
        assert (line.minutes, line.rate_cents, line.cents) == (60, 9000, 9000)
        half = span_ns[0] + HOUR_NS // 2, T
        with pytest.raises(DeedRefused, match="worked on ticket 1"):
            deeds.work(floor.doer("li"), floor.plant, 2, span_ns=half, **said)
        deeds.take_back(floor.doer("li"), floor.plant, 1, line.id, reason="the other machine")
        with pytest.raises(DeedRefused, match="already"):
            deeds.take_back(floor.doer("li"), floor.plant, 1, line.id, reason="the other machine")
        deeds.work(floor.doer("li"), floor.plant, 2, span_ns=half, **said)
        with reading(floor.story.tickets._engine) as conn:
            assert costs.sums(conn, 1).labour_cents == 0
            spent = spending.of_asset(conn, "M9", from_ns=0, until_ns=T + HOUR_NS, now_ns=T)
        assert [(one.ticket, one.labour_minutes, one.cents) for one in spent] == [(2, 90, 13_500)]

    def test_a_machine_stands_as_long_as_its_stops_together_or_as_a_person_says(self, floor: Floor) -> None:
        with reading(floor.story.tickets._engine) as conn:
            stood = standstill.of_ticket(conn, 1, T + 20 * MINUTE_NS)
        assert stood is not None
        assert (stood.minutes, stood.stands) == (20.0, True)
        cleared = stop("M7", "E1", T + 30 * MINUTE_NS, id="back", action=Action.CLEAR)
        floor.story.hears([cleared], T + 30 * MINUTE_NS)
        with reading(floor.story.tickets._engine) as conn:
            stood = standstill.of_ticket(conn, 1, T + 5 * HOUR_NS)
        assert stood is not None
        assert (stood.minutes, stood.said, stood.stands) == (30.0, "machine", False)
        floor.now_ns = T + 5 * HOUR_NS
        span_ns = T, T + 2 * HOUR_NS
        deeds.stood(floor.doer("chen"), 1, span_ns=span_ns, reason="the alarm was cleared too early")
        with reading(floor.story.tickets._engine) as conn:
            stood = standstill.of_ticket(conn, 1, floor.now_ns)
        assert stood is not None
        assert (stood.minutes, stood.said) == (120.0, "person")


class TestSafety:
    @pytest.fixture
    def locked(self, plant: Story) -> Floor:
        both = tuple(one.model_copy(update={"types": ("equipment_repair",)}) for one in (LOCK_OUT, RETURN))
        return Floor(plant, MONEY.model_copy(update={"safety": Safety(checklists=both)}))

    def signs(self, floor: Floor, code: str, who: str = "zhang", ticked: int = 6) -> Ticket:
        return deeds.sign_safety(
            floor.doer(who), floor.plant, 1, code, ticked=list(range(ticked)), note="lock 12"
        )

    def test_hands_on_the_machine_need_the_lock_out_signed_and_a_remote_look_does_not(
        self, locked: Floor
    ) -> None:
        def why(deed: object) -> dict[str, str]:
            with pytest.raises(StepRefused) as refused:
                deed()  # type: ignore[operator]
            return {one.demand: one.why for one in refused.value.missing}

        assert why(locked.accepts) == {"safety": "lock_out_tag_out"}
        locked.accepts(SubState.REMOTE_DIAGNOSIS)
        service, plant = locked.story.tickets, locked.plant
        here = {"plant": plant, "scan": "M7"}
        assert why(lambda: fieldwork.arrive(service, 1, **here, **locked.by("zhang"))) == {
            "safety": "lock_out_tag_out"
        }
        assert why(lambda: self.signs(locked, "lock_out_tag_out", ticked=5)) == {"items": "6"}
        assert why(lambda: self.signs(locked, "lock_out_tag_out", who="li")) == {
            "assignee_signs": "not_the_assignee"
        }
        self.signs(locked, "lock_out_tag_out")
        assert fieldwork.arrive(service, 1, **here, **locked.by("zhang")).sub_state == "site_survey"
        assert locked.lacks() == {"safety_end": "return_to_service"}
        self.signs(locked, "return_to_service", ticked=4)
        assert locked.resolves().state == "resolved"

    def test_who_takes_the_ticket_over_locks_for_themselves(self, locked: Floor) -> None:
        locked.accepts(SubState.REMOTE_DIAGNOSIS)
        self.signs(locked, "lock_out_tag_out")
        service, plant = locked.story.tickets, locked.plant
        over = {"plant": plant, "reason": "end of shift", "evidence": ["note"]}
        service.transfer(1, person="li", backup="zhang", **over, **locked.by("zhang"))
        with pytest.raises(StepRefused) as refused:
            service.accept(1, sub_state=SubState.SITE_SURVEY, plant=plant, **locked.by("li"))
        assert [one.demand for one in refused.value.missing] == ["safety"]
        self.signs(locked, "lock_out_tag_out", who="li")
        service.accept(1, sub_state=SubState.SITE_SURVEY, plant=plant, **locked.by("li"))

    def test_a_checklist_that_the_type_does_not_ask_for_is_not_there(self, floor: Floor) -> None:
        with pytest.raises(DeedRefused, match="needs no checklist"):
            self.signs(floor, "lock_out_tag_out")
