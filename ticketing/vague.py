"""Words that say nothing (rule 37) and words that say it is not solved (rule 52): refused, with what to write instead.

A text is vague if nothing is left of it once such words and filler are taken away; it says that the work is not done
if it contains one of the other list. Two synonyms of a state are taken as that state when records are imported.
"""

import re
import unicodedata
from collections.abc import Mapping

from ticketing.errors import VagueWord
from ticketing.ticket import TicketState

VAGUE = (
    *(
        "跟进中",
        "跟进",
        "稍后处理",
        "稍后",
        "处理一下",
        "处理了",
        "处理完",
        "已处理",
        "正在处理",
        "尽快处理",
        "尽快",
    ),
    *(
        "已安排",
        "安排中",
        "已联系",
        "等通知",
        "再看看",
        "看一下",
        "看看",
        "待定",
        "观察",
        "观察中",
        "待观察",
        "待处理",
    ),
    *("进行中", "已受理", "处理中", "没问题", "正常", "已完成", "完成", "搞定", "好了", "无", "同上", "如题"),
    *(
        "following up",
        "follow up",
        "in progress",
        "ongoing",
        "later",
        "will do",
        "asap",
        "as soon as possible",
    ),
    *(
        "to be handled",
        "handled",
        "done",
        "fixed",
        "ok",
        "okay",
        "n/a",
        "na",
        "none",
        "see above",
        "tbd",
        "working on it",
    ),
)
"""They tell neither what was done nor why; 跟进中 and 稍后处理 are the users' own examples."""

_FILLER = (
    "正在",
    "已经",
    "现在",
    "目前",
    "我们",
    "请",
    "会",
    "再",
    "的",
    "了",
    "吧",
    "we are",
    "we will",
    "it is",
    "is",
    "now",
    "the",
)

UNSOLVED = (
    *(
        "暂无法解决",
        "暂时无法解决",
        "无法解决",
        "暂未解决",
        "尚未解决",
        "未能解决",
        "没有解决",
        "解决不了",
        "修不好",
    ),
    *("cannot be solved", "can not be solved", "can't be solved", "not solved", "unsolved"),
    *("cannot be fixed", "can't be fixed", "could not be fixed", "not repaired"),
)
"""What says so must not be resolved: the ticket stays in progress, on hold."""

SYNONYMS: Mapping[str, TicketState] = {
    **{str(state): state for state in TicketState},
    "待分派": TicketState.PENDING_DISPATCH,
    "已指派": TicketState.ASSIGNED,
    "处理中": TicketState.IN_PROGRESS,
    "进行中": TicketState.IN_PROGRESS,
    "已受理": TicketState.IN_PROGRESS,
    "已解决": TicketState.RESOLVED,
    "待验收": TicketState.RESOLVED,
    "已关闭": TicketState.CLOSED,
}
"""What a record of another system may call a state (rule 37)."""

_LONGEST_FIRST = sorted({*VAGUE, *_FILLER}, key=len, reverse=True)
_WORDS = re.compile("|".join(rf"\b{re.escape(w)}\b" if w.isascii() else re.escape(w) for w in _LONGEST_FIRST))
_NOT_A_WORD = re.compile(r"[\W_]+")


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").split())


def is_vague(text: str) -> bool:
    """Whether a text says nothing; an empty one is not vague but absent.

    >>> is_vague("跟进中，稍后处理"), is_vague("Done."), is_vague("外圈已更换，处理完")
    (True, True, False)
    """
    said = _plain(text)
    return bool(said) and not _NOT_A_WORD.sub("", _WORDS.sub("", said))


def is_unsolved(text: str) -> bool:
    """Whether a text says that the work is not done.

    >>> is_unsolved("现场暂无法解决，等备件"), is_unsolved("密封件已更换")
    (True, False)
    """
    said = _plain(text)
    return any(word in said for word in UNSOLVED)


def state_named(word: str) -> TicketState:
    """The state that a record of another system means; VagueWord says which words there are.

    >>> state_named(" 已受理 ")
    <TicketState.IN_PROGRESS: 'in_progress'>
    """
    found = SYNONYMS.get(_plain(word))
    if found is None:
        raise VagueWord(word, tuple(SYNONYMS))
    return found
