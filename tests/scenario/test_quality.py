"""From a model's failures to the lot, its supplier and an audit; batches frozen by two; sisters of what was mended."""

from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from andon import plants
from andon.database import reading, writing
from andon.events import HOUR_NS, ConfigChanged, Origin
from andon.plant import Person
from tests.scenario.story import PLANT, Story, time_of
from ticketing import audit
from ticketing.clockwork import turn
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, NoEdge, StepRefused
from ticketing.message_tables import outbox
from ticketing.parts.movements import Cause, Delivery, receive, take_out
from ticketing.parts.suppliers import Grade, suppliers
from ticketing.parts.suppliers import save as save_supplier
from ticketing.parts.tables import part, part_lot, part_use
from ticketing.problem_store import events, look
from ticketing.quality import batches, deeds, path, sisters
from ticketing.quality.audits import Result
from ticketing.quality.batches import Deed, Lot
from ticketing.quality.deeds import Seen
from ticketing.quality.path import Span
from ticketing.tables import ticket as tickets

DAY_NS = 24 * HOUR_NS
BEGAN_NS = time_of("00:00")
SPAN = Span(BEGAN_NS, BEGAN_NS + 90 * DAY_NS)
NOW_NS = SPAN.to_ns
SEAL, LEAK = "SEAL-80", "seal_failure"
V8000 = tuple(f"M{n}" for n in range(1, 9))


def of_models():
    """Machines 1 to 8 are of model V8000, the others of V6000; two people decide on quality."""
    assets = [
        one.model_copy(update={"model": "V8000" if one.id in V8000 else "V6000"}) for one in PLANT.assets
    ]
    people = [Person(id="qin", name="Qin", role="quality"), Person(id="bai", name="Bai", role="quality")]
    return PLANT.model_copy(update={"assets": tuple(assets), "people": (*PLANT.people, *people)})


class ValveMaker:
    """Ninety days: each machine gets a seal on days 0, 30 and 60, the later ones of V8000 out of a new supplier's lot."""

    def __init__(self, story: Story) -> None:
        self.story, self.plant = story, of_models()
        story.plant = self.plant
        story.at("00:00").stops("M1", "E1")
        with reading(story.engine) as conn:
            self._row = dict(conn.execute(select(tickets)).mappings().one())
        self._rows: list[dict[str, object]] = []
        self._uses: list[dict[str, object]] = []
        self.store()

    def store(self) -> None:
        with self.story.tickets.transaction(BEGAN_NS) as book:
            save_supplier(book, "S-OLD", {"name": "Old Seals", "grade": "A"}, by="chen")
            save_supplier(book, "S-NEW", {"name": "New Seals", "grade": "C"}, by="chen")
        seal = {"code": SEAL, "name": "Seal 80 mm", "name_zh": "80 密封圈", "search": ""}
        with writing(self.story.engine) as conn:
            conn.execute(insert(part).values(seal))
            for lot, of in (("A1", "S-OLD"), ("A2", "S-OLD"), ("C7", "S-NEW")):
                row = {"part": SEAL, "lot": lot, "supplier": of, "received_ns": BEGAN_NS}
                conn.execute(insert(part_lot).values(row))

    def fails(self, asset: str, fault: str | None, at_ns: int, **more: object) -> int:
        """A ticket of that fault; gives its number."""
        number = len(self._rows) + 100
        said = {"id": number, "number": f"A-{number}", "asset": asset, "fault_type": fault}
        said |= {"opened_ns": at_ns, "audit_seq": 0, "audit_hash": "", "type": "equipment_repair", **more}
        self._rows.append(self._row | said)
        return number

    def puts_in(self, asset: str, lot: str, ticket: int, at_ns: int) -> None:
        row = {"ticket": ticket, "part": SEAL, "lot": lot, "asset": asset, "quantity": 1.0}
        self._uses.append(row | {"at_ns": at_ns})

    def happened(self) -> "ValveMaker":
        with writing(self.story.engine) as conn:
            conn.execute(insert(tickets), self._rows)
            if self._uses:
                conn.execute(insert(part_use), self._uses)
        self._rows, self._uses = [], []
        return self

    def ninety_days(self) -> "ValveMaker":
        """13 of the 16 seals of lot C7 leak ten days after they were put in; of the 44 others 4 do."""
        bad = good = 0
        for n in range(1, 21):
            asset, leaks = f"M{n}", []
            for month in range(3):
                at_ns = BEGAN_NS + month * 30 * DAY_NS + n * HOUR_NS
                new = asset in V8000 and month > 0
                put_in = self.fails(asset, "spool_stuck", at_ns)
                self.puts_in(asset, "C7" if new else f"A{1 + n % 2}", put_in, at_ns + HOUR_NS)
                bad, good = bad + new, good + (not new)
                if bad <= 13 if new else good % 11 == 0:
                    leaks.append(self.fails(asset, LEAK, at_ns + 10 * DAY_NS))
        return self.happened()

    def by(self, who: str) -> Doer:
        return Doer(self.story.tickets, who, NOW_NS)

    def look(self, what, *args, **named):
        with reading(self.story.engine) as conn:
            return what(conn, *args, **named)


