"""A ticket beside a small model of it: random deeds of random people, and after each the same state, or nothing changed.

The model is written from the rules on paper, not from the table; it knows neither demands nor edges by name.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from andon.database import reading
from andon.events import MINUTE_NS
from tests.scenario.story import PLANT, Story, photo, time_of
from tests.scenario.test_closing import drawn
from tests.stores import Stores
from ticketing import audit, deeds, fieldwork
from ticketing.deeds import Doer
from ticketing.demands import Hold, SignedBy, Ticks
from ticketing.errors import TicketingError
from ticketing.states import Step
from ticketing.ticket import SubState

CHIEF = PLANT.people[2].model_copy(update={"role": "administrator"})
SITE = PLANT.model_copy(update={"people": (*PLANT.people[:2], CHIEF, PLANT.people[3])})
"""wang administers and approves, chen leads the line and approves, zhang and li repair."""
people = st.sampled_from(["zhang", "li", "wang", "chen"])
reasons = st.sampled_from([*["the seal is torn"] * 4, "跟进中", " "])
evidence = st.sampled_from([*[("photo 7",)] * 4, ()])
sub_states = st.sampled_from(list(SubState))
EARLY, BEFORE_DONE = {"pending_dispatch", "assigned"}, {"pending_dispatch", "assigned", "in_progress"}
REPAIRS = {"zhang", "li"}


def says(text: str) -> bool:
    return text == "the seal is torn"


@dataclass(frozen=True)
class Model:
    """What a person with pencil and paper would know of the ticket."""

    state: str = "pending_dispatch"
    assignee: str | None = None
    backup: str | None = None
    sub: str | None = None
    hold: str | None = None
    photos: int = 0
    signatures: int = 0
    parts: frozenset[int] = field(default_factory=frozenset)
    handler: str | None = None
    closed_ns: int | None = None
    how: str | None = None
    archived: bool = False
    tag: str | None = None
    rounds: int = 0

    @property
    def works(self) -> set[str | None]:
        return {self.assignee, self.backup}

    def waits_right(self, sub: str) -> bool:
        """Waiting for parts needs some asked for; going on from it needs none open."""
        if sub == "parts_allocation":
            return bool(self.parts)
        return self.sub != "parts_allocation" or not self.parts

    def again(self) -> "Model":
        state = "in_progress" if self.assignee else "pending_dispatch"
        return replace(
            self,
            state=state,
            sub="site_survey" if self.assignee else None,
            hold=None,
            photos=0,
            signatures=0,
            handler=None,
            closed_ns=None,
            how=None,
            archived=False,
            rounds=self.rounds + 1,
        )


class Deeds(RuleBasedStateMachine):
    """Everything that people do to a ticket of their own; the store is one for all runs."""

    story: Story
    told = 0

    @initialize(stage=st.integers(0, 4))
    def begins(self, stage: int = 0) -> None:
        """A new ticket, taken along the straight way for so many steps."""
        Deeds.told += 1
        self.now_ns = time_of("10:00") + Deeds.told * 100_000 * MINUTE_NS
        reason = f"E{Deeds.told}"
        moment = replace(self.story.at("10:00"), at_ns=self.now_ns)
        moment.stops(f"M{Deeds.told % 20 + 1}", reason)
        (self.id,) = [t.id for t in self.story.page().tickets if t.headline.component == reason]
        self.model = Model()
        straight = (
            lambda: self.assign("zhang", "li", "the seal is torn"),
            lambda: self.accept("zhang", SubState.SITE_SURVEY),
            self.is_resolved,
            lambda: self.sign("chen", True, SignedBy.LOGIN),
        )
        for takes in straight[:stage]:
            takes()

    def tries(self, ok: bool, after: Model, deed) -> None:
        """Do it: where the model says so it is done, else refused with a reason and nothing is left behind."""
        before = self.story.detail(self.id)
        self.now_ns += MINUTE_NS
        by = {"now_ns": self.now_ns, "expected_version": before.ticket.version}
        try:
            deed(by)
        except TicketingError as error:
            refused = str(error)
        else:
            refused = ""
        if refused:
            assert not ok, f"refused: {refused}"
            assert self.story.detail(self.id) == before
            return
        assert ok, "done, though the model refuses it"
        self.model = after
        found = self.story.detail(self.id)
        ticket = found.ticket
        assert (ticket.state, ticket.assignee, ticket.backup) == (after.state, after.assignee, after.backup)
        assert (ticket.sub_state, ticket.hold, ticket.handler) == (after.sub, after.hold, after.handler)
        assert (ticket.closure, ticket.closed_ns) == (after.how, after.closed_ns)
        assert (ticket.archived_ns is not None, ticket.scene_tag) == (after.archived, after.tag)
        assert ticket.reopen_count == after.rounds
        assert (found.given.photos, found.given.signatures) == (after.photos, after.signatures)
        assert found.given.requisitions == len(after.parts)
        assert len(found.events) == len(before.events) + 1
        assert ticket.version >= before.ticket.version

    @property
    def service(self):
        return self.story.tickets

    @property
    def doer(self):
        return lambda actor: Doer(self.service, actor, self.now_ns)

    @rule(person=people, backup=people, reason=reasons)
    def assign(self, person: str, backup: str, reason: str) -> None:
        chosen = self.story.ticket(self.id).suggestion
        told = says(reason) or (reason == " " and chosen is not None and person == chosen.person)
        ok = self.model.state == "pending_dispatch" and person != backup and told
        after = replace(self.model, state="assigned", assignee=person, backup=backup)
        said = {"person": person, "backup": backup, "plant": SITE, "reason": reason}
        self.tries(ok, after, lambda by: self.service.assign(self.id, actor="chen", **said, **by))

    @rule(person=people, backup=people, reason=reasons, shown=evidence)
    def transfer(self, person: str, backup: str, reason: str, shown: tuple[str, ...]) -> None:
        chosen = self.story.ticket(self.id).suggestion
        told = says(reason) or (reason == " " and chosen is not None and person == chosen.person)
        ok = self.model.state in {"assigned", "in_progress"} and person != backup and told and bool(shown)
        after = replace(self.model, state="assigned", assignee=person, backup=backup, sub=None, hold=None)
        said = {"person": person, "backup": backup, "plant": SITE, "reason": reason, "evidence": shown}
        self.tries(ok, after, lambda by: self.service.transfer(self.id, actor="chen", **said, **by))

    @rule(reason=reasons, shown=evidence)
    def decline(self, reason: str, shown: tuple[str, ...]) -> None:
        ok = self.model.state == "assigned" and says(reason) and bool(shown)
        after = replace(self.model, state="pending_dispatch", assignee=None, backup=None)
        said = {"reason": reason, "evidence": shown, "actor": self.model.assignee or "li"}
        self.tries(ok, after, lambda by: self.service.decline(self.id, **said, **by))

    @rule(actor=people, sub=sub_states)
    def accept(self, actor: str, sub: SubState) -> None:
        model = self.model
        ok = model.state == "assigned" and actor == model.assignee
        ok = ok and (sub != "parts_allocation" or bool(model.parts))
        after = replace(model, state="in_progress", sub=str(sub))
        self.tries(ok, after, lambda by: self.service.accept(self.id, sub_state=sub, actor=actor, **by))

    @rule()
    def is_accepted(self) -> None:
        if self.model.assignee:
            self.accept(self.model.assignee, SubState.SITE_SURVEY)

    @rule(actor=people)
    def depart(self, actor: str) -> None:
        ok = self.model.state == "in_progress" and actor in self.model.works
        self.tries(ok, self.model, lambda by: fieldwork.depart(self.service, self.id, actor=actor, **by))

    @rule(actor=people, right=st.booleans())
    def arrive(self, actor: str, right: bool) -> None:
        model = self.model
        ok = model.state == "in_progress" and actor in model.works and right
        sub = model.sub if model.sub == "parts_allocation" else "site_survey"
        code = self.story.ticket(self.id).asset if right else "M99"
        said = {"plant": SITE, "scan": code, "actor": actor}
        after = replace(model, sub=sub)
        self.tries(ok, after, lambda by: fieldwork.arrive(self.service, self.id, **said, **by))

    @rule(sub=sub_states, reason=reasons, shown=evidence)
    def substate(self, sub: SubState, reason: str, shown: tuple[str, ...]) -> None:
        model = self.model
        asked = bool(self.story.detail(self.id).requisitions)
        shows = bool(shown) or (asked and "parts_allocation" in {model.sub, str(sub)})
        ok = model.state == "in_progress" and says(reason) and shows and model.waits_right(str(sub))
        said = {"sub_state": sub, "reason": reason, "evidence": shown, "actor": "zhang"}
        after = replace(model, sub=str(sub))
        self.tries(ok, after, lambda by: self.service.substate(self.id, **said, **by))

    @rule(hold=st.sampled_from(list(Hold)), reason=reasons, shown=evidence)
    def hold(self, hold: Hold, reason: str, shown: tuple[str, ...]) -> None:
        ok = self.model.state == "in_progress" and not self.model.hold and says(reason) and bool(shown)
        said = {"hold": hold, "reason": reason, "evidence": shown, "actor": "zhang"}
        after = replace(self.model, hold=str(hold))
        self.tries(ok, after, lambda by: fieldwork.hold(self.service, self.id, **said, **by))

    @rule(reason=reasons)
    def resume(self, reason: str) -> None:
        ok = self.model.state == "in_progress" and bool(self.model.hold) and says(reason)
        after = replace(self.model, hold=None)
        self.tries(
            ok, after, lambda by: fieldwork.resume(self.service, self.id, reason=reason, actor="li", **by)
        )

    @rule(signature=st.booleans())
    def picture(self, signature: bool) -> None:
        model = self.model
        shade = 2 * len(self.story.detail(self.id).events)  # kept as JPEG, neighbours may be the same
        taken = photo(shade)
        body, stage = (drawn(), "signature") if signature else (taken, "repair")
        after = replace(
            model,
            photos=model.photos if signature else model.photos + 1,
            signatures=1 if signature else model.signatures,
        )
        self.tries(
            True,
            after,
            lambda by: self.service.add_photo(
                self.id, body=body, stage=stage, actor="zhang", now_ns=by["now_ns"]
            ),
        )

    @rule(reason=reasons)
    def asks_for_a_part(self, reason: str) -> None:
        ok = self.model.state in BEFORE_DONE and says(reason)
        with reading(self.story.engine) as conn:
            last = conn.exec_driver_sql("SELECT coalesce(max(id), 0) FROM requisition").scalar_one()
        after = replace(self.model, parts=self.model.parts | {last + 1})
        said = {"part": "SEAL-40", "quantity": 1, "reason": reason}
        self.tries(ok, after, lambda _: deeds.request_part(self.doer("zhang"), self.id, **said))

    @rule(issued=st.booleans())
    def settles_a_part(self, issued: bool) -> None:
        for number in sorted(self.model.parts)[:1]:
            after = replace(self.model, parts=self.model.parts - {number})
            if issued:
                self.tries(True, after, lambda _, n=number: deeds.issue_part(self.doer("wang"), n))
            else:
                self.tries(
                    True,
                    after,
                    lambda _, n=number: deeds.withdraw_part(self.doer("li"), n, reason="it still seals"),
                )

    @rule(
        actor=st.sampled_from(["zhang", "li"]),
        summary=st.sampled_from([*["seal replaced"] * 5, "暂无法解决", "done", " "]),
        cause=st.sampled_from([*["3.4"] * 5, "9.9", None]),
        same=st.sampled_from([True, False, None]),
        tag=st.sampled_from([None, "environment", "magic"]),
    )
    def resolve(
        self, actor: str, summary: str, cause: str | None, same: bool | None, tag: str | None
    ) -> None:
        model = self.model
        ok = model.state == "in_progress" and model.photos > 0 and not model.parts
        ok = ok and summary == "seal replaced" and cause == "3.4" and same is not None and tag != "magic"
        after = replace(model, state="resolved", sub=None, hold=None, handler=actor, tag=tag or model.tag)
        said = {"summary": summary, "cause": cause, "same_kind": same, "scene_tag": tag}
        self.tries(ok, after, lambda by: self.service.resolve(self.id, plant=SITE, actor=actor, **said, **by))

    @rule()
    def is_resolved(self) -> None:
        if not self.model.photos:
            self.picture(signature=False)
        self.resolve("zhang", "seal replaced", "3.4", False, None)

    @rule(actor=people, third=st.sampled_from([*[True] * 4, False]), way=st.sampled_from(list(SignedBy)[:2]))
    def sign(self, actor: str, third: bool, way: SignedBy) -> None:
        model = self.model
        ok = model.state == "resolved" and third and actor not in {model.handler, model.assignee}
        ok = ok and (way is SignedBy.LOGIN or model.signatures > 0)
        after = replace(model, state="closed", how="signed", closed_ns=self.now_ns + MINUTE_NS)
        said = {"ticks": Ticks(True, True, third), "plant": SITE, "signed_by": way, "actor": actor}
        self.tries(ok, after, lambda by: self.service.sign(self.id, **said, **by))

    @rule(reason=reasons, shown=evidence)
    def reject(self, reason: str, shown: tuple[str, ...]) -> None:
        ok = self.model.state == "resolved" and says(reason) and bool(shown)
        said = {"reason": reason, "evidence": shown, "actor": "chen"}
        self.tries(ok, self.model.again(), lambda by: self.service.reject(self.id, **said, **by))

    @rule(actor=people, reason=reasons, what=st.sampled_from(["cancel", "false_alarm", "close_unsigned"]))
    def gives_up(self, actor: str, reason: str, what: str) -> None:
        state = {"resolved"} if what == "close_unsigned" else BEFORE_DONE
        ok = self.model.state in state and says(reason) and actor not in REPAIRS
        how = {"cancel": "cancelled", "false_alarm": "false_alarm", "close_unsigned": "unsigned"}[what]
        after = replace(
            self.model, state="closed", how=how, sub=None, hold=None, closed_ns=self.now_ns + MINUTE_NS
        )
        said = {"reason": reason, "approver": actor, "plant": SITE, "actor": actor}
        self.tries(ok, after, lambda by: getattr(self.service, what)(self.id, **said, **by))

    @rule(asks=people, grants=people)
    def asks_to_cancel(self, asks: str, grants: str) -> None:
        if self.model.state not in EARLY:
            return
        said = {"step": Step.CANCEL, "reason": "the line was rebuilt"}
        self.tries(True, self.model, lambda _: deeds.ask_approval(self.doer(asks), self.id, **said))
        wish = self.story.detail(self.id).approval
        assert wish is not None
        after = replace(self.model, state="closed", how="cancelled", closed_ns=self.now_ns + MINUTE_NS)
        ok = grants not in REPAIRS and grants != asks
        self.tries(ok, after, lambda _: deeds.grant(self.doer(grants), wish.id, SITE))
        if not ok:
            other = next(who for who in ("wang", "chen") if who != asks)
            said = {"note": "it is needed"}
            self.tries(True, self.model, lambda _: deeds.refuse(self.doer(other), wish.id, SITE, **said))

    @rule(actor=people, reason=reasons, shown=evidence, minutes=st.sampled_from([0, 13, 14, 60]))
    def reopen(self, actor: str, reason: str, shown: tuple[str, ...], minutes: int) -> None:
        model = self.model
        self.now_ns += minutes * MINUTE_NS
        soon = model.closed_ns is not None and self.now_ns + MINUTE_NS - model.closed_ns < 15 * MINUTE_NS
        ok = model.state == "closed" and says(reason) and bool(shown) and (soon or actor == "wang")
        said = {"reason": reason, "evidence": shown, "plant": SITE, "actor": actor}
        self.tries(ok, model.again(), lambda by: self.service.reopen(self.id, **said, **by))

    @rule(tag=st.sampled_from([None, "environment", "magic"]))
    def archive(self, tag: str | None) -> None:
        model = self.model
        named = tag or model.tag
        ok = model.state == "closed" and not model.archived and named is not None and named != "magic"
        after = replace(model, archived=True, tag=named)
        said = {"scene_tag": tag, "plant": SITE, "actor": "chen"}
        self.tries(ok, after, lambda by: fieldwork.archive(self.service, self.id, **said, **by))


def run(story: Story, examples: int, steps: int) -> None:
    Deeds.story, Deeds.told = story, 0
    asked = settings(max_examples=examples, stateful_step_count=steps, deadline=None, database=None)
    run_state_machine_as_test(Deeds, settings=asked)
    with reading(story.engine) as conn:
        assert audit.verify(conn) == []


def test_a_ticket_does_what_its_model_does(tmp_path: Path) -> None:
    story = Story.begins(tmp_path)
    run(replace(story, plant=SITE), examples=12, steps=30)


def test_on_the_other_database_too(postgresql: object, tmp_path: Path) -> None:
    stores = Stores(tmp_path, postgresql)  # type: ignore[arg-type]
    try:
        run(Story.begins(tmp_path, stores.open()), examples=3, steps=15)
    finally:
        stores.close()


@pytest.mark.parametrize("wrong", ["waits_right"])
def test_a_model_that_is_wrong_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """The comparison can fail: a model that lets everybody wait for parts without asking for any does not hold."""
    monkeypatch.setattr(Model, wrong, lambda _self, _sub: True)
    machine = Deeds()
    Deeds.story, Deeds.told = Story.begins(tmp_path), 0
    machine.begins()
    machine.assign("zhang", "li", "the seal is torn")
    machine.accept("zhang", SubState.SITE_SURVEY)
    with pytest.raises(AssertionError, match="refused"):
        machine.substate(SubState.PARTS_ALLOCATION, "the seal is torn", ("photo 7",))
