"""Every ticket is found again by its words, closed ones too: text, serial number, what people said (rule 6a)."""

import pytest

from andon.database import reading
from tests.scenario.story import Story
from tests.stores import Stores
from ticketing import listing, search, store
from ticketing.ticket import TicketState

OPEN = tuple(state for state in TicketState if state is not TicketState.CLOSED)


def found(story: Story, text: str, *states: TicketState) -> set[int]:
    with reading(story.engine) as conn:
        page = store.tickets(conn, store.Filter(text=text, states=states))
    assert page.total == len(page.tickets)
    return {ticket.id for ticket in page.tickets}


def tells(plant: Story) -> Story:
    """A closed ticket on M3 with a Chinese summary, an open one on M4."""
    plant.at("10:00").stops("M3", "E7", text={"message": "液压站 压力低 P-204", "category": "hydraulic"})
    plant.at("11:00").repairs(1, summary="密封失效，已更换O型圈").signs(1)
    plant.at("12:00").stops("M4", "E9")
    return plant


@pytest.fixture(scope="module")
def told(stores_to_read: Stores) -> Story:
    return tells(Story.begins(stores_to_read.folder, stores_to_read.open()))


@pytest.mark.parametrize(
    "text",
    [
        "A-1",
        "sn-003",
        "SN-003",
        "Press 3",
        "压机3",
        "E7",
        "hydraulic",
        "hydrau",
        "压力低",
        "液压站 p-204",
        "204",
    ],
)
def test_a_closed_ticket_is_found_by_machine_serial_number_and_what_the_machine_said(
    told: Story, text: str
) -> None:
    assert found(told, text) == {1}


@pytest.mark.parametrize("text", ["密封失效", "密封", "失效", "更换", "o型圈", "O型圈", "密封 hydraulic"])
def test_it_is_found_by_what_people_said_of_it(told: Story, text: str) -> None:
    assert found(told, text) == {1}


@pytest.mark.parametrize(
    "text", ["封密", "sn-03", "压力高", "密封 E9", "ydraulic", "'; --", '"', "%", "(", "*"]
)
def test_what_it_does_not_say_does_not_find_it(told: Story, text: str) -> None:
    assert found(told, text, TicketState.CLOSED) == set()


def test_open_ones_are_found_anywhere_in_a_word_and_states_restrict(told: Story) -> None:
    assert found(told, "N-004") == {2}
    assert found(told, "press") == {1, 2}
    assert found(told, "press", TicketState.CLOSED) == {1}
    assert found(told, "press", *OPEN) == {2}


def test_a_comment_is_found_after_the_ticket_was_closed(plant: Story) -> None:
    told = tells(plant)
    now_ns = told.ticket(1).closed_ns + 1
    told.tickets.comment(1, text="bearing colour straw yellow", actor="chen", now_ns=now_ns)
    assert found(told, "straw") == {1}
    assert found(told, "密封") == {1}, "what was indexed before is still there"


def test_of_very_many_the_newest_are_looked_at_and_that_is_said(told: Story, monkeypatch) -> None:
    with reading(told.engine) as conn:
        assert not store.tickets(conn, store.Filter(text="press")).capped
    monkeypatch.setattr(search, "MOST", 1)
    monkeypatch.setattr(listing, "MOST", 1)
    with reading(told.engine) as conn:
        page = store.tickets(conn, store.Filter(text="press"))
    assert page.capped
    assert [ticket.id for ticket in page.tickets] == [2], "the newest one, and all that are open"