@pytest.fixture
def maker(plant: Story) -> ValveMaker:
    return ValveMaker(plant)


def counted(origin) -> tuple[str, str, int, int, bool]:
    here = origin.contrast.here
    return origin.lot, origin.supplier, here.count, here.of, origin.contrast.stands_out


class TestPath:
    def test_the_model_stands_out_then_the_lot_then_its_supplier(self, maker):
        maker.ninety_days()
        found = maker.look(path.matrix, maker.plant, SPAN)
        assert found.of == {"V6000": 40, "V8000": 38}
        assert [(one.model, one.fault) for one in found.findings] == [("V8000", LEAK)]
        share = found.cells["V8000", LEAK].contrast
        assert (share.here.count, share.here.of) == (13, 38)
        assert (share.others.count, share.others.of) == (4, 40)
        origins = maker.look(path.origins, maker.plant, SPAN, fault=LEAK)
        assert counted(origins.lots[0]) == ("C7", "S-NEW", 13, 16, True)
        assert counted(origins.suppliers[0]) == ("", "S-NEW", 13, 16, True)
        assert {counted(one)[2:] for one in origins.suppliers[1:]} == {(4, 44, False)}
        assert (origins.failures, origins.traced) == (17, 17)
        behind = maker.look(path.tickets_of, maker.plant, SPAN, fault=LEAK, model="V8000")
        assert len(behind) == 13
        assert set(origins.lots[0].tickets) <= set(behind)

    def test_a_failure_belongs_to_what_was_in_and_not_to_what_mended_it(self, maker):
        first = maker.fails("M2", LEAK, BEGAN_NS)
        maker.puts_in("M2", "A1", first, BEGAN_NS + HOUR_NS)
        again = maker.fails("M2", LEAK, BEGAN_NS + 5 * DAY_NS)
        maker.puts_in("M2", "C7", again, BEGAN_NS + 6 * DAY_NS)
        maker.happened()
        origins = maker.look(path.origins, maker.plant, SPAN, fault=LEAK)
        assert {one.lot: one.tickets for one in origins.lots} == {"A1": (again,), "C7": ()}
        assert (origins.failures, origins.traced) == (
            2,
            1,
        )  # what was in before the first record nobody knows
        days = {one.lot: one.days for one in origins.lots}
        assert days == {"A1": pytest.approx(5 - 1 / 24), "C7": pytest.approx(84)}

    def test_what_is_no_failure_does_not_count_and_a_machine_that_is_not_seen_does_not_either(self, maker):
        maker.fails("M2", LEAK, BEGAN_NS)
        maker.fails("M2", LEAK, BEGAN_NS, closure="duplicate")
        maker.fails("M2", LEAK, BEGAN_NS, closure="false_alarm")
        maker.fails("M2", LEAK, BEGAN_NS, type="spare_part_requisition")
        maker.fails("M2", LEAK, SPAN.to_ns)
        maker.fails("M2", None, BEGAN_NS)
        maker.fails("M9", LEAK, BEGAN_NS)
        maker.happened()
        found = maker.look(path.matrix, maker.plant, SPAN)
        assert found.cells["V8000", LEAK].contrast.here.count == 1
        assert found.unsaid == 1
        seen = maker.look(path.matrix, maker.plant, SPAN, machines=frozenset({"M9"}))
        assert seen.of == {"V6000": 1}


