"""Words that say nothing are refused, and words that name a state are taken as it (rules 37 and 52)."""

import pytest

from ticketing.errors import VagueWord
from ticketing.ticket import TicketState
from ticketing.vague import UNSOLVED, VAGUE, is_unsolved, is_vague, state_named


@pytest.mark.parametrize(
    "text", [*VAGUE, "跟进中。", "正在跟进中,稍后处理!", "  Following   UP ", "我们会尽快处理的"]
)
def test_a_text_of_vague_words_alone_says_nothing(text):
    assert is_vague(text)


@pytest.mark.parametrize(
    "text",
    [
        "外圈已更换,处理完",
        "正常磨损,更换密封圈",
        "done: outer ring replaced",
        "fixed the fixture",
        "the bolt was loose",
        "r",
        "E-217",
    ],
)
def test_a_text_that_says_something_beside_them_is_taken(text):
    assert not is_vague(text)


def test_nothing_is_absent_and_not_vague():
    assert not is_vague(" \n")


@pytest.mark.parametrize(
    "text", [*UNSOLVED, "客户现场暂无法解决,等备件", "It CANNOT be  solved on site", "can’t be fixed"]
)
def test_what_says_that_it_is_not_solved_is_found_anywhere(text):
    assert is_unsolved(text)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("进行中", TicketState.IN_PROGRESS),
        (" 已受理 ", TicketState.IN_PROGRESS),
        ("处理中", TicketState.IN_PROGRESS),
        ("待验收", TicketState.RESOLVED),
        ("CLOSED", TicketState.CLOSED),
    ],
)
def test_synonyms_of_a_state_are_taken_as_it(word, state):
    assert state_named(word) is state


@pytest.mark.parametrize("word", ["跟进中", "稍后处理", "暂无法解决", ""])
def test_a_word_that_is_no_state_is_refused_with_those_that_are(word):
    with pytest.raises(VagueWord, match="已解决") as refused:
        state_named(word)
    assert refused.value.code == "vague"
