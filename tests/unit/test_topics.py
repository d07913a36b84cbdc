"""The catalogue of the bus: complete, with versions, and written down."""

import re
import tomllib
from pathlib import Path

import pytest

from andon.backlogs import MESSAGES
from andon.channels import kinds, subscription_of
from andon.config import Config, check
from andon.parts import notify
from ticketing.states import Step
from ticketing.topics import CANARY, DIGEST, OF_KIND, TOPICS, UnknownTopic, types_of

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text("utf-8")


def rows(pattern: str) -> list[str]:
    return re.findall(rf"^\| `({pattern})` \|", PAGE, re.MULTILINE)


def test_every_step_of_a_ticket_is_a_topic():
    told = {f"ticket.{step}" for step in Step if step is not Step.FAIL_AGAIN}
    others = {
        "ticket.opened",
        "ticket.escalated",
        "ticket.reopened",
        "ticket.split",
        "ticket.unmerged",
        "problem.opened",
    }
    others |= {
        f"ticket.{deed}" for deed in ("routed", "offered", "offer_withdrawn", "unclaimed", "collaborator")
    }
    others |= {f"ticket.{deed}" for deed in ("requisition", "parts_issued", "parts_returned")}
    others |= {"part.low", "ticket.sign_code", "ticket.rating"}
    others |= {f"ticket.{deed}" for deed in ("approval_asked", "approval_refused")}
    others |= {f"ticket.cost_{deed}" for deed in ("asked", "granted", "refused", "waits")}
    others |= {f"ticket.{deed}" for deed in ("obligation", "obligation_overdue", "plan_overdue")}
    others |= {f"ticket.{deed}" for deed in ("enquiry", "unacknowledged")}
    others |= {f"ticket.{deed}" for deed in ("reminded", "drifting")}
    others |= {"ticket.edited", "ticket.flood", "ticket.shelf_ends"}
    others |= {
        f"problem.{deed}" for deed in ("assigned", "due", "overdue", "check", "effective", "ineffective")
    }
    others |= {
        "action.given",
        "action.due",
        "action.overdue",
        "improvement.opened",
        "causes.unknown",
        "metric.action",
    }
    others |= {"investigation.opened", "sister.given", "sister.overdue", "batch.asked", "batch.decided"}
    others |= {"audit.given", "audit.overdue"}
    others |= {"ticket.state", "stock.moved"}
    assert set(OF_KIND) == told | others | {DIGEST, CANARY}


def test_every_topic_has_a_name_of_its_own_with_a_version_and_a_schema():
    names = [one.name for one in TOPICS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"andon(\.[a-z][a-z-]*){1,2}\.v[1-9]\d*", name)] == []
    for one in TOPICS:
        assert one.schema["$defs"][one.data.__name__]["additionalProperties"] is False


def test_every_topic_kind_and_condition_is_written_down_and_no_other():
    assert rows(r"andon\.[a-z.-]+\.v\d") == [one.name for one in TOPICS]
    assert sorted(rows("[a-z_]+(?<!_down)(?<!_undelivered)(?<!_failed)(?<!_backlog)")) == kinds()
    assert set(rows("[a-z_]+(?:_down|_undelivered|_failed|_backlog)")) == {*notify.SEVERITY, MESSAGES}


def test_a_wish_for_canaries_or_digests_is_no_subscription():
    assert len(types_of("andon.*")) == len(TOPICS) - 5
    for name in (
        "andon.canary.v1",
        "andon.digest.v1",
        "andon.ticket.state.v1",
        "andon.ticket.opened.v2",
        "*",
        "",
        "andon.ticket.",
    ):
        with pytest.raises(UnknownTopic):
            types_of(name)


def test_a_code_for_a_signature_is_heard_by_who_names_its_topic_alone():
    assert types_of("andon.ticket.sign-code.v1") == {"andon.ticket.sign-code.v1"}
    assert "andon.ticket.sign-code.v1" not in types_of("andon.*") | types_of("andon.ticket.*")


def test_the_example_is_valid():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = check(Config, tomllib.loads(example), "example")
    tickets = {one.name for one in TOPICS if one.kind.startswith("ticket.") and not one.secret}
    tickets.remove("andon.ticket.state.v1")  # told to partners alone
    heard = [subscription_of(one).types for one in config.notify]
    assert heard == [tickets, types_of("andon.*")]