class TestAudit:
    def test_from_the_share_to_the_audit_and_the_mandatory_field(self, maker):
        maker.ninety_days()
        seen = Seen(LEAK, SPAN, "V8000")
        task = deeds.investigate(maker.by("qin"), maker.plant, seen, reason="41 % against 12 %")
        assert (task.number[:4], task.scope, len(task.counted)) == ("INV-", "model/V8000/seal_failure", 13)
        again = deeds.investigate(maker.by("bai"), maker.plant, seen, reason="the same")
        assert again.id == task.id
        asked = {"supplier": "S-NEW", "auditor": "qin", "reason": "lot C7: 13 of 16 leak"}
        begun = deeds.begin_audit(maker.by("bai"), maker.plant, task.id, **asked)
        assert {one.code: one.status for one in maker.look(suppliers)} == {
            "S-NEW": "audit",
            "S-OLD": "active",
        }
        with pytest.raises(DeedRefused, match="being audited already"):
            deeds.begin_audit(maker.by("bai"), maker.plant, task.id, **asked)
        said = {"result": Result.FAILED, "findings": "no incoming inspection", "evidence": ["report 12"]}
        done = deeds.finish_audit(maker.by("qin"), begun.id, grade=Grade.C, **said)
        assert (done.state, done.grade_before, done.grade_after) == ("done", "C", "C")
        assert {one.code: one.status for one in maker.look(suppliers)}["S-NEW"] == "blocked"
        with pytest.raises(DeedRefused, match="is done already"):
            deeds.finish_audit(maker.by("qin"), begun.id, **said)
        with writing(maker.story.engine) as conn:
            plants.save(
                conn,
                ConfigChanged(
                    BEGAN_NS, 1, maker.plant.model_dump(mode="json"), Origin("engine", 1, BEGAN_NS)
                ),
            )
        field = {
            "type_code": "equipment_repair",
            "name": "seal_brand",
            "zh": "密封圈品牌",
            "en": "Seal brand",
        }
        after = deeds.make_mandatory(maker.by("qin"), maker.plant, task.id, choices=("NOK", "X"), **field)
        (record,) = maker.look(plants.asked, NOW_NS)
        assert after.version == 2
        assert b"seal_brand" in record.body
        assert [one.action for one in maker.look(events, task.id)] == [
            *("opened", "audit_begun", "audit_done", "made_mandatory"),
        ]
        assert maker.look(audit.verify) == []

    def test_an_overdue_audit_is_told_to_the_auditor_and_to_quality(self, maker):
        maker.fails("M2", LEAK, BEGAN_NS)
        maker.happened()
        task = deeds.investigate(maker.by("qin"), maker.plant, Seen(LEAK, SPAN), reason="look")
        begun = deeds.begin_audit(
            maker.by("bai"), maker.plant, task.id, supplier="S-NEW", auditor="zhang", reason="lot C7"
        )
        turn(maker.story.tickets, maker.plant, begun.due_ns - 1, turn_s=60)
        assert "audit.overdue" not in told(maker)
        turn(maker.story.tickets, maker.plant, begun.due_ns, turn_s=60)
        assert "audit.overdue" in told(maker)

    def test_what_rests_on_no_ticket_is_not_looked_into(self, maker):
        with pytest.raises(DeedRefused, match="tickets"):
            deeds.investigate(maker.by("qin"), maker.plant, Seen("network_fault", SPAN), reason="x")


def told(maker: ValveMaker) -> set[str]:
    return set(maker.look(lambda conn: conn.execute(select(outbox.c.kind)).scalars().all()))


