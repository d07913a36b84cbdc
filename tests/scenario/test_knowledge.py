"""What a closed ticket taught is drawn from it, reviewed, found, cited; what fixed tickets like this one is said."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from andon.events import HOUR_NS
from tests.scenario.story import PLANT, Story, time_of
from tests.stores import Stores
from ticketing import reports
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, NoEdge, StepRefused
from ticketing.knowledge import articles, pool
from ticketing.knowledge.article import Article, ArticleState, Body
from ticketing.knowledge.similar import Alike, alike, came_back
from ticketing.knowledge.suggesting import suggested
from ticketing.knowledge.tables import article_version, citation
from ticketing.obligations import open_obligations

SEAL = "主轴密封失效，更换O型圈 NBR-70。试压两小时。"
V8000 = tuple(
    one.model_copy(update={"model": "V8000" if one.id in {"M1", "M3", "M5"} else "V6000"})
    for one in PLANT.assets
)


def begun(folder: Path, engine: Engine | None = None) -> Story:
    return replace(Story.begins(folder, engine), plant=PLANT.model_copy(update={"assets": V8000}))


@pytest.fixture
def plant(tmp_path: Path) -> Story:
    return begun(tmp_path)


@pytest.fixture
def on_both(stores: Stores) -> Story:
    return begun(stores.folder, stores.open())


def by(plant: Story, actor: str, clock: str) -> Doer:
    return Doer(plant.tickets, actor, time_of(clock))


def reports_to(plant: Story, clock: str, machine: str, said: str) -> int:
    now_ns = time_of(clock)
    body = {"type": "equipment_repair", "asset": machine, "description": said}
    raw = json.dumps(body, ensure_ascii=False).encode()
    came = reports.receive(plant.tickets, raw, actor="chen", came_by="api", now_ns=now_ns)
    ticket = reports.take(plant.tickets, came.id, plant.plant, now_ns).ticket
    assert ticket is not None
    return ticket


def drafted(plant: Story, ticket: int) -> Article:
    with reading(plant.engine) as conn:
        return articles.of_ticket(conn, ticket)[0]


def leaks_and_is_repaired(plant: Story) -> Article:
    """M1 leaks, the seal is replaced, chen signs: what lies in the pool then."""
    ticket = reports_to(plant, "10:00", "M1", "主轴密封处漏油，压力下降")
    plant.at("11:00").repairs(ticket, summary=SEAL).signs(ticket)
    return drafted(plant, ticket)


def published(plant: Story) -> Article:
    draft = leaks_and_is_repaired(plant)
    return pool.publish(by(plant, "chen", "12:00"), plant.plant, draft.id, version=1, shared=False)


def found(plant: Story, text: str, machines: frozenset[str] | None = None) -> list[str]:
    with reading(plant.engine) as conn:
        return [one.number for one in articles.found(conn, text, machines=machines)]


def like(plant: Story, ticket: int, machines: frozenset[str] | None = None) -> list[Alike]:
    with reading(plant.engine) as conn:
        return alike(conn, plant.ticket(ticket), plant.plant, machines)


class TestFromTicketToArticle:
    def test_closing_draws_a_draft_with_title_cause_keywords_and_attachments(self, plant: Story) -> None:
        draft = leaks_and_is_repaired(plant)
        assert (draft.state, draft.model, draft.cycle) == (ArticleState.DRAFT, "V8000", 0)
        assert draft.body == Body(
            title="主轴密封失效，更换O型圈 NBR-70",
            problem="主轴密封处漏油，压力下降",
            solution=SEAL,
            keywords=("主轴密封失效", "更换", "型圈", "NBR-70", "试压两小时", "主轴密封处漏油", "压力下降"),
            attachments=("photo",),
            cause="3.4",
        )
        assert draft.due_ns == time_of("11:00") + 24 * HOUR_NS
        with reading(plant.engine) as conn:
            assert [one.number for one in articles.pool(conn)] == ["KB-1"]
            assert articles.found(conn, "密封") == ()  # nobody has reviewed it

    def test_what_was_no_work_teaches_nothing(self, plant: Story) -> None:
        plant.at("10:00").stops("M1", "E1")
        plant.tickets.false_alarm(
            1,
            reason="test run",
            approver="chen",
            actor="chen",
            now_ns=time_of("10:05"),
            expected_version=1,
            plant=plant.plant,
        )
        with reading(plant.engine) as conn:
            assert articles.pool(conn) == ()

    def test_a_review_within_24_h_meets_what_closing_left_to_do_and_it_is_found(self, on_both: Story) -> None:
        article = published(on_both)
        with reading(on_both.engine) as conn:
            assert open_obligations(conn) == ()
            assert [one.state for one in articles.versions(conn, article.id)] == ["published", "draft"]
        assert (article.reviewer, article.reviewed_ns) == ("chen", time_of("12:00"))
        for words in ("密封", "密封失效", "nbr", "NBR-70 o型圈", "V8000", "试压", "kb-1"):
            assert found(on_both, words) == ["KB-1"], words
        for words in ("轴承", "密封 轴承", "bearing", "!?"):
            assert found(on_both, words) == [], words

    def test_nothing_vague_is_published_and_two_reviewers_do_not_overwrite_each_other(
        self, plant: Story
    ) -> None:
        draft = leaks_and_is_repaired(plant)
        chen, li = by(plant, "chen", "12:00"), by(plant, "li", "12:01")
        poor = replace(draft.body, title="已处理", keywords=(), cause="9.9")
        pool.edit(chen, plant.plant, draft.id, version=1, body=poor)
        with pytest.raises(StepRefused) as refused:
            pool.publish(li, plant.plant, draft.id, version=2, shared=False)
        assert [(one.demand, one.why) for one in refused.value.missing] == [
            ("title", "vague"),
            ("keywords", "absent"),
            ("cause", "unknown"),
        ]
        with pytest.raises(DeedRefused, match="changed meanwhile") as stale:
            pool.edit(li, plant.plant, draft.id, version=1, body=draft.body)
        assert stale.value.code == "article_changed"

    def test_no_version_is_ever_changed(self, on_both: Story) -> None:
        leaks_and_is_repaired(on_both)
        with pytest.raises(IntegrityError), writing(on_both.engine) as conn:
            conn.execute(article_version.update().values(note="never was"))

    def test_what_did_not_hold_is_not_published_and_the_next_round_is_drawn_anew(self, plant: Story) -> None:
        draft = leaks_and_is_repaired(plant)
        assert draft.ticket is not None
        version = plant.ticket(draft.ticket).version
        plant.tickets.reopen(
            draft.ticket,
            reason="leaks again",
            evidence=("photo",),
            plant=plant.plant,
            actor="chen",
            now_ns=time_of("11:05"),
            expected_version=version,
        )
        with reading(plant.engine) as conn:
            assert articles.pool(conn) == ()
        with pytest.raises(DeedRefused, match="opened again"):
            pool.publish(by(plant, "chen", "12:00"), plant.plant, draft.id, version=1, shared=False)
        plant.at("13:00").repairs(draft.ticket, summary="主轴磨损，换轴").signs(draft.ticket)
        with reading(plant.engine) as conn:
            assert [(one.body.title, one.state) for one in articles.of_ticket(conn, draft.ticket)] == [
                ("主轴磨损，换轴", "draft"),
                ("主轴密封失效，更换O型圈 NBR-70", "discarded"),
            ]

    def test_withdrawn_is_found_no_more_and_its_citations_stay(self, plant: Story) -> None:
        article = published(plant)
        plant.at("13:00").stops("M3", "E1")
        pool.cite(by(plant, "zhang", "13:01"), 2, article.id)
        with pytest.raises(StepRefused, match="reason"):
            pool.withdraw(by(plant, "chen", "14:00"), article.id, version=2, reason="稍后")
        gone = pool.withdraw(
            by(plant, "chen", "14:00"), article.id, version=2, reason="NBR swells in this oil"
        )
        assert (gone.state, found(plant, "密封")) == (ArticleState.WITHDRAWN, [])
        with pytest.raises(StepRefused, match="not_published"):
            pool.cite(by(plant, "zhang", "14:01"), 2, article.id)
        with reading(plant.engine) as conn:
            assert articles.numbered(conn, article.id).citations == 1


class TestCiting:
    def test_a_citation_is_counted_once_per_ticket_and_stands_in_its_audit(self, on_both: Story) -> None:
        article = published(on_both)
        on_both.at("13:00").stops("M3", "E1")
        for clock in ("13:01", "13:02"):
            cited = pool.cite(by(on_both, "zhang", clock), 2, article.id)
        assert cited.citations == 1
        with reading(on_both.engine) as conn:
            row = conn.execute(select(citation)).mappings().one()
            assert [one.ticket for one in articles.cited_on(conn, article.id)] == [2]
            assert articles.cited_on(conn, article.id, frozenset({"M1"})) == ()
        assert dict(row) == {"ticket": 2, "article": 1, "by": "zhang", "at_ns": time_of("13:01")}
        assert [one.evidence for one in on_both.detail(2).events if one.action == "cited"] == [("KB-1",)]

    def test_neither_its_own_ticket_nor_what_was_no_work_cites_it(self, plant: Story) -> None:
        article = published(plant)
        plant.at("13:00").stops("M3", "E1")
        plant.tickets.false_alarm(
            2,
            reason="test run",
            approver="chen",
            actor="chen",
            now_ns=time_of("13:05"),
            expected_version=1,
            plant=plant.plant,
        )
        with pytest.raises(StepRefused, match="own"):
            pool.cite(by(plant, "zhang", "13:01"), 1, article.id)
        with pytest.raises(NoEdge):
            pool.cite(by(plant, "zhang", "13:06"), 2, article.id)

    def test_a_draft_that_says_the_same_goes_into_the_article_which_its_ticket_then_cites(
        self, plant: Story
    ) -> None:
        article = published(plant)
        ticket = reports_to(plant, "13:00", "M3", "密封漏油")
        plant.at("14:00").repairs(ticket, summary="密封失效，更换密封圈").signs(ticket)
        merged = pool.merge(by(plant, "chen", "15:00"), drafted(plant, ticket).id, version=1, into=article.id)
        assert (merged.state, merged.merged_into) == (ArticleState.MERGED, article.id)
        with reading(plant.engine) as conn:
            assert [one.number for one in articles.cited_by(conn, ticket)] == ["KB-1"]
            assert open_obligations(conn) == ()


class TestWhatIsSeen:
    def test_of_other_places_only_what_was_published_for_everybody(self, on_both: Story) -> None:
        article = published(on_both)
        elsewhere = frozenset({"M2", "M4"})
        assert (found(on_both, "密封", elsewhere), found(on_both, "密封", frozenset({"M1"}))) == (
            [],
            ["KB-1"],
        )
        chen = by(on_both, "chen", "14:00")
        pool.withdraw(chen, article.id, version=2, reason="to be read by everybody")
        pool.publish(chen, on_both.plant, article.id, version=3, shared=True)
        assert found(on_both, "密封", elsewhere) == ["KB-1"]

    def test_a_ticket_elsewhere_is_like_none(self, plant: Story) -> None:
        leaks_and_is_repaired(plant)
        ticket = reports_to(plant, "13:00", "M3", "密封漏油")
        assert [one.ticket for one in like(plant, ticket)] == [1]
        assert like(plant, ticket, frozenset({"M3"})) == []


class TestAlike:
    def test_each_says_why_and_the_same_fault_of_the_same_model_comes_before_another_of_the_machine(
        self, on_both: Story
    ) -> None:
        leaks_and_is_repaired(on_both)  # M1, of the same model as M3
        on_both.at("12:00").stops("M3", "E9")
        on_both.at("12:10").repairs(2, summary="接近开关松动", cause="6.1").signs(2)
        other = reports_to(on_both, "12:30", "M7", "地面有水")  # another model, other words
        on_both.at("12:40").repairs(other, summary="冷却水管破裂").signs(other)
        now = reports_to(on_both, "13:00", "M3", "密封处漏油")
        first, second, third = like(on_both, now)
        assert (first.ticket, first.why, first.words) == (1, ("words", "model"), ("密封处漏油",))
        assert (first.summary, first.cause, first.same_trouble) == (SEAL, "3.4", True)
        assert (second.ticket, second.why, second.same_trouble) == (2, ("machine",), False)
        assert (third.ticket, third.why) == (other, ("class",))

    def test_a_stop_is_like_another_by_its_reason_and_what_came_back_says_so(self, on_both: Story) -> None:
        on_both.at("10:00").stops("M1", "E1")
        on_both.at("10:10").repairs(1, summary="限位开关复位").signs(1)
        on_both.at("10:20").stops("M1", "E2")
        on_both.at("10:30").repairs(2, summary="更换保险丝").signs(2)
        on_both.at("12:00").stops("M1", "E1")
        found = like(on_both, 3)
        assert [(one.ticket, one.why) for one in found] == [
            (1, ("condition", "machine", "component")),
            (2, ("machine",)),
        ]
        with reading(on_both.engine) as conn:
            assert came_back(conn, found) == {1}

    def test_an_article_is_suggested_by_fault_and_words_and_says_why(self, plant: Story) -> None:
        published(plant)
        now = reports_to(plant, "13:00", "M3", "密封失效，又漏油了")
        apart = reports_to(plant, "13:30", "M6", "操作屏黑屏")
        with reading(plant.engine) as conn:
            (one,) = suggested(conn, plant.ticket(now), plant.plant, None)
            assert suggested(conn, plant.ticket(apart), plant.plant, None) == []
        assert (one.article.number, one.why, one.words) == ("KB-1", ("words", "model"), ("密封失效", "漏油"))
        assert one.score == pytest.approx(4.5)