class TestFreeze:
    @pytest.fixture
    def task(self, maker: ValveMaker) -> int:
        maker.fails("M2", LEAK, BEGAN_NS)
        maker.happened()
        return deeds.investigate(maker.by("li"), maker.plant, Seen(LEAK, SPAN), reason="it leaks").id

    def ask(self, maker: ValveMaker, task: int, who: str = "li", **changes: object) -> batches.Batch:
        said = {"code": "B-2026-03", "lots": (Lot(SEAL, "C7"),), "reason": "leaks at 350 bar"}
        return deeds.ask_freeze(maker.by(who), maker.plant, task, **(said | changes))

    def does(self, maker: ValveMaker, who: str, one: batches.Batch, deed: Deed) -> batches.Batch:
        return deeds.decide(
            maker.by(who), maker.plant, one.id, deed, version=one.version, reason="as agreed on"
        )

    def test_one_asks_another_decides_and_no_lot_of_it_is_handed_out_until_it_is_released(self, maker, task):
        with maker.story.tickets.transaction(NOW_NS) as book:
            for lot in ("A1", "C7"):
                receive(book, SEAL, 5, Cause("chen"), Delivery(lot))
        asked = self.ask(maker, task, who="qin")
        assert self.issued(maker, "C7") == {"C7": 1}  # nobody has decided yet
        with pytest.raises(DeedRefused, match="another person"):
            self.does(maker, "qin", asked, Deed.FREEZE)
        with pytest.raises(DeedRefused, match="may not decide"):
            self.does(maker, "zhang", asked, Deed.FREEZE)
        frozen = self.does(maker, "bai", asked, Deed.FREEZE)
        assert (frozen.state, frozen.frozen_by, frozen.held) == ("frozen", "bai", True)
        with pytest.raises(DeedRefused, match=rf"{frozen.number}.*leaks at 350 bar"):
            self.issued(maker, "C7")
        assert self.issued(maker, "") == {"A1": 1}
        waits = self.does(maker, "bai", frozen, Deed.ASK_RELEASE)
        assert waits.held
        back = self.does(maker, "qin", waits, Deed.REFUSE_RELEASE)
        released = self.does(maker, "qin", self.does(maker, "bai", back, Deed.ASK_RELEASE), Deed.RELEASE)
        assert (released.state, released.ended_by, released.held) == ("released", "qin", False)
        assert self.issued(maker, "C7") == {"C7": 1}
        assert [one.action for one in maker.look(batches.events, asked.id)] == [
            *("ask_freeze", "freeze", "ask_release", "refuse_release", "ask_release", "release"),
        ]
        assert {"batch.asked", "batch.decided"} <= told(maker)
        assert maker.look(audit.verify) == []

    def issued(self, maker: ValveMaker, lot: str) -> dict[str, float]:
        with maker.story.tickets.transaction(NOW_NS) as book:
            return take_out(book, SEAL, 1, Cause("chen"), lot=lot)

    def test_what_is_not_known_or_not_said_is_refused_and_a_batch_is_held_once(self, maker, task):
        for changes, lacking in (
            ({"lots": ()}, "lots"),
            ({"lots": (Lot(SEAL, "Z9"),)}, "unknown: SEAL-80/Z9"),
            ({"reason": "待定"}, "vague"),
            ({"code": " "}, "code"),
        ):
            with pytest.raises(StepRefused, match=lacking):
                self.ask(maker, task, **changes)
        asked = self.ask(maker, task)
        with pytest.raises(DeedRefused, match="already"):
            self.ask(maker, task)
        with pytest.raises(NoEdge):
            self.does(maker, "qin", asked, Deed.RELEASE)
        refused = self.does(maker, "qin", asked, Deed.REFUSE_FREEZE)
        assert refused.state == "refused"
        assert self.ask(maker, task).id != asked.id

    def test_of_two_who_decide_at_once_the_second_looks_again(self, maker, task):
        asked = self.ask(maker, task)
        frozen = self.does(maker, "bai", asked, Deed.FREEZE)
        waits = self.does(maker, "bai", frozen, Deed.ASK_RELEASE)
        stale = replace(waits, version=1)
        with pytest.raises(DeedRefused, match="look again"):
            self.does(maker, "qin", stale, Deed.RELEASE)


class TestSisters:
    @pytest.fixture
    def mended(self, maker: ValveMaker) -> int:
        """A ticket on M2 whose handler said that it is to be mended elsewhere too."""
        number = maker.fails("M2", LEAK, BEGAN_NS, state="resolved", same_kind=True, resolved_ns=NOW_NS)
        maker.happened()
        return number

    def test_a_yes_at_closing_waits_until_each_sister_has_a_task_or_it_is_found_not_needed(
        self, maker, mended
    ):
        assert maker.look(sisters.undecided) == (mended,)
        like = [one.id for one in sisters.sisters_of(maker.plant, "M2")]
        assert like == [one for one in V8000 if one != "M2"]
        made = deeds.deploy_ticket(
            maker.by("chen"), maker.plant, mended, text="seal of lot A1", assets=["M1", "M3", "M1"]
        )
        assert [(one.asset, one.owner) for one in made.tasks] == [("M1", "chen"), ("M3", "chen")]
        assert made.tasks[0].due_ns - NOW_NS == 14 * DAY_NS
        assert maker.look(sisters.undecided) == ()
        detail = maker.story.detail(mended)
        assert (detail.events[-1].action, detail.events[-1].evidence) == (
            "deployed",
            tuple(f"{one.number} {one.asset}" for one in made.tasks),
        )
        assert maker.look(audit.verify) == []

    def test_each_is_tracked_until_it_is_done_or_dropped_once_and_told_when_overdue(self, maker, mended):
        made = deeds.deploy_ticket(
            maker.by("chen"), maker.plant, mended, text="seal of lot A1", assets=["M1", "M3"]
        )
        first, second = made.tasks
        with pytest.raises(StepRefused, match="evidence"):
            deeds.finish_sister(maker.by("zhang"), first.id, evidence=[" "])
        done = deeds.finish_sister(maker.by("zhang"), first.id, evidence=["photo 7"])
        assert (done.state, done.done_by, done.evidence) == ("done", "zhang", ("photo 7",))
        with pytest.raises(DeedRefused, match="already"):
            deeds.drop_sister(maker.by("chen"), first.id, reason="not needed there")
        assert [one.asset for one in maker.look(sisters.tasks)] == ["M3"]
        turn(maker.story.tickets, maker.plant, second.due_ns, turn_s=60)
        assert "sister.overdue" in told(maker)
        dropped = deeds.drop_sister(maker.by("chen"), second.id, reason="has the other seal")
        assert dropped.state == "dropped"
        assert maker.look(sisters.tasks) == ()

    def test_no_task_is_a_decision_with_a_reason_and_a_stranger_is_no_sister(self, maker, mended):
        with pytest.raises(StepRefused, match="unknown: M9"):
            deeds.deploy_ticket(maker.by("chen"), maker.plant, mended, text="seal A1", assets=["M9"])
        with pytest.raises(StepRefused, match="action_text"):
            deeds.deploy_ticket(maker.by("chen"), maker.plant, mended, text=" ", assets=[])
        made = deeds.deploy_ticket(
            maker.by("chen"), maker.plant, mended, text="the others have lot A1 already", assets=[]
        )
        assert made.tasks == ()
        assert maker.look(sisters.undecided) == ()

    @pytest.mark.usefixtures("mended")
    def test_a_task_gives_its_action_to_other_machines(self, maker):
        task = deeds.investigate(maker.by("qin"), maker.plant, Seen(LEAK, SPAN, "V8000"), reason="leaks")
        made = deeds.deploy_problem(
            maker.by("qin"), maker.plant, task.id, text="seal A1", assets=["M4", "M9"]
        )
        deeds.finish_sister(maker.by("zhang"), made.tasks[0].id, evidence=["photo"])
        (found,) = maker.look(sisters.of_problem, task.id)
        assert [(one.asset, one.state) for one in found.tasks] == [("M4", "done"), ("M9", "open")]
        assert [one.action for one in maker.look(events, task.id)][1:] == ["deployed", "sister_done"]
        assert maker.look(look, task.id).version == task.version + 2
